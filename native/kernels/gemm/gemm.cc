#include "kernels/gemm/gemm.h"

#include <algorithm>

#include "base/workspace.h"
#include "kernels/gemm/onednn.h"

namespace hessia::cpu {
namespace {

constexpr int64_t kSerialOperations = 200000;  // multiply-adds not worth waking the team for
constexpr double kLargeOperations = 8e6;       // per product of a batch: worth the whole team
constexpr int64_t kDeepK = 4096;               // K worth splitting when c is too small to split

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// c ← 0, for a product without terms.
template <class T>
void clear(const Gemm<T>& g) {
  for (int64_t i = 0; i < g.m; ++i)
    for (int64_t j = 0; j < g.n; ++j) g.c[g.c_rows.at(i) + g.c_cols.at(j)] = T(0);
}

// A grid of rows × columns of threads; of the grids that use all threads, the one whose largest rectangle
// reads least of a and b.
struct Grid { int64_t rows, columns; };
template <class T>
Grid choose_grid(const Gemm<T>& g, const GemmKernels<T>& kernels, int64_t threads) {
  const int64_t row_tiles = ceil_div(g.m, kernels.row_tile), column_tiles = ceil_div(g.n, kernels.column_tile);
  Grid best{1, 1};
  double least = -1;
  for (int64_t rows = 1; rows <= threads; ++rows) {
    const int64_t columns = threads / rows;
    const double m = static_cast<double>(ceil_div(row_tiles, rows) * kernels.row_tile);
    const double n = static_cast<double>(ceil_div(column_tiles, columns) * kernels.column_tile);
    // A tile's worth of work is rows × columns; packing and reading cost as much as about 20 more.
    const double cost = m * n + 20 * (m + n);
    if (least < 0 || cost < least) {
      least = cost;
      best = {std::min(rows, row_tiles), std::min(columns, column_tiles)};
    }
  }
  return best;
}

// Every thread sums its part of K into a c of its own; then the parts are added in order.
template <class T>
void split_depth(const Gemm<T>& g, const GemmKernels<T>& kernels, int64_t parts, Workspace& workspace) {
  const auto range_of = [&](int64_t part) {
    return GemmRange{0, g.m, 0, g.n, part * g.k / parts, (part + 1) * g.k / parts};
  };
  Gemm<T> partial = g;
  partial.c_rows = strided(g.m, g.n);
  partial.c_cols = strided(g.n, 1);
  partial.alpha = T(1);
  partial.accumulate = false;
  int64_t each = 0;
  for (int64_t part = 0; part < parts; ++part) each = std::max(each, kernels.scratch_elements(partial, range_of(part)));
  const int64_t c_size = ceil_div(g.m * g.n, 16) * 16;
  each = ceil_div(each, 16) * 16;
  T* scratch = static_cast<T*>(workspace.scratch(static_cast<size_t>(parts * (each + c_size)) * sizeof(T)));
#pragma omp parallel for num_threads(workspace.threads) schedule(static, 1)
  for (int64_t part = 0; part < parts; ++part) {
    Gemm<T> mine = partial;
    mine.c = scratch + part * c_size;
    kernels.run(mine, range_of(part), scratch + parts * c_size + part * each);
  }
  for (int64_t i = 0; i < g.m; ++i)
    for (int64_t j = 0; j < g.n; ++j) {
      T sum = scratch[i * g.n + j];
      for (int64_t part = 1; part < parts; ++part) sum += scratch[part * c_size + i * g.n + j];
      T& c = g.c[g.c_rows.at(i) + g.c_cols.at(j)];
      c = g.accumulate ? c + g.alpha * sum : g.alpha * sum;
    }
}

}  // namespace

template <class T>
Gemm<T> oriented(const Gemm<T>& g) {
  const int64_t lanes = gemm_kernels<T>().lanes;
  const auto runs = [](const Axis& axis) {
    return axis.count > 1 && (axis.table ? axis.table[1] - axis.table[0] : axis.stride) == 1;
  };
  // Few columns of operands that both run along K: matrix × vector, see inner.h.
  if (g.n <= 4 && g.n <= g.m && g.a_cols.unit() && g.k >= 2 * lanes) return transposed(g);
  if (g.m <= 4 && g.m <= g.n && g.b_rows.unit() && g.k >= 2 * lanes) return g;
  // In multiply-adds of one vector: the product, packing both operands (across their grain is dearer, and few rows
  // use b in place), and scattered writes.
  const auto cost = [&](const Gemm<T>& way) {
    const double m = static_cast<double>(way.m), n = static_cast<double>(way.n), k = static_cast<double>(way.k);
    const double product = m * static_cast<double>(ceil_div(way.n, lanes)) * k;
    const double packing_b = way.b_cols.unit() && way.m <= 16 ? 0 : runs(way.b_cols) ? 0.15 : 0.7;
    const double packing_a = way.n <= 64 ? 0 : runs(way.a_rows) ? 0.3 : 0.7;
    return product + packing_b * n * k + packing_a * m * k + (runs(way.c_cols) || way.n == 1 ? 0 : 2 * m * n);
  };
  const Gemm<T> turned = transposed(g);
  return cost(turned) < cost(g) ? turned : g;
}

template <class T>
void gemm(const Gemm<T>& problem, Workspace& workspace) {
  if (problem.m == 0 || problem.n == 0) return;
  if (problem.k == 0) {
    if (!problem.accumulate) clear(problem);
    return;
  }
  if (workspace.use_onednn && onednn_gemm(problem, workspace)) return;
  const Gemm<T> g = oriented(problem);
  const GemmKernels<T>& kernels = gemm_kernels<T>();
  const double operations = static_cast<double>(g.m) * static_cast<double>(g.n) * static_cast<double>(g.k);
  const int64_t threads = operations < kSerialOperations ? 1 : workspace.threads;
  const int64_t tiles = ceil_div(g.m, kernels.row_tile) * ceil_div(g.n, kernels.column_tile);
  if (threads > 1 && tiles < 2 * threads && g.k >= kDeepK && g.k >= 16 * std::max(g.m, g.n)) {
    return split_depth(g, kernels, std::min(threads, g.k / (kDeepK / 4)), workspace);
  }

  const Grid grid = threads == 1 ? Grid{1, 1} : choose_grid(g, kernels, threads);
  const int64_t parts = grid.rows * grid.columns;
  const auto cut = [](int64_t extent, int64_t tile, int64_t pieces, int64_t piece) {
    return std::min(extent, ceil_div(extent, tile) * piece / pieces * tile);
  };
  // Between runs of c, where there are enough of them, so that no tile is torn.
  const int64_t run = g.c_cols.run;
  const int64_t column_tile = run > 0 && g.n / run >= 4 * grid.columns ? ceil_div(kernels.column_tile, run) * run : kernels.column_tile;
  const auto range_of = [&](int64_t part) {
    const int64_t row = part / grid.columns, column = part % grid.columns;
    return GemmRange{cut(g.m, kernels.row_tile, grid.rows, row), cut(g.m, kernels.row_tile, grid.rows, row + 1),
                     cut(g.n, column_tile, grid.columns, column), cut(g.n, column_tile, grid.columns, column + 1), 0, g.k};
  };
  int64_t each = 0;
  for (int64_t part = 0; part < parts; ++part) each = std::max(each, kernels.scratch_elements(g, range_of(part)));
  each = ceil_div(each, 16) * 16;
  T* scratch = static_cast<T*>(workspace.scratch(static_cast<size_t>(parts * each) * sizeof(T)));
  if (parts == 1) return kernels.run(g, range_of(0), scratch);
#pragma omp parallel for num_threads(workspace.threads) schedule(static, 1)
  for (int64_t part = 0; part < parts; ++part) kernels.run(g, range_of(part), scratch + part * each);
}

template <class T>
void gemm_batch(const Gemm<T>& problem, int64_t count, GemmShift (*at)(int64_t i, const void* context),
                const void* context, Workspace& workspace) {
  const auto moved = [&](const Gemm<T>& g, int64_t i, bool swapped) {
    const GemmShift shift = at(i, context);
    Gemm<T> here = g;
    here.a += swapped ? shift.b : shift.a;
    here.b += swapped ? shift.a : shift.b;
    here.c += shift.c;
    return here;
  };
  const double operations =
      static_cast<double>(problem.m) * static_cast<double>(problem.n) * static_cast<double>(problem.k);
  if (count == 1 || problem.k == 0 || operations >= kLargeOperations) {
    for (int64_t i = 0; i < count; ++i) gemm(moved(problem, i, false), workspace);
    return;
  }
  if (problem.m == 0 || problem.n == 0) return;
  const GemmKernels<T>& kernels = gemm_kernels<T>();
  const Gemm<T> g = oriented(problem);
  const bool swapped = g.a != problem.a || g.b != problem.b;
  const GemmRange all{0, g.m, 0, g.n, 0, g.k};
  const int64_t each = ceil_div(kernels.scratch_elements(g, all), 16) * 16;
  const int64_t parts =
      operations * static_cast<double>(count) < kSerialOperations ? 1 : std::min<int64_t>(workspace.threads, count);
  T* scratch = static_cast<T*>(workspace.scratch(static_cast<size_t>(parts * each) * sizeof(T)));
#pragma omp parallel for num_threads(workspace.threads) schedule(static, 1) if (parts > 1)
  for (int64_t part = 0; part < parts; ++part)
    for (int64_t i = count * part / parts; i < count * (part + 1) / parts; ++i)
      kernels.run(moved(g, i, swapped), all, scratch + part * each);
}

template Gemm<float> oriented<float>(const Gemm<float>&);
template Gemm<double> oriented<double>(const Gemm<double>&);
template void gemm<float>(const Gemm<float>&, Workspace&);
template void gemm<double>(const Gemm<double>&, Workspace&);
template void gemm_batch<float>(const Gemm<float>&, int64_t, GemmShift (*)(int64_t, const void*), const void*, Workspace&);
template void gemm_batch<double>(const Gemm<double>&, int64_t, GemmShift (*)(int64_t, const void*), const void*, Workspace&);

}  // namespace hessia::cpu
