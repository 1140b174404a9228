// Reductions of one tile. float32 sums: 64 interleaved partial sums of at most 8 terms each within a block
// of 512, folded in float32, blocks added in float64. float64 sums likewise in float64. max and min return
// NaN if there is one. Included by the per-instruction-set code only.
#pragma once
#include <cmath>
#include <cstdint>

#include "kernels/map/tile.h"

namespace hessia {
namespace HESSIA_ISA_NS {
namespace {

template <class T> double sum_block(const T* p, int64_t n) {
  const int64_t quarter = n / 4;
  T s0 = 0, s1 = 0, s2 = 0, s3 = 0;
  const T *p1 = p + quarter, *p2 = p1 + quarter, *p3 = p2 + quarter;
#pragma omp simd reduction(+ : s0, s1, s2, s3)
  for (int64_t i = 0; i < quarter; i++) {
    s0 += p[i];
    s1 += p1[i];
    s2 += p2[i];
    s3 += p3[i];
  }
  for (int64_t i = 4 * quarter; i < n; i++) s0 += p[i];
  return static_cast<double>(s0 + s1) + static_cast<double>(s2 + s3);
}
template <class T> double sum_of(const T* p, int64_t n) {
  if (n < 16) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += p[i];
    return sum;
  }
  double sum = 0;
  for (; n > 512; n -= 512, p += 512) sum += sum_block(p, 512);
  return sum + sum_block(p, n);
}
template <class T> double max_of(const T* p, int64_t n) {
  T best = p[0];
  int nan = 0;
#pragma omp simd reduction(max : best) reduction(| : nan)
  for (int64_t i = 0; i < n; i++) {
    best = p[i] > best ? p[i] : best;
    nan |= p[i] != p[i];
  }
  return nan ? static_cast<double>(NAN) : static_cast<double>(best);
}
template <class T> double min_of(const T* p, int64_t n) {
  T best = p[0];
  int nan = 0;
#pragma omp simd reduction(min : best) reduction(| : nan)
  for (int64_t i = 0; i < n; i++) {
    best = p[i] < best ? p[i] : best;
    nan |= p[i] != p[i];
  }
  return nan ? static_cast<double>(NAN) : static_cast<double>(best);
}
template <class T> double reduce(ReduceKind kind, const T* p, int64_t n) {
  return kind == ReduceKind::Sum ? sum_of(p, n) : kind == ReduceKind::Max ? max_of(p, n) : min_of(p, n);
}

// out[r] = reduction of row r of `count` rows of n elements. Short rows are not worth a vector loop each: four
// extremes are found side by side.
template <class T> void reduce_rows(ReduceKind kind, const T* p, int64_t n, int64_t count, double* out) {
  int64_t r = 0;
  if (n < 32 && kind != ReduceKind::Sum) {
    const T sign = kind == ReduceKind::Max ? T(1) : T(-1);
    for (; r + 4 <= count; r += 4) {
      const T* row[4] = {p + r * n, p + (r + 1) * n, p + (r + 2) * n, p + (r + 3) * n};
      T best[4];
      for (int k = 0; k < 4; k++) best[k] = sign * row[k][0];
      for (int64_t i = 1; i < n; i++) {
        for (int k = 0; k < 4; k++) {
          const T x = sign * row[k][i];
          best[k] = (best[k] > x || best[k] != best[k]) ? best[k] : x;
        }
      }
      for (int k = 0; k < 4; k++) out[r + k] = static_cast<double>(sign * best[k]);
    }
  }
  for (; r < count; r++) out[r] = reduce(kind, p + r * n, n);
}

inline double identity(ReduceKind kind) {
  return kind == ReduceKind::Sum ? 0.0 : kind == ReduceKind::Max ? -HUGE_VAL : HUGE_VAL;
}
inline double join(ReduceKind kind, double a, double b) {
  if (kind == ReduceKind::Sum) return a + b;
  if (a != a || b != b) return NAN;
  return kind == ReduceKind::Max ? (a > b ? a : b) : (a < b ? a : b);
}

// acc[i] ← acc[i] joined with p[i], element by element.
template <class T> void join_tile(ReduceKind kind, T* acc, const T* p, int64_t n) {
  if (kind == ReduceKind::Sum) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) acc[i] += p[i];
  } else if (kind == ReduceKind::Max) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) acc[i] = (acc[i] > p[i] || acc[i] != acc[i]) ? acc[i] : p[i];
  } else {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) acc[i] = (acc[i] < p[i] || acc[i] != acc[i]) ? acc[i] : p[i];
  }
}
// wide[i] ← wide[i] joined with acc[i]; acc[i] ← identity.
template <class T> void flush_tile(ReduceKind kind, double* wide, T* acc, int64_t n) {
  const T zero = static_cast<T>(identity(kind));
  if (kind == ReduceKind::Sum) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
      wide[i] += static_cast<double>(acc[i]);
      acc[i] = zero;
    }
  } else {
    for (int64_t i = 0; i < n; i++) {
      wide[i] = join(kind, wide[i], static_cast<double>(acc[i]));
      acc[i] = zero;
    }
  }
}

}  // namespace
}  // namespace HESSIA_ISA_NS
}  // namespace hessia
