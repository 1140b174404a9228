// One matrix product for every contraction and convolution: c[i, j] = Σ_k a(i, k) · b(k, j), where a and b are
// functions of their indices (strides, tables, patches of an image) and c is a place to put a result.
//
// A block of 256 threads computes a tile of 16·RM x 16·RN results; tiles of a and b pass through shared memory,
// 16 of K at a time; sums are in the type of the operands, in blocks of at most 512 terms. Few results with
// many terms are cut into segments of K, whose sums are added in order (in float64). Segments and tiles depend
// on sizes only: same bits every time.
//
//   A: T at(unit, i, k);  k_fastest: which index runs through memory    B: T at(unit, k, j); j_fastest
//   C: void put(unit, i, j, T)
#pragma once
#include <algorithm>

#include "device/cuda/context.h"

namespace hessia::cuda {

constexpr int kSide = 16;          // threads along either side of a tile, and the depth of a step
constexpr int64_t kTerms = 512;

struct ProductShape {
  int64_t m, n, k, units;
  int64_t tiles_m, tiles_n;
  int64_t segments, segment;  // of K
};

template <class T, int RM, int RN, class A, class B, class C>
__global__ void __launch_bounds__(256) product_tile(ProductShape p, A a, B b, C c, T* partials) {
  constexpr int BM = kSide * RM, BN = kSide * RN, BK = kSide;
  // One element more in a row: threads that walk down a column use different banks.
  HESSIA_SHARED(T, tile_a, BK * (BM + 1));
  HESSIA_SHARED(T, tile_b, BK * (BN + 1));
  const int thread = static_cast<int>(threadIdx.x), column = thread % kSide, row = thread / kSide;
  const int64_t unit = blockIdx.x / (p.tiles_m * p.tiles_n), tile = blockIdx.x % (p.tiles_m * p.tiles_n);
  const int64_t i0 = tile / p.tiles_n * BM, j0 = tile % p.tiles_n * BN;
  const int64_t first = static_cast<int64_t>(blockIdx.y) * p.segment;
  const int64_t last = first + p.segment < p.k ? first + p.segment : p.k;

  T sum[RM][RN], block[RM][RN];
  for (int r = 0; r < RM; r++) for (int s = 0; s < RN; s++) sum[r][s] = block[r][s] = T(0);
  int64_t terms = 0;
  for (int64_t k0 = first; k0 < last; k0 += BK) {
    for (int e = thread; e < BM * BK; e += 256) {
      const int i = a.k_fastest ? e / BK : e % BM, k = a.k_fastest ? e % BK : e / BM;
      tile_a[k * (BM + 1) + i] = i0 + i < p.m && k0 + k < last ? a.at(unit, i0 + i, k0 + k) : T(0);
    }
    for (int e = thread; e < BN * BK; e += 256) {
      const int j = b.j_fastest ? e % BN : e / BK, k = b.j_fastest ? e / BN : e % BK;
      tile_b[k * (BN + 1) + j] = j0 + j < p.n && k0 + k < last ? b.at(unit, k0 + k, j0 + j) : T(0);
    }
    __syncthreads();
    for (int k = 0; k < BK; k++) {
      T x[RM], y[RN];
      for (int r = 0; r < RM; r++) x[r] = tile_a[k * (BM + 1) + row + r * kSide];
      for (int s = 0; s < RN; s++) y[s] = tile_b[k * (BN + 1) + column + s * kSide];
      for (int r = 0; r < RM; r++) for (int s = 0; s < RN; s++) block[r][s] += x[r] * y[s];
    }
    __syncthreads();
    terms += BK;
    if (terms < kTerms && k0 + BK < last) continue;
    terms = 0;
    for (int r = 0; r < RM; r++) {
      for (int s = 0; s < RN; s++) {
        sum[r][s] += block[r][s];
        block[r][s] = T(0);
      }
    }
  }
  for (int r = 0; r < RM; r++) {
    for (int s = 0; s < RN; s++) {
      const int64_t i = i0 + row + r * kSide, j = j0 + column + s * kSide;
      if (i >= p.m || j >= p.n) continue;
      if (p.segments > 1) partials[((blockIdx.y * p.units + unit) * p.m + i) * p.n + j] = sum[r][s];
      else c.put(unit, i, j, sum[r][s]);
    }
  }
}

template <class T, class C> __global__ void product_join(ProductShape p, C c, const T* partials) {
  const int64_t e = flat_index(), all = p.units * p.m * p.n;
  if (e >= all) return;
  double sum = 0;
  for (int64_t s = 0; s < p.segments; s++) sum += static_cast<double>(partials[s * all + e]);
  const int64_t j = e % p.n, i = e / p.n % p.m;
  c.put(e / (p.n * p.m), i, j, static_cast<T>(sum));
}

template <class T, int RM, int RN, class A, class B, class C>
void product_in_tiles(ProductShape p, const A& a, const B& b, const C& c, Workspace& ws) {
  constexpr int64_t kEnoughBlocks = 512, kShortest = 256;  // terms in a segment
  p.tiles_m = ceil_div(p.m, kSide * RM);
  p.tiles_n = ceil_div(p.n, kSide * RN);
  const int64_t blocks = p.tiles_m * p.tiles_n * p.units;
  if (blocks > INT32_MAX) throw Error(ErrorCode::UNSUPPORTED, "a product with more than 2^31 tiles on device cuda; use a smaller --batch-size");
  const int64_t segments = std::max<int64_t>(1, std::min(kEnoughBlocks / blocks, p.k / kShortest));
  p.segment = std::max<int64_t>(kSide, ceil_div(ceil_div(p.k, segments), kSide) * kSide);
  p.segments = std::max<int64_t>(1, ceil_div(p.k, p.segment));
  T* partials = nullptr;
  if (p.segments > 1) {
    partials = static_cast<T*>(gpu(ws).device_scratch(static_cast<size_t>(p.segments * p.units * p.m * p.n) * sizeof(T)));
  }
  const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(p.segments));
  launch_blocks(ws, product_tile<T, RM, RN, A, B, C>, grid, p, a, b, c, partials);
  if (p.segments > 1) launch(ws, product_join<T, C>, p.units * p.m * p.n, p, c, static_cast<const T*>(partials));
}

// `units` products of one shape. With k = 0 every result is put as 0.
template <class T, class A, class B, class C>
void product(int64_t m, int64_t n, int64_t k, int64_t units, const A& a, const B& b, const C& c, Workspace& ws) {
  if (m == 0 || n == 0 || units == 0) return;
  const ProductShape p{m, n, k, units, 0, 0, 1, 0};
  if (m <= 32) product_in_tiles<T, 1, 4>(p, a, b, c, ws);
  else product_in_tiles<T, 4, 4>(p, a, b, c, ws);
}

}  // namespace hessia::cuda
