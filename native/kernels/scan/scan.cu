// Along one axis: positions of extremes, running sums, sorted order; meanings as scan.h. A line is served by a
// group of threads of one block (extremes), by one block or, if short, one thread (running sums), or by one
// thread an element (sorting). Deterministic.
#include <type_traits>

#include "device/cuda/context.h"
#include "device/cuda/element.h"
#include "device/cuda/kernels.h"
#include "device/cuda/sort.h"

namespace hessia::cuda {
namespace {

struct Lines {
  Space<2> space;  // x and y
  int64_t count, length, xs, ys;
};
Lines lines_of(const View& x, const View& y, int axis) {
  if (x.shape.size() > kMaxRank + 1) throw Error(ErrorCode::UNSUPPORTED, "more than 13 axes on device cuda; use --device cpu");
  Lines lines{};
  lines.count = 1;
  for (int d = 0; d < static_cast<int>(x.shape.size()); d++) {
    const size_t at = static_cast<size_t>(d);
    if (d == axis) continue;
    const int r = lines.space.rank++;
    lines.space.size[r] = x.shape[at];
    lines.space.stride[0][r] = x.strides[at];
    lines.space.stride[1][r] = y.strides[at];
    lines.count *= x.shape[at];
  }
  lines.space.offset[0] = x.offset;
  lines.space.offset[1] = y.offset;
  lines.length = x.shape[static_cast<size_t>(axis)];
  lines.xs = x.strides[static_cast<size_t>(axis)];
  lines.ys = y.strides[static_cast<size_t>(axis)];
  return lines;
}

// ---- extremes -----------------------------------------------------------------------------------------
// The first NaN, else the first extreme. Position -1: none yet.
template <class T> HESSIA_DEVICE bool precedes(T x, int32_t i, T y, int32_t j, bool largest) {
  if (i < 0 || j < 0) return j < 0 && i >= 0;
  const bool nan_x = x != x, nan_y = y != y;
  if (nan_x || nan_y) return nan_x && (!nan_y || i < j);
  if (x != y) return largest ? x > y : x < y;
  return i < j;
}
template <class T> __global__ void find_extremes(Lines lines, int lanes, bool largest, const T* x, int32_t* y) {
  HESSIA_SHARED(T, values, kThreads);
  HESSIA_SHARED(int32_t, at, kThreads);
  const int thread = static_cast<int>(threadIdx.x), lane = thread % lanes;
  const int64_t line = static_cast<int64_t>(blockIdx.x) * (kThreads / static_cast<unsigned>(lanes)) + thread / lanes;
  T best = T(0);
  int32_t best_at = -1;
  if (line < lines.count) {
    const T* from = x + lines.space.at(0, line);
    for (int64_t j = lane; j < lines.length; j += lanes) {
      const T next = from[j * lines.xs];
      if (!precedes(next, static_cast<int32_t>(j), best, best_at, largest)) continue;
      best = next;
      best_at = static_cast<int32_t>(j);
    }
  }
  values[thread] = best;
  at[thread] = best_at;
  __syncthreads();
  for (int half = lanes / 2; half > 0; half /= 2) {
    if (lane < half && precedes(values[thread + half], at[thread + half], values[thread], at[thread], largest)) {
      values[thread] = values[thread + half];
      at[thread] = at[thread + half];
    }
    __syncthreads();
  }
  if (lane == 0 && line < lines.count) y[lines.space.at(1, line)] = at[thread];
}

// ---- running sums -------------------------------------------------------------------------------------
template <class T> using SumOf = std::conditional_t<std::is_floating_point<T>::value, double, uint32_t>;  // int32 wraps around
constexpr int64_t kShortLine = 64;

template <class T> __global__ void sum_short_lines(Lines lines, bool exclusive, const T* x, T* y) {
  const int64_t line = flat_index();
  if (line >= lines.count) return;
  const T* from = x + lines.space.at(0, line);
  T* to = y + lines.space.at(1, line);
  SumOf<T> sum = 0;
  for (int64_t j = 0; j < lines.length; j++) {
    const SumOf<T> before = sum;
    sum += static_cast<SumOf<T>>(from[j * lines.xs]);
    to[j * lines.ys] = static_cast<T>(exclusive ? before : sum);
  }
}
// A block takes kThreads elements at a time: after step s every thread has the sum of the 2s elements up to its own.
template <class T> __global__ void sum_lines(Lines lines, bool exclusive, const T* x, T* y) {
  HESSIA_SHARED(SumOf<T>, sums, kThreads);
  const int thread = static_cast<int>(threadIdx.x);
  const T* from = x + lines.space.at(0, blockIdx.x);
  T* to = y + lines.space.at(1, blockIdx.x);
  SumOf<T> carry = 0;
  for (int64_t start = 0; start < lines.length; start += kThreads) {
    const int64_t j = start + thread;
    const SumOf<T> own = j < lines.length ? static_cast<SumOf<T>>(from[j * lines.xs]) : SumOf<T>(0);
    sums[thread] = own;
    __syncthreads();
    for (int step = 1; step < static_cast<int>(kThreads); step *= 2) {
      const SumOf<T> left = thread >= step ? sums[thread - step] : SumOf<T>(0);
      __syncthreads();
      sums[thread] += left;
      __syncthreads();
    }
    if (j < lines.length) {
      const SumOf<T> before = thread > 0 ? carry + sums[thread - 1] : carry;
      to[j * lines.ys] = static_cast<T>(exclusive ? before : carry + sums[thread]);
    }
    carry += sums[kThreads - 1];
    __syncthreads();
  }
}

// ---- sorting ------------------------------------------------------------------------------------------
template <class T> struct ValueLess {
  Lines lines;
  const T* x;
  bool descending;
  // NaN counts as largest.
  __device__ bool operator()(int64_t line, int32_t i, int32_t j) const {
    const T* from = x + lines.space.at(0, line);
    const T p = from[(descending ? j : i) * lines.xs], q = from[(descending ? i : j) * lines.xs];
    return p < q || (q != q && p == p);
  }
};
__global__ void write_order(Lines lines, const int32_t* order, int32_t* y) {
  const int64_t e = flat_index();
  if (e >= lines.count * lines.length) return;
  const int64_t line = e / lines.length;
  y[lines.space.at(1, line) + (e - line * lines.length) * lines.ys] = order[e];
}

}  // namespace

void arg_reduce(const ArgReduceInstruction& a, Bindings bindings, Workspace& ws) {
  if (elements(a.y.shape) == 0) return;
  const Lines lines = lines_of(a.x, a.y, a.axis);
  int lanes = 1;
  while (lanes < static_cast<int>(kThreads) && lanes * 4 < lines.length) lanes *= 2;
  const dim3 grid(static_cast<unsigned>(ceil_div(lines.count, kThreads / static_cast<unsigned>(lanes))));
  with_type(a.x.dtype, [&](auto zero) {
    using T = decltype(zero);
    launch_blocks(ws, find_extremes<T>, grid, lines, lanes, a.largest, static_cast<const T*>(base_of<T>(a.x, bindings)),
                  base_of<int32_t>(a.y, bindings));
  });
}

void cumsum(const CumsumInstruction& c, Bindings bindings, Workspace& ws) {
  if (elements(c.y.shape) == 0) return;
  Lines lines = lines_of(c.x, c.y, c.axis);
  if (c.reverse) {
    lines.space.offset[0] += (lines.length - 1) * lines.xs;
    lines.space.offset[1] += (lines.length - 1) * lines.ys;
    lines.xs = -lines.xs;
    lines.ys = -lines.ys;
  }
  with_type(c.x.dtype, [&](auto zero) {
    using T = decltype(zero);
    const T* x = base_of<T>(c.x, bindings);
    T* y = base_of<T>(c.y, bindings);
    if (lines.length <= kShortLine) launch(ws, sum_short_lines<T>, lines.count, lines, c.exclusive, x, y);
    else launch_blocks(ws, sum_lines<T>, dim3(static_cast<unsigned>(lines.count)), lines, c.exclusive, x, y);
  });
}

void argsort(const ArgsortInstruction& a, Bindings bindings, Workspace& ws) {
  if (elements(a.y.shape) == 0) return;
  const Lines lines = lines_of(a.x, a.y, a.axis);
  with_type(a.x.dtype, [&](auto zero) {
    using T = decltype(zero);
    const int32_t* order =
        sorted_order(lines.count, lines.length, ValueLess<T>{lines, base_of<T>(a.x, bindings), a.descending}, ws);
    launch(ws, write_order, lines.count * lines.length, lines, order, base_of<int32_t>(a.y, bindings));
  });
}

}  // namespace hessia::cuda
