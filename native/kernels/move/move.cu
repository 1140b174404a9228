// copy and fill: one thread an element, in the order of the target's memory. Deterministic; no overlap.
// A transpose reads uncoalesced.
#include "base/numbers.h"
#include "device/cuda/context.h"
#include "device/cuda/element.h"
#include "device/cuda/kernels.h"
#include "kernels/map/axes.h"

namespace hessia::cuda {
namespace {

template <int N> Space<N> space_of(cpu::Axes& axes, const int64_t (&offsets)[N]) {
  cpu::drop_unit_axes(axes);
  cpu::sort_axes(axes, 1);
  cpu::merge_axes(axes);
  Space<N> space{};
  space.rank = axes.rank();
  for (int d = 0; d < space.rank; d++) {
    space.size[d] = axes.size[d];
    for (int v = 0; v < N; v++) space.stride[v][d] = axes.strides[v][d];
  }
  for (int v = 0; v < N; v++) space.offset[v] = offsets[v];
  return space;
}

template <class T> __global__ void copy_elements(Space<2> space, int64_t count, T* target, const T* source) {
  const int64_t i = flat_index();
  if (i < count) target[space.at(0, i)] = source[space.at(1, i)];
}
template <class T> __global__ void fill_elements(Space<1> space, int64_t count, T* target, T value) {
  const int64_t i = flat_index();
  if (i < count) target[space.at(0, i)] = value;
}

cpu::Axes axes_of(const std::vector<int64_t>& shape, std::vector<std::vector<int64_t>> strides) {
  if (shape.size() > kMaxRank) throw Error(ErrorCode::UNSUPPORTED, "more than 12 axes on device cuda; use --device cpu");
  cpu::Axes axes;
  axes.size = shape;
  axes.reduced.assign(shape.size(), false);
  axes.strides = std::move(strides);
  return axes;
}

template <class T> void fill_view(const View& v, T value, Bindings bindings, Workspace& ws) {
  cpu::Axes axes = axes_of(v.shape, {v.strides});
  const Space<1> space = space_of<1>(axes, {v.offset});
  const int64_t count = elements(v.shape);
  launch(ws, fill_elements<T>, count, space, count, base_of<T>(v, bindings), value);
}

}  // namespace

void copy(const CopyInstruction& c, Bindings bindings, Workspace& ws) {
  const int64_t count = elements(c.target.shape);
  if (count == 0) return;
  cpu::Axes axes = axes_of(c.target.shape, {c.target.strides, c.source.strides});
  const Space<2> space = space_of<2>(axes, {c.target.offset, c.source.offset});
  with_type(c.target.dtype, [&](auto zero) {
    using T = decltype(zero);
    launch(ws, copy_elements<T>, count, space, count, base_of<T>(c.target, bindings), static_cast<const T*>(base_of<T>(c.source, bindings)));
  });
}

void fill(const FillInstruction& f, Bindings bindings, Workspace& ws) {
  if (elements(f.target.shape) == 0) return;
  switch (f.target.dtype) {
    case DType::Float32: return fill_view(f.target, static_cast<float>(f.value), bindings, ws);
    case DType::Float64: return fill_view(f.target, f.value, bindings, ws);
    case DType::Int32: return fill_view(f.target, to_int32(f.value), bindings, ws);
    case DType::Bool: return fill_view(f.target, static_cast<uint8_t>(f.value != 0), bindings, ws);
  }
}

}  // namespace hessia::cuda
