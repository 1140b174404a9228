// Reading and adding through index arrays, as gather.h. Every index is checked before anything is written, which
// waits for the GPU. The adjoints add in the order of the indices: take_transpose sorts them (stably), and
// one thread adds up all that go to one element; scatter_elements has one thread a line. No atomics on data,
// same bits every time.
#include "device/cuda/context.h"
#include "device/cuda/element.h"
#include "device/cuda/kernels.h"
#include "device/cuda/sort.h"
#include "kernels/gather/indices.h"

namespace hessia::cuda {
namespace {

[[noreturn]] void too_many_axes() { throw Error(ErrorCode::UNSUPPORTED, "more than 12 axes on device cuda; use --device cpu"); }

// Positions of y, for x, index and y; x does not move along the axis.
Space<3> space_of(const View& x, const View& index, const View& y, int axis) {
  if (y.shape.size() > kMaxRank) too_many_axes();
  Space<3> s{};
  s.rank = static_cast<int>(y.shape.size());
  for (int d = 0; d < s.rank; d++) {
    const size_t at = static_cast<size_t>(d);
    s.size[d] = y.shape[at];
    s.stride[0][d] = d == axis ? 0 : x.strides[at];
    s.stride[1][d] = index.strides[at];
    s.stride[2][d] = y.strides[at];
  }
  s.offset[0] = x.offset, s.offset[1] = index.offset, s.offset[2] = y.offset;
  return s;
}
// The same with the axis taken out: one position a line.
Space<3> lines_of(const View& x, const View& index, const View& y, int axis) {
  Space<3> s = space_of(x, index, y, axis);
  for (int d = axis; d + 1 < s.rank; d++) {
    s.size[d] = s.size[d + 1];
    for (auto& stride : s.stride) stride[d] = stride[d + 1];
  }
  s.rank--;
  return s;
}

__global__ void find_bad_index(Space<1> space, int64_t count, const int32_t* index, int64_t size, unsigned long long* first) {
  const int64_t i = flat_index();
  if (i >= count) return;
  const int32_t value = index[space.at(0, i)];
  if (value < 0 || value >= size) atomicMin(first, static_cast<unsigned long long>(i));
}

void check_indices(const View& index, int64_t size, Bindings bindings, Workspace& ws) {
  const int64_t count = elements(index.shape);
  if (count == 0) return;
  if (index.shape.size() > kMaxRank) too_many_axes();
  Space<1> space{};
  space.rank = static_cast<int>(index.shape.size());
  for (int d = 0; d < space.rank; d++) {
    space.size[d] = index.shape[static_cast<size_t>(d)];
    space.stride[0][d] = index.strides[static_cast<size_t>(d)];
  }
  space.offset[0] = index.offset;
  Context& context = *gpu(ws).context;
  unsigned long long* first = static_cast<unsigned long long*>(gpu(ws).device_scratch(8));
  check(cudaMemsetAsync(first, 0xFF, 8, context.stream()), "clearing");
  const int32_t* base = base_of<int32_t>(index, bindings);
  launch(ws, find_bad_index, count, space, count, base, size, first);
  unsigned long long found = 0;
  context.download(&found, first, 8);
  if (found == ~0ull) return;
  int64_t at = index.offset, rest = static_cast<int64_t>(found);
  for (size_t d = index.shape.size(); d-- > 0;) {
    at += rest % index.shape[d] * index.strides[d];
    rest /= index.shape[d];
  }
  int32_t value = 0;
  context.download(&value, base + at, 4);
  cpu::bad_index(value, size);
}

struct Take { int64_t outer, count, inner, xs[3], ys[3], step; };
Take take_of(const View& x, const View& index, const View& y) {
  return {y.shape[0], y.shape[1], y.shape[2], {x.strides[0], x.strides[1], x.strides[2]}, {y.strides[0], y.strides[1], y.strides[2]},
          index.strides[0]};
}

template <class T> __global__ void take_elements(Take t, const T* x, const int32_t* index, T* y) {
  const int64_t e = flat_index();
  if (e >= t.outer * t.count * t.inner) return;
  const int64_t i = e % t.inner, j = e / t.inner % t.count, o = e / (t.inner * t.count);
  y[o * t.ys[0] + j * t.ys[1] + i * t.ys[2]] = x[o * t.xs[0] + index[j * t.step] * t.xs[1] + i * t.xs[2]];
}

struct IndexLess {
  const int32_t* index;
  int64_t step;
  __device__ bool operator()(int64_t, int32_t i, int32_t j) const { return index[i * step] < index[j * step]; }
};
// `order`: positions in index by the index there, then by position. The first of a run adds the run.
template <class T> __global__ void add_runs(Take t, T* x, const int32_t* index, const T* y, const int32_t* order) {
  const int64_t e = flat_index();
  if (e >= t.outer * t.count * t.inner) return;
  const int64_t i = e % t.inner, r = e / t.inner % t.count, o = e / (t.inner * t.count);
  const int32_t target = index[order[r] * t.step];
  if (r > 0 && index[order[r - 1] * t.step] == target) return;
  T& to = x[o * t.xs[0] + target * t.xs[1] + i * t.xs[2]];
  T sum = to;
  for (int64_t s = r; s < t.count && index[order[s] * t.step] == target; s++) {
    sum = static_cast<T>(sum + y[o * t.ys[0] + order[s] * t.ys[1] + i * t.ys[2]]);
  }
  to = sum;
}

template <class T>
__global__ void gather_positions(Space<3> space, int64_t count, int64_t step, const T* x, const int32_t* index, T* y) {
  const int64_t i = flat_index();
  if (i < count) y[space.at(2, i)] = x[space.at(0, i) + index[space.at(1, i)] * step];
}
template <class T>
__global__ void scatter_lines(Space<3> lines, int64_t count, int64_t length, int64_t xs, int64_t is, int64_t ys, T* x, const int32_t* index,
                              const T* y) {
  const int64_t l = flat_index();
  if (l >= count) return;
  const int64_t ax = lines.at(0, l), ai = lines.at(1, l), ay = lines.at(2, l);
  for (int64_t j = 0; j < length; j++) {
    T& to = x[ax + index[ai + j * is] * xs];
    to = static_cast<T>(to + y[ay + j * ys]);
  }
}

}  // namespace

void take(const TakeInstruction& t, Bindings bindings, Workspace& ws) {
  const int64_t count = elements(t.y.shape);
  if (count == 0) return;
  check_indices(t.index, t.x.shape[1], bindings, ws);
  const int32_t* index = base_of<int32_t>(t.index, bindings) + t.index.offset;
  with_type(t.x.dtype, [&](auto zero) {
    using T = decltype(zero);
    launch(ws, take_elements<T>, count, take_of(t.x, t.index, t.y), static_cast<const T*>(base_of<T>(t.x, bindings) + t.x.offset), index,
           base_of<T>(t.y, bindings) + t.y.offset);
  });
}

void take_transpose(const TakeTransposeInstruction& t, Bindings bindings, Workspace& ws) {
  check_indices(t.index, t.x.shape[1], bindings, ws);
  if (!t.accumulate) fill(FillInstruction{t.x, 0.0}, bindings, ws);
  const int64_t count = elements(t.y.shape);
  if (count == 0) return;
  const int32_t* index = base_of<int32_t>(t.index, bindings) + t.index.offset;
  const int32_t* order = sorted_order(1, t.y.shape[1], IndexLess{index, t.index.strides[0]}, ws);
  with_type(t.x.dtype, [&](auto zero) {
    using T = decltype(zero);
    launch(ws, add_runs<T>, count, take_of(t.x, t.index, t.y), base_of<T>(t.x, bindings) + t.x.offset, index,
           static_cast<const T*>(base_of<T>(t.y, bindings) + t.y.offset), order);
  });
}

void gather_elements(const GatherElementsInstruction& g, Bindings bindings, Workspace& ws) {
  const int64_t count = elements(g.y.shape);
  if (count == 0) return;
  const size_t axis = static_cast<size_t>(g.axis);
  check_indices(g.index, g.x.shape[axis], bindings, ws);
  with_type(g.x.dtype, [&](auto zero) {
    using T = decltype(zero);
    launch(ws, gather_positions<T>, count, space_of(g.x, g.index, g.y, g.axis), count, g.x.strides[axis],
           static_cast<const T*>(base_of<T>(g.x, bindings)), static_cast<const int32_t*>(base_of<int32_t>(g.index, bindings)),
           base_of<T>(g.y, bindings));
  });
}

void scatter_elements(const ScatterElementsInstruction& s, Bindings bindings, Workspace& ws) {
  const size_t axis = static_cast<size_t>(s.axis);
  check_indices(s.index, s.x.shape[axis], bindings, ws);
  if (!s.accumulate) fill(FillInstruction{s.x, 0.0}, bindings, ws);
  const int64_t length = s.y.shape[axis], count = length == 0 ? 0 : elements(s.y.shape) / length;
  if (count == 0) return;
  with_type(s.x.dtype, [&](auto zero) {
    using T = decltype(zero);
    launch(ws, scatter_lines<T>, count, lines_of(s.x, s.index, s.y, s.axis), count, length, s.x.strides[axis], s.index.strides[axis],
           s.y.strides[axis], base_of<T>(s.x, bindings), static_cast<const int32_t*>(base_of<int32_t>(s.index, bindings)),
           static_cast<const T*>(base_of<T>(s.y, bindings)));
  });
}

}  // namespace hessia::cuda
