// Random views and typed access for tests.
#pragma once
#include <algorithm>
#include <memory>
#include <numeric>

#include "base/workspace.h"
#include "kernels/table.h"
#include "test/harness.h"

namespace hessia::test {

inline int64_t count_of(const std::vector<int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<int64_t>());
}
inline View dense_view(int binding, DType dtype, std::vector<int64_t> shape) {
  View v{binding, dtype, 0, shape, std::vector<int64_t>(shape.size())};
  int64_t step = 1;
  for (size_t d = shape.size(); d-- > 0; step *= std::max<int64_t>(shape[d], 1)) v.strides[d] = step;
  return v;
}
// Axes in random order in memory, sometimes with gaps, reversed or (for inputs) broadcast.
inline View random_view(std::mt19937_64& rng, int binding, DType dtype, std::vector<int64_t> shape, bool broadcast) {
  View v{binding, dtype, pick(rng, 0, 3), shape, std::vector<int64_t>(shape.size(), 0)};
  std::vector<size_t> order(shape.size());
  std::iota(order.begin(), order.end(), size_t{0});
  if (pick(rng, 0, 1)) std::shuffle(order.begin(), order.end(), rng);
  int64_t step = pick(rng, 0, 4) ? 1 : 2;
  for (size_t i = order.size(); i-- > 0;) {
    const size_t d = order[i];
    if (broadcast && pick(rng, 0, 3) == 0) continue;
    v.strides[d] = step;
    step *= std::max<int64_t>(shape[d], 1);
    if (pick(rng, 0, 5) == 0) step += pick(rng, 1, 3);
    if (pick(rng, 0, 7) == 0 && shape[d] > 0) {
      v.offset += v.strides[d] * (shape[d] - 1);
      v.strides[d] = -v.strides[d];
    }
  }
  return v;
}
// Elements a binding needs for a view.
inline int64_t span_of(const View& v) {
  int64_t high = v.offset;
  for (size_t d = 0; d < v.shape.size(); d++) {
    if (v.shape[d] == 0) return v.offset;
    if (v.strides[d] > 0) high += (v.shape[d] - 1) * v.strides[d];
  }
  return high + 1;
}
// Offset of the i-th position, last axis fastest.
inline int64_t offset_at(const View& v, int64_t i) {
  int64_t at = v.offset;
  for (size_t d = v.shape.size(); d-- > 0;) {
    at += i % v.shape[d] * v.strides[d];
    i /= v.shape[d];
  }
  return at;
}
inline double get(const void* base, DType dtype, int64_t at) {
  switch (dtype) {
    case DType::Float32: return static_cast<const float*>(base)[at];
    case DType::Float64: return static_cast<const double*>(base)[at];
    case DType::Int32: return static_cast<const int32_t*>(base)[at];
    case DType::Bool: return static_cast<const uint8_t*>(base)[at];
  }
  return 0;
}
inline void set(void* base, DType dtype, int64_t at, double value) {
  switch (dtype) {
    case DType::Float32: static_cast<float*>(base)[at] = static_cast<float>(value); break;
    case DType::Float64: static_cast<double*>(base)[at] = value; break;
    case DType::Int32: static_cast<int32_t*>(base)[at] = static_cast<int32_t>(value); break;
    case DType::Bool: static_cast<uint8_t*>(base)[at] = value != 0; break;
  }
}
inline std::unique_ptr<Guarded> memory_for(const View& v) {
  return std::make_unique<Guarded>(static_cast<size_t>(span_of(v) * bytes_per_element(v.dtype)));
}
inline std::vector<int64_t> random_shape(std::mt19937_64& rng, int max_rank, int64_t limit) {
  std::vector<int64_t> shape(static_cast<size_t>(pick(rng, 0, max_rank)));
  for (int64_t& s : shape) s = pick(rng, 0, 3) == 0 ? pick(rng, 1, 40) : pick(rng, 1, 6);
  if (!shape.empty() && pick(rng, 0, 2) == 0) shape[static_cast<size_t>(pick(rng, 0, static_cast<int64_t>(shape.size()) - 1))] = pick(rng, 1, 1500);
  while (count_of(shape) > limit) *std::max_element(shape.begin(), shape.end()) /= 2;
  return shape;
}
inline double eps_of(DType t) { return t == DType::Float32 ? 1.1920929e-7 : 2.220446049250313e-16; }

}  // namespace hessia::test
