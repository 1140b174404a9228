// From the Float64Array of src/program/format.ts to a Program. Nothing in the array is trusted.
#include <cmath>

#include "base/error.h"
#include "program/program.h"

namespace hessia {
namespace {

constexpr double kLargestInteger = 9007199254740992.0;  // 2^53
constexpr int64_t kMaxDims = 12;

class Reader {
 public:
  Reader(const double* words, size_t length, std::string where) : words_(words), length_(length), where_(std::move(where)) {}

  [[noreturn]] void fail(const std::string& what) const { throw Error(ErrorCode::INVALID_ARGUMENT, where_ + ": " + what); }
  size_t left() const { return length_ - at_; }
  double number() {
    if (at_ >= length_) fail("ends too early");
    return words_[at_++];
  }
  int64_t integer(int64_t low, int64_t high, const char* what) {
    const double x = number();
    if (!(x >= static_cast<double>(low) && x <= static_cast<double>(high)) || x != std::floor(x)) {
      fail(std::string(what) + " is " + std::to_string(x) + ", not an integer from " + std::to_string(low) + " to " + std::to_string(high));
    }
    return static_cast<int64_t>(x);
  }
  int64_t any_integer(const char* what) {
    return integer(-static_cast<int64_t>(kLargestInteger), static_cast<int64_t>(kLargestInteger), what);
  }
  // A count of items of at least `words` words each: limited by what is left, so that no count allocates much.
  size_t count(size_t words, const char* what) {
    return static_cast<size_t>(integer(0, static_cast<int64_t>(left() / words), what));
  }
  int small(int high, const char* what) { return static_cast<int>(integer(0, high, what)); }
  bool flag(const char* what) { return integer(0, 1, what) == 1; }
  std::vector<int64_t> integers(const char* what) {
    std::vector<int64_t> values(count(1, what));
    for (int64_t& v : values) v = any_integer(what);
    return values;
  }
  std::vector<int> small_integers(const char* what) {
    std::vector<int> values(count(1, what));
    for (int& v : values) v = static_cast<int>(integer(0, INT32_MAX, what));
    return values;
  }
  View view() {
    View v;
    v.binding = static_cast<int>(integer(0, INT32_MAX, "binding"));
    v.dtype = static_cast<DType>(small(3, "dtype"));
    v.offset = any_integer("offset");
    const int64_t rank = integer(0, kMaxDims, "rank");
    v.shape.resize(static_cast<size_t>(rank));
    v.strides.resize(static_cast<size_t>(rank));
    for (int64_t& s : v.shape) s = integer(0, static_cast<int64_t>(kLargestInteger), "size");
    for (int64_t& s : v.strides) s = any_integer("stride");
    return v;
  }
  Reader part(size_t length, std::string where) {
    if (length > left()) fail("ends too early");
    Reader reader(words_ + at_, length, std::move(where));
    at_ += length;
    return reader;
  }

 private:
  const double* words_;
  size_t length_, at_ = 0;
  std::string where_;
};

bool known(int code) {
  return (code >= 0 && code <= static_cast<int>(MapOpcode::IsInf)) ||
         (code >= static_cast<int>(MapOpcode::Add) && code <= static_cast<int>(MapOpcode::Xor)) ||
         code == static_cast<int>(MapOpcode::Select) || code == static_cast<int>(MapOpcode::Fma) ||
         code == static_cast<int>(MapOpcode::Trunc);
}

MapInstruction read_map(Reader& r) {
  MapInstruction m;
  m.compute = static_cast<DType>(r.small(1, "compute type"));
  m.shape = r.integers("shape");
  m.reduced_axes = r.small_integers("reduced axes");
  m.inputs.resize(r.count(4, "number of inputs"));
  for (View& v : m.inputs) v = r.view();
  m.code.resize(r.count(5, "number of operations"));
  for (MapOp& op : m.code) {
    const int code = r.small(255, "operation");
    if (!known(code)) r.fail("unknown map operation " + std::to_string(code));
    op.op = static_cast<MapOpcode>(code);
    op.a = r.small(INT32_MAX, "register");
    op.b = r.small(INT32_MAX, "register");
    op.c = r.small(INT32_MAX, "register");
    op.value = r.number();
  }
  m.outputs.resize(r.count(7, "number of outputs"));
  for (MapOutput& o : m.outputs) {
    o.reg = r.small(INT32_MAX, "register");
    o.reduce = static_cast<ReduceKind>(r.small(3, "reduction"));
    o.accumulate = r.flag("accumulate");
    o.view = r.view();
  }
  return m;
}

DotInstruction read_dot(Reader& r) {
  DotInstruction d;
  d.a = r.view();
  d.b = r.view();
  d.c = r.view();
  d.labels_a = r.small_integers("labels");
  d.labels_b = r.small_integers("labels");
  d.labels_c = r.small_integers("labels");
  d.alpha = r.number();
  d.accumulate = r.flag("accumulate");
  return d;
}

ConvInstruction read_conv(Reader& r) {
  ConvInstruction c;
  c.mode = static_cast<ConvMode>(r.small(2, "mode"));
  c.x = r.view();
  c.w = r.view();
  c.y = r.view();
  c.strides = r.integers("strides");
  c.pad_low = r.integers("padLow");
  c.dilations = r.integers("dilations");
  c.groups = r.any_integer("groups");
  c.accumulate = r.flag("accumulate");
  return c;
}

WindowInstruction read_window(Reader& r) {
  WindowInstruction w;
  w.mode = static_cast<WindowMode>(r.small(2, "mode"));
  w.x = r.view();
  w.y = r.view();
  w.window = r.integers("window");
  w.strides = r.integers("strides");
  w.pad_low = r.integers("padLow");
  w.dilations = r.integers("dilations");
  return w;
}

Instruction read_instruction(int opcode, Reader& r) {
  const auto axis = [&r] { return r.small(kMaxDims - 1, "axis"); };
  switch (static_cast<Opcode>(opcode)) {
    case Opcode::Map: return read_map(r);
    case Opcode::Copy: {
      CopyInstruction i;
      i.source = r.view();
      i.target = r.view();
      return i;
    }
    case Opcode::Fill: {
      FillInstruction i;
      i.target = r.view();
      i.value = r.number();
      return i;
    }
    case Opcode::Dot: return read_dot(r);
    case Opcode::Conv: return read_conv(r);
    case Opcode::Window: return read_window(r);
    // Braces evaluate from left to right.
    case Opcode::Take: return TakeInstruction{r.view(), r.view(), r.view()};
    case Opcode::TakeTranspose: return TakeTransposeInstruction{r.view(), r.view(), r.view(), r.flag("accumulate")};
    case Opcode::GatherElements: return GatherElementsInstruction{r.view(), r.view(), r.view(), axis()};
    case Opcode::ScatterElements: return ScatterElementsInstruction{r.view(), r.view(), r.view(), axis(), r.flag("accumulate")};
    case Opcode::ArgReduce: return ArgReduceInstruction{r.view(), r.view(), axis(), r.flag("largest")};
    case Opcode::Cumsum: return CumsumInstruction{r.view(), r.view(), axis(), r.flag("exclusive"), r.flag("reverse")};
    case Opcode::Argsort: return ArgsortInstruction{r.view(), r.view(), axis(), r.flag("descending")};
  }
  r.fail("unknown opcode " + std::to_string(opcode));
}

}  // namespace

const char* instruction_name(const Instruction& instruction) {
  static const char* const names[] = {"map", "copy", "fill", "dot", "conv", "window", "take", "takeTranspose",
                                      "gatherElements", "scatterElements", "argReduce", "cumsum", "argsort"};
  return names[instruction.index()];
}

Program decode_program(const double* code, size_t length, std::vector<std::string> labels) {
  Reader r(code, length, "program");
  if (r.left() < 4 || r.number() != kProgramMagic) r.fail("not a compiled program");
  if (r.number() != kProgramVersion) r.fail("compiled for another version of the program format");
  Program program;
  const int64_t bindings = r.integer(0, INT32_MAX, "number of bindings");
  const int64_t instructions = r.integer(0, INT32_MAX, "number of instructions");
  if (static_cast<uint64_t>(bindings) > r.left() / 2 || static_cast<uint64_t>(instructions) > r.left() / 2) r.fail("ends too early");
  program.bindings.resize(static_cast<size_t>(bindings));
  for (Binding& b : program.bindings) {
    b.bytes = r.integer(0, static_cast<int64_t>(kLargestInteger), "bytes of a binding");
    b.written = r.flag("written");
  }
  program.labels = std::move(labels);
  program.labels.resize(static_cast<size_t>(instructions));
  for (int64_t i = 0; i < instructions; i++) {
    const int opcode = r.small(255, "opcode");
    const size_t words = static_cast<size_t>(r.integer(0, static_cast<int64_t>(r.left()), "number of words"));
    std::string& label = program.labels[static_cast<size_t>(i)];
    const std::string where = "instruction " + std::to_string(i) + (label.empty() ? "" : " (" + label + ")");
    Reader payload = r.part(words, where);
    program.instructions.push_back(read_instruction(opcode, payload));
    if (payload.left() != 0) payload.fail("has " + std::to_string(payload.left()) + " words too many");
    validate_instruction(program.instructions.back(), program.bindings, where);
    if (label.empty()) label = instruction_name(program.instructions.back());
  }
  if (r.left() != 0) r.fail("has " + std::to_string(r.left()) + " words too many");
  analyse_access(program);
  return program;
}

}  // namespace hessia
