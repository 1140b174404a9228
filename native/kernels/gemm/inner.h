// Products with at most four rows whose operands both run along K: every column of b is read once, in place,
// instead of being packed for a use or two. Matrix × vector and dot products are the common cases; bound by
// memory bandwidth.
//
// Sums run in lanes over blocks of K; block sums are added in double.
#pragma once
#include "kernels/gemm/gemm.h"
#include "kernels/gemm/pack.h"
#include "kernels/gemm/vector.h"

namespace hessia::HESSIA_ISA_NS {

constexpr int kInnerRows = 4, kInnerColumns = 4;
constexpr int64_t kInnerBlock = 2048;

template <class T>
static bool runs_inner(const cpu::Gemm<T>& g) {
  return !g.packed_a && g.m <= kInnerRows && g.b_rows.unit() && !g.b_in_place && g.k >= 2 * kLanes<T>;
}
// Room for rows of a that are not consecutive along K.
template <class T>
static int64_t inner_scratch_elements(const cpu::Gemm<T>& g, const cpu::GemmRange& r) {
  return g.a_cols.unit() ? 0 : g.m * (r.k1 - r.k0);
}

// sum[i][j] += Σ a[i][k] · b[j][k]
template <class T, int Rows, int Columns>
static void inner_tile(const T* const* a, const T* const* b, int64_t depth, double (*sum)[kInnerColumns]) {
  constexpr int L = kLanes<T>;
  Vector<T> lanes[Rows][Columns], odd[Rows][Columns];  // two chains hide the latency of the multiply-add
#pragma GCC unroll 4
  for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < Columns; ++j) lanes[i][j] = odd[i][j] = Vector<T>{};
  constexpr bool kTwo = Rows * Columns <= 4;
  int64_t k = 0;
  if constexpr (kTwo) {
    for (; k + 2 * L <= depth; k += 2 * L)
#pragma GCC unroll 4
      for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 4
        for (int j = 0; j < Columns; ++j) {
          lanes[i][j] += load(a[i] + k) * load(b[j] + k);
          odd[i][j] += load(a[i] + k + L) * load(b[j] + k + L);
        }
  }
  for (; k + L <= depth; k += L)
#pragma GCC unroll 4
    for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 4
      for (int j = 0; j < Columns; ++j) lanes[i][j] += load(a[i] + k) * load(b[j] + k);
#pragma GCC unroll 4
  for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < Columns; ++j) {
      T total = kTwo ? lane_sum<T>(lanes[i][j] + odd[i][j]) : lane_sum<T>(lanes[i][j]);
      for (int64_t rest = k; rest < depth; ++rest) total += a[i][rest] * b[j][rest];
      sum[i][j] += static_cast<double>(total);
    }
}

template <class T, int Rows>
static void inner_rows(const T* const* a, const T* const* b, int64_t columns, int64_t depth, double (*sum)[kInnerColumns]) {
  switch (columns) {
    case 1: inner_tile<T, Rows, 1>(a, b, depth, sum); break;
    case 2: inner_tile<T, Rows, 2>(a, b, depth, sum); break;
    case 3: inner_tile<T, Rows, 3>(a, b, depth, sum); break;
    default: inner_tile<T, Rows, 4>(a, b, depth, sum);
  }
}

template <class T>
static void inner(const cpu::Gemm<T>& g, const cpu::GemmRange& r, T* scratch) {
  const int64_t rows = r.m1 - r.m0, depth = r.k1 - r.k0;
  const T* a_row[kInnerRows] = {};
  for (int64_t i = 0; i < rows; ++i) {
    if (g.a_cols.unit()) {
      a_row[i] = g.a + g.a_rows.at(r.m0 + i) + r.k0;
    } else {
      T* row = scratch + i * depth;
      for (int64_t k = 0; k < depth; ++k) row[k] = g.a[g.a_rows.at(r.m0 + i) + g.a_cols.at(r.k0 + k)];
      a_row[i] = row;
    }
  }
  for (int64_t n0 = r.n0; n0 < r.n1; n0 += kInnerColumns) {
    const int64_t columns = smaller(kInnerColumns, r.n1 - n0);
    double sum[kInnerRows][kInnerColumns] = {};
    for (int64_t k0 = 0; k0 < depth; k0 += kInnerBlock) {
      const int64_t length = smaller(kInnerBlock, depth - k0);
      const T *a[kInnerRows] = {}, *b[kInnerColumns] = {};
      for (int64_t i = 0; i < rows; ++i) a[i] = a_row[i] + k0;
      for (int64_t j = 0; j < columns; ++j) b[j] = g.b + g.b_cols.at(n0 + j) + r.k0 + k0;
      switch (rows) {
        case 1: inner_rows<T, 1>(a, b, columns, length, sum); break;
        case 2: inner_rows<T, 2>(a, b, columns, length, sum); break;
        case 3: inner_rows<T, 3>(a, b, columns, length, sum); break;
        default: inner_rows<T, 4>(a, b, columns, length, sum);
      }
    }
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < columns; ++j) {
        T& c = g.c[g.c_rows.at(r.m0 + i) + g.c_cols.at(n0 + j)];
        const T value = g.alpha * static_cast<T>(sum[i][j]);
        c = g.accumulate ? c + value : value;
      }
  }
}

}  // namespace hessia::HESSIA_ISA_NS
