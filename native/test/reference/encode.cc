#include "test/reference/encode.h"

namespace hessia::reference {
namespace {

struct Encoder {
  std::vector<double> out;

  template <class N> void word(N x) { out.push_back(static_cast<double>(x)); }
  template <class N> void list(const std::vector<N>& values) {
    word(values.size());
    for (N v : values) word(v);
  }
  void view(const View& v) {
    word(v.binding), word(static_cast<int>(v.dtype)), word(v.offset), word(v.shape.size());
    for (int64_t s : v.shape) word(s);
    for (int64_t s : v.strides) word(s);
  }
  void operator()(const MapInstruction& m) {
    word(static_cast<int>(m.compute)), list(m.shape), list(m.reduced_axes);
    word(m.inputs.size());
    for (const View& v : m.inputs) view(v);
    word(m.code.size());
    for (const MapOp& op : m.code) word(static_cast<int>(op.op)), word(op.a), word(op.b), word(op.c), word(op.value);
    word(m.outputs.size());
    for (const MapOutput& o : m.outputs) word(o.reg), word(static_cast<int>(o.reduce)), word(o.accumulate), view(o.view);
  }
  void operator()(const CopyInstruction& i) { view(i.source), view(i.target); }
  void operator()(const FillInstruction& i) { view(i.target), word(i.value); }
  void operator()(const DotInstruction& i) {
    view(i.a), view(i.b), view(i.c), list(i.labels_a), list(i.labels_b), list(i.labels_c), word(i.alpha), word(i.accumulate);
  }
  void operator()(const ConvInstruction& i) {
    word(static_cast<int>(i.mode)), view(i.x), view(i.w), view(i.y), list(i.strides), list(i.pad_low), list(i.dilations);
    word(i.groups), word(i.accumulate);
  }
  void operator()(const WindowInstruction& i) {
    word(static_cast<int>(i.mode)), view(i.x), view(i.y), list(i.window), list(i.strides), list(i.pad_low), list(i.dilations);
  }
  void operator()(const TakeInstruction& i) { view(i.x), view(i.index), view(i.y); }
  void operator()(const TakeTransposeInstruction& i) { view(i.x), view(i.index), view(i.y), word(i.accumulate); }
  void operator()(const GatherElementsInstruction& i) { view(i.x), view(i.index), view(i.y), word(i.axis); }
  void operator()(const ScatterElementsInstruction& i) { view(i.x), view(i.index), view(i.y), word(i.axis), word(i.accumulate); }
  void operator()(const ArgReduceInstruction& i) { view(i.x), view(i.y), word(i.axis), word(i.largest); }
  void operator()(const CumsumInstruction& i) { view(i.x), view(i.y), word(i.axis), word(i.exclusive), word(i.reverse); }
  void operator()(const ArgsortInstruction& i) { view(i.x), view(i.y), word(i.axis), word(i.descending); }
};

}  // namespace

std::vector<double> encode_instruction(const Instruction& instruction) {
  Encoder encoder;
  std::visit(encoder, instruction);
  std::vector<double> out{static_cast<double>(instruction.index() + 1), static_cast<double>(encoder.out.size())};
  out.insert(out.end(), encoder.out.begin(), encoder.out.end());
  return out;
}

std::vector<double> encode_program(const std::vector<Binding>& bindings, const std::vector<Instruction>& instructions) {
  std::vector<double> out{kProgramMagic, kProgramVersion, static_cast<double>(bindings.size()), static_cast<double>(instructions.size())};
  for (const Binding& b : bindings) {
    out.push_back(static_cast<double>(b.bytes));
    out.push_back(b.written);
  }
  for (const Instruction& i : instructions) {
    const auto words = encode_instruction(i);
    out.insert(out.end(), words.begin(), words.end());
  }
  return out;
}

}  // namespace hessia::reference
