// Elements of views on the GPU: addresses and conversions. Truth values are 0 and 1; numbers to int32 are
// truncated towards zero and saturate, NaN becomes 0.
#pragma once
#include <vector>

#include "device/cuda/runtime.h"
#include "kernels/table.h"

namespace hessia::cuda {

constexpr int kMaxRank = 12;

template <class T> HESSIA_DEVICE T load_as(DType dtype, const void* base, int64_t at) {
  switch (dtype) {
    case DType::Float32: return static_cast<T>(static_cast<const float*>(base)[at]);
    case DType::Float64: return static_cast<T>(static_cast<const double*>(base)[at]);
    case DType::Int32: return static_cast<T>(static_cast<const int32_t*>(base)[at]);
    case DType::Bool: return static_cast<const uint8_t*>(base)[at] ? T(1) : T(0);
  }
  return T(0);
}
HESSIA_DEVICE int32_t saturated(double x) {
  x = x < -2147483648.0 ? -2147483648.0 : x;
  x = x > 2147483647.0 ? 2147483647.0 : x;
  return x == x ? static_cast<int32_t>(x) : 0;
}
template <class T> HESSIA_DEVICE void store_as(DType dtype, void* base, int64_t at, T x) {
  switch (dtype) {
    case DType::Float32: static_cast<float*>(base)[at] = static_cast<float>(x); return;
    case DType::Float64: static_cast<double*>(base)[at] = static_cast<double>(x); return;
    case DType::Int32: static_cast<int32_t*>(base)[at] = saturated(static_cast<double>(x)); return;
    case DType::Bool: static_cast<uint8_t*>(base)[at] = x != T(0); return;
  }
}

// Sizes of up to kMaxRank axes and the strides of N views over them.
template <int N> struct Space {
  int rank;
  int64_t size[kMaxRank], stride[N][kMaxRank], offset[N];

  __device__ int64_t at(int view, int64_t i) const {
    int64_t at = offset[view];
    for (int d = rank - 1; d > 0; d--) {
      const int64_t rest = i / size[d];
      at += (i - rest * size[d]) * stride[view][d];
      i = rest;
    }
    return rank > 0 ? at + i * stride[view][0] : at;
  }
};

// Calls f with a value of the C++ type that stores this dtype.
template <class F> void with_type(DType dtype, F f) {
  switch (dtype) {
    case DType::Float32: return f(float{});
    case DType::Float64: return f(double{});
    case DType::Int32: return f(int32_t{});
    case DType::Bool: return f(uint8_t{});
  }
}
template <class T> T* base_of(const View& v, Bindings bindings) { return static_cast<T*>(bindings[v.binding]); }

inline int64_t elements(const std::vector<int64_t>& shape) {
  int64_t n = 1;
  for (int64_t s : shape) n *= s;
  return n;
}

}  // namespace hessia::cuda
