// The innermost kernel: a tile of rows × vectors of c stays in registers while k runs.
//
//   packed: a[k · rows + i], one panel written by pack.h
//   rows:   a_row[i][k · a_step], read in place
//   b[k · b_step + column], or b[b_table[k] + column] if there is a table
//
// Per k: one load per vector of b, one broadcast per row of a, rows · vectors multiply-adds.
#pragma once
#include "kernels/gemm/vector.h"

namespace hessia::HESSIA_ISA_NS {

// Tile sizes: accumulators + vectors of b + one broadcast fit the 32 (AVX-512) or 16 registers.
#if defined(__AVX512F__)
constexpr int kTileRows = 8, kTileVectors = 3, kNarrowRows = 12;
#elif defined(__AVX2__)
constexpr int kTileRows = 4, kTileVectors = 3, kNarrowRows = 8;
#else
constexpr int kTileRows = 4, kTileVectors = 2, kNarrowRows = 8;
#endif
// A tile of a single vector needs more rows to keep the multiply-adders busy; panels are not packed that
// high, so this is for rows read in place.

// A shorter tile is over before c arrives.
constexpr int64_t kPrefetchFrom = 64;

template <class T>
struct Tile {
  int64_t k;
  const T* a;
  const T* a_row[kNarrowRows];
  int64_t a_step;
  const T* b;
  const int64_t* b_table;
  int64_t b_step;
  T* c_row[kNarrowRows];
  T alpha;
  bool accumulate;
};

template <class T, int Rows, int Vectors, bool Packed, bool Table>
__attribute__((noinline)) static void tile(const Tile<T>& t) {
  Vector<T> sum[Rows][Vectors];
#pragma GCC unroll 12
  for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 3
    for (int j = 0; j < Vectors; ++j) sum[i][j] = Vector<T>{};

  if (t.k >= kPrefetchFrom) {
#pragma GCC unroll 12
    for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 3
      for (int j = 0; j < Vectors; ++j) __builtin_prefetch(t.c_row[i] + j * kLanes<T>, 1);
  }

  const T* a = t.a;
  const T* row[Rows];
#pragma GCC unroll 12
  for (int i = 0; i < Rows; ++i) row[i] = Packed ? nullptr : t.a_row[i];
  const T* b = t.b;
  const int64_t b_step = t.b_step, a_step = t.a_step;
  const int64_t* b_table = t.b_table;
  int64_t a_at = 0;
  for (int64_t k = 0, end = t.k; k < end; ++k) {
    const T* from = Table ? b + b_table[k] : b;
    Vector<T> column[Vectors];
#pragma GCC unroll 3
    for (int j = 0; j < Vectors; ++j) column[j] = load(from + j * kLanes<T>);
#pragma GCC unroll 12
    for (int i = 0; i < Rows; ++i) {
      const T scale = Packed ? a[i] : row[i][a_at];
#pragma GCC unroll 3
      for (int j = 0; j < Vectors; ++j) sum[i][j] += scale * column[j];
    }
    if (Packed) a += Rows;
    else a_at += a_step;
    if (!Table) b += b_step;
  }

  const T alpha = t.alpha;
#pragma GCC unroll 12
  for (int i = 0; i < Rows; ++i) {
    T* c = t.c_row[i];
#pragma GCC unroll 3
    for (int j = 0; j < Vectors; ++j) {
      Vector<T> value = alpha * sum[i][j];
      if (t.accumulate) value += load(c + j * kLanes<T>);
      store(c + j * kLanes<T>, value);
    }
  }
}

template <class T> using TileFunction = void (*)(const Tile<T>&);

// By rows − 1 and vectors − 1.
template <class T, bool Packed, bool Table>
struct TileFunctions {
  TileFunction<T> at[kNarrowRows][kTileVectors];
};

template <class T, bool Packed, bool Table, int Rows>
HESSIA_INLINE constexpr void fill_row(TileFunctions<T, Packed, Table>& f) {
  if constexpr (Rows <= kTileRows || !Packed) f.at[Rows - 1][0] = tile<T, Rows, 1, Packed, Table>;
  if constexpr (Rows <= kTileRows) {
    f.at[Rows - 1][1] = tile<T, Rows, 2, Packed, Table>;
    if constexpr (kTileVectors > 2) f.at[Rows - 1][2] = tile<T, Rows, 3, Packed, Table>;
  }
  if constexpr (Rows > 1) fill_row<T, Packed, Table, Rows - 1>(f);
}
template <class T, bool Packed, bool Table>
constexpr TileFunctions<T, Packed, Table> make_tile_functions() {
  TileFunctions<T, Packed, Table> f{};
  fill_row<T, Packed, Table, kNarrowRows>(f);
  return f;
}
template <class T, bool Packed, bool Table>
constexpr TileFunctions<T, Packed, Table> tile_functions = make_tile_functions<T, Packed, Table>();

template <class T>
HESSIA_INLINE TileFunction<T> pick_tile(int64_t rows, int64_t vectors, bool packed, bool table) {
  if (packed) {
    return table ? tile_functions<T, true, true>.at[rows - 1][vectors - 1]
                 : tile_functions<T, true, false>.at[rows - 1][vectors - 1];
  }
  return table ? tile_functions<T, false, true>.at[rows - 1][vectors - 1]
               : tile_functions<T, false, false>.at[rows - 1][vectors - 1];
}

}  // namespace hessia::HESSIA_ISA_NS
