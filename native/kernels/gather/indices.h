#pragma once
#include <string>

#include "base/error.h"
#include "kernels/table.h"

namespace hessia::cpu {

[[noreturn]] inline void bad_index(int32_t index, int64_t size) {
  throw Error(ErrorCode::INVALID_INPUT,
              "index " + std::to_string(index) + " is outside 0 … " + std::to_string(size - 1));
}

inline int64_t elements(const std::vector<int64_t>& shape) {
  int64_t n = 1;
  for (int64_t s : shape) n *= s;
  return n;
}

// Calls f with a value of the C++ type that stores this dtype.
template <class F> void with_type(DType dtype, F f) {
  switch (dtype) {
    case DType::Float32: return f(float{});
    case DType::Float64: return f(double{});
    case DType::Int32: return f(int32_t{});
    case DType::Bool: return f(uint8_t{});
  }
}

}  // namespace hessia::cpu
