// The blocked product of one thread, for one instruction set.
//
// Loops from the outside: blocks of N (packed b stays in L2), blocks of K (a tile of b stays in L1), blocks
// of M (packed a stays in L2), tiles of columns, tiles of rows. M and N are cut evenly into tiles, so that
// 10 rows are 5 + 5 and not 8 + 2. Small products read a, b or both in place.
#include "kernels/gemm/gemm.h"

#include "kernels/gemm/inner.h"
#include "kernels/gemm/pack.h"
#include "kernels/gemm/tile.h"

namespace hessia::HESSIA_ISA_NS {
namespace {

using cpu::Axis;
using cpu::Gemm;
using cpu::GemmRange;

// Blocks are at most this large, and cut evenly.
constexpr int64_t kBlockK = 256;
constexpr int64_t kBlockM = 192;
constexpr int64_t kPackedBytes = 5 << 18;  // of b, in a 2 MiB L2

template <class T> constexpr int64_t kTileColumns = kTileVectors * kLanes<T>;
template <class T> constexpr int64_t kBlockN = kPackedBytes / (kBlockK * sizeof(T)) / kTileColumns<T> * kTileColumns<T>;

// An extent cut evenly into `count` pieces of at most `most` units of `unit` each.
struct Pieces {
  int64_t extent, unit, units, count;
  static Pieces make(int64_t extent, int64_t unit, int64_t most) {
    const int64_t units = ceil_div(extent, unit);
    return {extent, unit, units, ceil_div(units, most)};
  }
  int64_t cut(int64_t i) const { return i >= count ? extent : i * units / count * unit; }
};

// Columns cut into tiles: evenly, and where c's columns come in runs of whole vectors, every run by itself, since a
// tile across two runs could not be written as it is.
template <class T>
struct Columns {
  int64_t runs;
  Pieces tiles;  // of one run
  static Columns make(const Gemm<T>& g, int64_t n0, int64_t n1) {
    const int64_t run = g.c_cols.run, extent = n1 - n0;
    const bool whole = run > 0 && run % kLanes<T> == 0 && n0 % run == 0 && extent % run == 0;
    return {whole ? extent / run : 1, Pieces::make(whole ? run : extent, kLanes<T>, kTileVectors)};
  }
  int64_t count() const { return runs * tiles.count; }
  int64_t cut(int64_t i) const { return i / tiles.count * tiles.extent + tiles.cut(i % tiles.count); }
};

template <class T>
bool reads_a_in_place(const Gemm<T>& g, int64_t columns) {
  return !g.packed_a && !g.a_cols.table && columns <= 2 * kTileColumns<T>;
}
template <class T>
bool reads_b_in_place(const Gemm<T>& g, int64_t rows) {
  return g.b_cols.unit() && (g.b_in_place || rows <= 2 * kTileRows);
}

HESSIA_INLINE int64_t room_for_a(const GemmRange& r) {
  return ceil_div(smaller(r.m1 - r.m0, kBlockM) * smaller(r.k1 - r.k0, kBlockK), 16) * 16;
}
template <class T>
int64_t scratch_elements(const Gemm<T>& g, const GemmRange& r) {
  if (runs_inner(g)) return inner_scratch_elements(g, r);
  const int64_t columns = r.n1 - r.n0;
  const bool packs_a = !g.packed_a && !reads_a_in_place(g, columns);
  const int64_t b = reads_b_in_place(g, r.m1 - r.m0)
                        ? kTileColumns<T>
                        : smaller(ceil_div(columns, kLanes<T>) * kLanes<T>, kBlockN<T>);
  return (packs_a ? room_for_a(r) : 0) + b * smaller(r.k1 - r.k0, kBlockK);
}

template <class T>
__attribute__((noinline)) void scatter(const Gemm<T>& g, const T* from, int64_t m0, int64_t rows, int64_t n0,
                                       int64_t columns, int64_t width, bool accumulate) {
  if (consecutive(g.c_rows, m0, rows) && rows > 1 && !consecutive(g.c_cols, n0, columns)) {
    for (int64_t j = 0; j < columns; ++j) {
      T* c = g.c + g.c_rows.at(m0) + g.c_cols.at(n0 + j);
      for (int64_t i = 0; i < rows; ++i) c[i] = accumulate ? c[i] + from[i * width + j] : from[i * width + j];
    }
    return;
  }
  for (int64_t i = 0; i < rows; ++i) {
    T* c = g.c + g.c_rows.at(m0 + i);
    const T* row = from + i * width;
    if (consecutive(g.c_cols, n0, columns)) {
      c += g.c_cols.at(n0);
      for (int64_t j = 0; j < columns; ++j) c[j] = accumulate ? c[j] + row[j] : row[j];
    } else if (g.c_cols.table) {
      const int64_t* at = g.c_cols.table + n0;
      for (int64_t j = 0; j < columns; ++j) c[at[j]] = accumulate ? c[at[j]] + row[j] : row[j];
    } else {
      c += n0 * g.c_cols.stride;
      for (int64_t j = 0; j < columns; ++j, c += g.c_cols.stride) *c = accumulate ? *c + row[j] : row[j];
    }
  }
}

// Where the operands of one block are: packed by us, packed before, or in place.
template <class T>
struct Sources {
  const T* a;  // panels; null: in place
  const T* b;  // panels; null: in place
  T* ragged;   // room for the last tile of b if in place
};

// c[m0 .. m1, n0 .. n1] (+)= alpha · a · b over [k0, k0 + depth).
template <class T>
void block(const Gemm<T>& g, int64_t m0, int64_t m1, int64_t n0, int64_t n1, int64_t k0, int64_t depth,
           const Sources<T>& from, bool accumulate) {
  alignas(64) T spill[kNarrowRows * kTileColumns<T>];
  const Columns<T> columns = Columns<T>::make(g, n0, n1);
  for (int64_t tj = 0; tj < columns.count(); ++tj) {
    const int64_t j0 = columns.cut(tj), used = columns.cut(tj + 1) - j0;
    const int64_t vectors = ceil_div(used, kLanes<T>), width = vectors * kLanes<T>;
    const bool whole = used == width && consecutive(g.c_cols, n0 + j0, used);
    const Pieces rows = Pieces::make(m1 - m0, 1, from.a || vectors > 1 ? kTileRows : kNarrowRows);
    Tile<T> t;
    t.k = depth;
    t.b_table = nullptr;
    t.b_step = width;
    if (from.b) {
      t.b = from.b + j0 * depth;
    } else if (used < width) {  // a load of the last vector could leave the buffer
      pack_panel<T, kLanes<T>>(g.b, g.b_cols, n0 + j0, used, g.b_rows, k0, depth, from.ragged, width);
      t.b = from.ragged;
    } else if (g.b_rows.table) {
      t.b = g.b + n0 + j0;
      t.b_table = g.b_rows.table + k0;
    } else {
      t.b = g.b + n0 + j0 + k0 * g.b_rows.stride;
      t.b_step = g.b_rows.stride;
    }
    t.alpha = g.alpha;
    t.accumulate = whole && accumulate;
    t.a_step = g.a_cols.stride;
    for (int64_t ti = 0; ti < rows.count; ++ti) {
      const int64_t i0 = rows.cut(ti), height = rows.cut(ti + 1) - i0, first = m0 + i0;
      if (from.a) {
        t.a = from.a + i0 * depth;
      } else {
        for (int64_t i = 0; i < height; ++i) t.a_row[i] = g.a + g.a_rows.at(first + i) + k0 * t.a_step;
      }
      if (whole) {
        const int64_t at = g.c_cols.at(n0 + j0);
        for (int64_t i = 0; i < height; ++i) t.c_row[i] = g.c + g.c_rows.at(first + i) + at;
      } else {
        for (int64_t i = 0; i < height; ++i) t.c_row[i] = spill + i * width;
      }
      pick_tile<T>(height, vectors, from.a != nullptr, t.b_table != nullptr)(t);
      if (!whole) scatter(g, spill, first, height, n0 + j0, used, width, accumulate);
    }
  }
}

template <class T>
void pack_rows(const Gemm<T>& g, int64_t m0, int64_t m1, int64_t k0, int64_t depth, T* packed) {
  const Pieces rows = Pieces::make(m1 - m0, 1, kTileRows);
  for (int64_t ti = 0; ti < rows.count; ++ti) {
    const int64_t i0 = rows.cut(ti), height = rows.cut(ti + 1) - i0;
    if (ti + kPanelsAtOnce <= rows.count && rows.cut(ti + kPanelsAtOnce) - i0 == kPanelsAtOnce * kTileRows &&
        consecutive(g.a_rows, m0 + i0, kPanelsAtOnce * kTileRows)) {
      pack_panels<T, kTileRows>(g.a + g.a_rows.at(m0 + i0), g.a_cols, k0, depth, packed + i0 * depth);
      ti += kPanelsAtOnce - 1;
      continue;
    }
    pack_panel<T, kTileRows>(g.a, g.a_rows, m0 + i0, height, g.a_cols, k0, depth, packed + i0 * depth, height);
  }
}

template <class T>
void pack_columns(const Gemm<T>& g, int64_t n0, int64_t n1, int64_t k0, int64_t depth, T* packed) {
  const Columns<T> columns = Columns<T>::make(g, n0, n1);
  for (int64_t tj = 0; tj < columns.count(); ++tj) {
    const int64_t j0 = columns.cut(tj), used = columns.cut(tj + 1) - j0;
    pack_panel<T, kLanes<T>>(g.b, g.b_cols, n0 + j0, used, g.b_rows, k0, depth, packed + j0 * depth,
                             ceil_div(used, kLanes<T>) * kLanes<T>);
  }
}

// a packed once for all products: blocks of K, each with all panels.
template <class T>
void pack_a(const Gemm<T>& g, T* packed) {
  const Pieces depths = Pieces::make(g.k, 1, kBlockK);
  for (int64_t i = 0; i < depths.count; ++i) {
    const int64_t k0 = depths.cut(i);
    pack_rows(g, 0, g.m, k0, depths.cut(i + 1) - k0, packed + k0 * g.m);
  }
}

template <class T>
void run(const Gemm<T>& g, const GemmRange& r, T* scratch) {
  if (runs_inner(g)) return inner(g, r, scratch);
  const bool a_in_place = reads_a_in_place(g, r.n1 - r.n0), b_in_place = reads_b_in_place(g, r.m1 - r.m0);
  const bool packs_a = !a_in_place && !g.packed_a;
  const Pieces rows = Pieces::make(r.m1 - r.m0, kTileRows, packs_a ? kBlockM / kTileRows : INT64_MAX / 2);
  const int64_t grain = g.c_cols.run > 0 && g.c_cols.run % kLanes<T> == 0 && g.c_cols.run <= kBlockN<T> ? g.c_cols.run : kLanes<T>;
  const Pieces columns = Pieces::make(r.n1 - r.n0, grain, b_in_place ? INT64_MAX / 2 : kBlockN<T> / grain);
  const Pieces depths = Pieces::make(r.k1 - r.k0, 1, kBlockK);
  T* packed_b = scratch + (packs_a ? room_for_a(r) : 0);
  for (int64_t ni = 0; ni < columns.count; ++ni) {
    const int64_t n0 = r.n0 + columns.cut(ni), n1 = r.n0 + columns.cut(ni + 1);
    for (int64_t ki = 0; ki < depths.count; ++ki) {
      const int64_t k0 = r.k0 + depths.cut(ki), depth = r.k0 + depths.cut(ki + 1) - k0;
      if (!b_in_place) pack_columns(g, n0, n1, k0, depth, packed_b);
      for (int64_t mi = 0; mi < rows.count; ++mi) {
        const int64_t m0 = r.m0 + rows.cut(mi), m1 = r.m0 + rows.cut(mi + 1);
        Sources<T> from{nullptr, b_in_place ? nullptr : packed_b, packed_b};
        if (g.packed_a) {
          from.a = g.packed_a + k0 * g.m;
        } else if (!a_in_place) {
          pack_rows(g, m0, m1, k0, depth, scratch);
          from.a = scratch;
        }
        block(g, m0, m1, n0, n1, k0, depth, from, g.accumulate || ki > 0);
      }
    }
  }
}

template <class T>
constexpr cpu::GemmKernels<T> kernels() {
  return {kTileRows, kTileColumns<T>, kLanes<T>, scratch_elements<T>, run<T>, pack_a<T>};
}

}  // namespace

extern const cpu::GemmTable gemm_table;
const cpu::GemmTable gemm_table = {kernels<float>(), kernels<double>()};

}  // namespace hessia::HESSIA_ISA_NS
