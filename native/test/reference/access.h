// Reading and writing strided views one element at a time, in double: what the reference kernels stand on.
// Slow on purpose; nothing here shares code with the kernels under test.
#pragma once
#include <cstdint>
#include <vector>

#include "kernels/table.h"

namespace hessia::reference {

inline double load(const View& v, Bindings bindings, int64_t at) {
  const void* p = bindings[v.binding];
  switch (v.dtype) {
    case DType::Float64: return static_cast<const double*>(p)[v.offset + at];
    case DType::Int32: return static_cast<const int32_t*>(p)[v.offset + at];
    case DType::Bool: return static_cast<const uint8_t*>(p)[v.offset + at];
    default: return static_cast<const float*>(p)[v.offset + at];
  }
}

inline void store(const View& v, Bindings bindings, int64_t at, double value) {
  void* p = bindings[v.binding];
  switch (v.dtype) {
    case DType::Float64: static_cast<double*>(p)[v.offset + at] = value; break;
    case DType::Int32: static_cast<int32_t*>(p)[v.offset + at] = static_cast<int32_t>(value); break;
    case DType::Bool: static_cast<uint8_t*>(p)[v.offset + at] = value != 0; break;
    default: static_cast<float*>(p)[v.offset + at] = static_cast<float>(value);
  }
}

inline int64_t count(const std::vector<int64_t>& shape) {
  int64_t n = 1;
  for (int64_t s : shape) n *= s;
  return n;
}

// Steps a row-major multi-index; false after the last one.
inline bool next(std::vector<int64_t>& index, const std::vector<int64_t>& shape) {
  for (size_t d = shape.size(); d-- > 0;) {
    if (++index[d] < shape[d]) return true;
    index[d] = 0;
  }
  return false;
}

}  // namespace hessia::reference
