// The rules of each instruction; see src/program/format.ts.
#include <algorithm>
#include <string>

#include "base/error.h"
#include "program/program.h"

namespace hessia {
namespace {

constexpr int64_t kLargest = int64_t{1} << 53;

bool is_float(DType t) { return t == DType::Float32 || t == DType::Float64; }

class Validator {
 public:
  Validator(const std::vector<Binding>& bindings, const std::string& where) : bindings_(bindings), where_(where) {}

  // Addresses of every view, and that what is written is written once per position.
  void addresses(const Instruction& instruction) {
    for_each_view(instruction, [this](const View& v, bool, bool writes, const std::vector<int>* reduced) {
      extent(v);
      if (!writes) return;
      need(bindings_[static_cast<size_t>(v.binding)].written, "writes to a binding that is declared as only read");
      for (size_t d = 0; d < v.shape.size(); d++) {
        const bool is_reduced = reduced && std::find(reduced->begin(), reduced->end(), static_cast<int>(d)) != reduced->end();
        need(is_reduced || v.shape[d] <= 1 || v.strides[d] != 0, "writes a position more than once (stride 0)");
      }
    });
  }

  void operator()(const MapInstruction& m) {
    need(m.shape.size() <= 12, "has more than 12 axes");
    for (int64_t s : m.shape) need(s >= 0, "negative size");
    count(m.shape);
    std::vector<bool> reduced(m.shape.size(), false);
    for (int axis : m.reduced_axes) {
      need(axis < static_cast<int>(m.shape.size()) && !reduced[static_cast<size_t>(axis)], "reduced axes are not axes, or repeat");
      reduced[static_cast<size_t>(axis)] = true;
    }
    for (const View& v : m.inputs) need(v.shape == m.shape, "an input does not have the iteration shape");
    size_t registers = m.inputs.size();
    for (const MapOp& op : m.code) {
      const auto use = [&](int r) { need(static_cast<size_t>(r) < registers, "an operation reads a register that is not computed yet"); };
      const int code = static_cast<int>(op.op);
      if (op.op != MapOpcode::Constant) use(op.a);
      if (code >= static_cast<int>(MapOpcode::Add) && code <= static_cast<int>(MapOpcode::Fma)) use(op.b);
      if (op.op == MapOpcode::Select || op.op == MapOpcode::Fma) use(op.c);
      registers++;
    }
    for (const MapOutput& o : m.outputs) {
      need(static_cast<size_t>(o.reg) < registers, "an output names a register that does not exist");
      need(o.view.shape.size() == m.shape.size(), "an output does not have the iteration shape");
      for (size_t d = 0; d < m.shape.size(); d++) {
        const bool gone = o.reduce != ReduceKind::None && reduced[d];
        need(o.view.shape[d] == m.shape[d] || (gone && o.view.shape[d] == 1), "an output does not have the iteration shape");
        need(!gone || o.view.shape[d] == 1 || o.view.strides[d] == 0, "a reduced output has a stride along a reduced axis");
      }
    }
  }
  void operator()(const CopyInstruction& c) {
    need(c.source.shape == c.target.shape, "shapes differ");
    need(c.source.dtype == c.target.dtype, "types differ");
  }
  void operator()(const FillInstruction&) {}

  void operator()(const DotInstruction& d) {
    need(is_float(d.c.dtype) && d.a.dtype == d.c.dtype && d.b.dtype == d.c.dtype, "operands need one float type");
    std::vector<std::pair<int, int64_t>> sizes;
    labels(d.a, d.labels_a, sizes);
    labels(d.b, d.labels_b, sizes);
    const size_t known = sizes.size();
    labels(d.c, d.labels_c, sizes);
    need(sizes.size() == known, "a label of c is in neither a nor b");
  }

  void operator()(const ConvInstruction& c) {
    const size_t space = c.strides.size();
    need(space >= 1 && space <= 3, "needs one to three spatial axes");
    need(c.pad_low.size() == space && c.dilations.size() == space, "strides, padLow and dilations differ in length");
    for (const View* v : {&c.x, &c.w, &c.y}) {
      need(v->shape.size() == space + 3, "an operand has the wrong rank");
      contiguous(*v, 1);
      need(is_float(v->dtype) && v->dtype == c.x.dtype, "operands need one float type");
    }
    positive(c.strides, "strides");
    positive(c.dilations, "dilations");
    bounded(c.pad_low, "padLow");
    need(c.groups >= 1, "groups must be positive");
    need(c.x.shape[0] == c.w.shape[0] && c.x.shape[0] == c.y.shape[0], "the leading axis differs");
    need(c.x.shape[1] == c.y.shape[1], "the number of samples differs");
    need(c.w.shape[1] == c.y.shape[2], "output channels differ");
    need(c.w.shape[2] == c.x.shape[2] / c.groups && c.x.shape[2] % c.groups == 0, "input channels do not fit the groups");
    need(c.y.shape[2] % c.groups == 0, "output channels do not fit the groups");
  }

  void operator()(const WindowInstruction& w) {
    const size_t space = w.window.size();
    need(space >= 1 && space <= 3, "needs one to three spatial axes");
    need(w.strides.size() == space && w.pad_low.size() == space && w.dilations.size() == space,
         "window, strides, padLow and dilations differ in length");
    for (const View* v : {&w.x, &w.y}) {
      need(v->shape.size() == space + 1, "an operand has the wrong rank");
      contiguous(*v, 0);
    }
    positive(w.window, "window");
    positive(w.strides, "strides");
    positive(w.dilations, "dilations");
    bounded(w.pad_low, "padLow");
    need(w.x.shape[0] == w.y.shape[0], "the leading axis differs");
    need(is_float(w.x.dtype), "x needs a float type");
    need(w.y.dtype == (w.mode == WindowMode::Argmax ? DType::Int32 : w.x.dtype), "y has the wrong type");
    if (w.mode == WindowMode::Argmax) {
      int64_t size = 1;
      for (size_t d = 1; d <= space; d++) size *= w.x.shape[d];
      fits_index(size);
      need(size > 0 || elements(w.y) == 0, "there is nothing to take the maximum of");
    }
  }

  void operator()(const TakeInstruction& t) { take(t.x, t.index, t.y); }
  void operator()(const TakeTransposeInstruction& t) { take(t.x, t.index, t.y); }
  void operator()(const GatherElementsInstruction& g) { gather(g.x, g.index, g.y, g.axis); }
  void operator()(const ScatterElementsInstruction& s) { gather(s.x, s.index, s.y, s.axis); }

  void operator()(const ArgReduceInstruction& a) {
    axis(a.x, a.axis);
    need(a.y.shape.size() == a.x.shape.size() && a.y.dtype == DType::Int32, "y needs the rank of x and type int32");
    for (size_t d = 0; d < a.x.shape.size(); d++) {
      need(a.y.shape[d] == (static_cast<int>(d) == a.axis ? 1 : a.x.shape[d]), "shapes do not fit");
    }
    fits_index(a.x.shape[static_cast<size_t>(a.axis)]);
    need(a.x.shape[static_cast<size_t>(a.axis)] > 0 || elements(a.y) == 0, "there is nothing to take the extreme of");
  }
  void operator()(const CumsumInstruction& c) {
    axis(c.x, c.axis);
    need(c.x.shape == c.y.shape && c.x.dtype == c.y.dtype, "shapes or types differ");
    need(c.x.dtype != DType::Bool, "needs numbers");
  }
  void operator()(const ArgsortInstruction& a) {
    axis(a.x, a.axis);
    need(a.x.shape == a.y.shape && a.y.dtype == DType::Int32, "y needs the shape of x and type int32");
    fits_index(a.x.shape[static_cast<size_t>(a.axis)]);
  }

 private:
  void need(bool condition, const char* otherwise) const {
    if (!condition) throw Error(ErrorCode::INVALID_ARGUMENT, where_ + ": " + otherwise);
  }
  // The product of sizes, which must stay below 2^53.
  int64_t count(const std::vector<int64_t>& shape) const {
    int64_t n = 1;
    for (int64_t s : shape) if (s == 0) return 0;
    for (int64_t s : shape) {
      need(s <= kLargest / n, "has too many elements");
      n *= s;
    }
    return n;
  }
  int64_t elements(const View& v) const { return count(v.shape); }

  void extent(const View& v) const {
    need(v.binding >= 0 && static_cast<size_t>(v.binding) < bindings_.size(), "names a binding that does not exist");
    if (elements(v) == 0) return;
    int64_t low = v.offset, high = v.offset;
    for (size_t d = 0; d < v.shape.size(); d++) {
      const int64_t steps = v.shape[d] - 1, stride = v.strides[d];
      if (steps == 0 || stride == 0) continue;
      need(std::llabs(stride) <= kLargest / steps, "addresses memory outside its binding");
      (stride > 0 ? high : low) += steps * stride;
      need(low >= -kLargest && high <= kLargest, "addresses memory outside its binding");
    }
    const int64_t bytes = bindings_[static_cast<size_t>(v.binding)].bytes;
    need(low >= 0 && high < bytes / bytes_per_element(v.dtype), "addresses memory outside its binding");
  }
  void contiguous(const View& v, size_t from) const {
    int64_t expected = 1;
    for (size_t d = v.shape.size(); d-- > from;) {
      need(v.shape[d] <= 1 || v.strides[d] == expected, "an operand is not contiguous");
      expected *= std::max<int64_t>(v.shape[d], 1);
    }
  }
  void positive(const std::vector<int64_t>& values, const char* what) const {
    for (int64_t v : values) {
      if (v < 1 || v > INT32_MAX) throw Error(ErrorCode::INVALID_ARGUMENT, where_ + ": " + what + " must be positive");
    }
  }
  void bounded(const std::vector<int64_t>& values, const char* what) const {
    for (int64_t v : values) {
      if (v < -INT32_MAX || v > INT32_MAX) throw Error(ErrorCode::INVALID_ARGUMENT, where_ + ": " + what + " is out of range");
    }
  }
  void fits_index(int64_t size) const { need(size <= INT32_MAX, "positions do not fit int32"); }
  void axis(const View& v, int axis) const { need(static_cast<size_t>(axis) < v.shape.size(), "axis is outside the rank"); }

  void labels(const View& v, const std::vector<int>& labels, std::vector<std::pair<int, int64_t>>& sizes) const {
    need(labels.size() == v.shape.size(), "not one label per axis");
    for (size_t d = 0; d < labels.size(); d++) {
      for (size_t e = 0; e < d; e++) need(labels[e] != labels[d], "a label repeats within an operand");
      const auto found = std::find_if(sizes.begin(), sizes.end(), [&](const auto& s) { return s.first == labels[d]; });
      if (found == sizes.end()) sizes.emplace_back(labels[d], v.shape[d]);
      else need(found->second == v.shape[d], "axes with one label differ in size");
    }
  }
  void take(const View& x, const View& index, const View& y) const {
    need(x.shape.size() == 3 && index.shape.size() == 1 && y.shape.size() == 3, "an operand has the wrong rank");
    need(index.dtype == DType::Int32 && x.dtype == y.dtype, "types do not fit");
    need(x.shape[0] == y.shape[0] && x.shape[2] == y.shape[2] && index.shape[0] == y.shape[1], "shapes do not fit");
  }
  void gather(const View& x, const View& index, const View& y, int a) const {
    axis(x, a);
    need(index.dtype == DType::Int32 && x.dtype == y.dtype, "types do not fit");
    need(index.shape == y.shape && x.shape.size() == y.shape.size(), "shapes do not fit");
    for (size_t d = 0; d < x.shape.size(); d++) {
      need(static_cast<int>(d) == a || y.shape[d] <= x.shape[d], "shapes do not fit");
    }
  }

  const std::vector<Binding>& bindings_;
  const std::string& where_;
};

}  // namespace

void validate_instruction(const Instruction& instruction, const std::vector<Binding>& bindings, const std::string& where) {
  Validator validator(bindings, where);
  validator.addresses(instruction);
  std::visit(validator, instruction);
}

}  // namespace hessia
