// The views of each instruction, and what happens to them. Included by program.h.
#pragma once

namespace hessia {

template <class F> struct ViewVisitor {
  F f;
  void read(const View& v) { f(v, true, false, nullptr); }
  void write(const View& v, bool accumulate = false) { f(v, accumulate, true, nullptr); }

  void operator()(const MapInstruction& i) {
    for (const View& v : i.inputs) read(v);
    for (const MapOutput& o : i.outputs) {
      f(o.view, o.accumulate, true, o.reduce == ReduceKind::None ? nullptr : &i.reduced_axes);
    }
  }
  void operator()(const CopyInstruction& i) { read(i.source), write(i.target); }
  void operator()(const FillInstruction& i) { write(i.target); }
  void operator()(const DotInstruction& i) { read(i.a), read(i.b), write(i.c, i.accumulate); }
  void operator()(const ConvInstruction& i) {
    if (i.mode == ConvMode::Forward) read(i.x), read(i.w), write(i.y, i.accumulate);
    else if (i.mode == ConvMode::Input) read(i.y), read(i.w), write(i.x, i.accumulate);
    else read(i.x), read(i.y), write(i.w, i.accumulate);
  }
  void operator()(const WindowInstruction& i) {
    if (i.mode == WindowMode::SumTranspose) read(i.y), write(i.x);
    else read(i.x), write(i.y);
  }
  void operator()(const TakeInstruction& i) { read(i.x), read(i.index), write(i.y); }
  void operator()(const TakeTransposeInstruction& i) { read(i.y), read(i.index), write(i.x, i.accumulate); }
  void operator()(const GatherElementsInstruction& i) { read(i.x), read(i.index), write(i.y); }
  void operator()(const ScatterElementsInstruction& i) { read(i.y), read(i.index), write(i.x, i.accumulate); }
  void operator()(const ArgReduceInstruction& i) { read(i.x), write(i.y); }
  void operator()(const CumsumInstruction& i) { read(i.x), write(i.y); }
  void operator()(const ArgsortInstruction& i) { read(i.x), write(i.y); }
};

template <class F> void for_each_view(const Instruction& instruction, F f) {
  std::visit(ViewVisitor<F>{f}, instruction);
}

}  // namespace hessia
