// Number conversions with defined results, shared by the kernels that are not compiled per instruction set.
#pragma once
#include <cstdint>

namespace hessia {

// Truncates towards zero and saturates; NaN becomes 0.
inline int32_t to_int32(double x) {
  if (!(x == x)) return 0;
  if (x <= -2147483648.0) return INT32_MIN;
  if (x >= 2147483647.0) return INT32_MAX;
  return static_cast<int32_t>(x);
}

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace hessia
