#include "kernels/gemm/gemm.h"

#include "base/workspace.h"
#include "test/tensors.h"

using namespace hessia;
using namespace hessia::cpu;
using namespace hessia::test;

namespace {

enum class Kind { Unit, Strided, Backward, Runs, Scattered };

// An axis of `count` distinct offsets from 0 on, and the elements it spans.
struct TestAxis {
  std::vector<int64_t> table;
  Axis axis = strided(0, 1);
  int64_t reach = 1;  // largest offset + 1
};
TestAxis make_axis(Rng& rng, Kind kind, int64_t count, int64_t step) {
  TestAxis t;
  if (kind == Kind::Unit || kind == Kind::Strided) {
    const int64_t stride = kind == Kind::Unit ? step : step * pick(rng, 2, 3);
    t.axis = strided(count, stride);
    t.reach = std::max<int64_t>(1, (count - 1) * stride + 1);
    return t;
  }
  for (int64_t i = 0; i < count; ++i) t.table.push_back(i * step);
  if (kind == Kind::Backward) std::reverse(t.table.begin(), t.table.end());
  if (kind == Kind::Scattered) std::shuffle(t.table.begin(), t.table.end(), rng);
  if (kind == Kind::Runs) {
    const int64_t run = pick(rng, 1, 20);
    for (int64_t i = 0; i < count; ++i) t.table[static_cast<size_t>(i)] += i / run * step * 5;
  }
  for (int64_t o : t.table) t.reach = std::max(t.reach, o + 1);
  return t;
}

template <class T>
struct Operand {
  TestAxis rows, cols;
  std::vector<T> data;
  Axis row_axis() const { return rows.table.empty() ? rows.axis : listed(static_cast<int64_t>(rows.table.size()), rows.table.data()); }
  Axis col_axis() const { return cols.table.empty() ? cols.axis : listed(static_cast<int64_t>(cols.table.size()), cols.table.data()); }
  int64_t at(int64_t i, int64_t j) const { return row_axis().at(i) + col_axis().at(j); }
};
template <class T>
Operand<T> make_operand(Rng& rng, Kind rows, Kind cols, int64_t m, int64_t n, bool columns_inside) {
  Operand<T> o;
  if (columns_inside) {
    o.cols = make_axis(rng, cols, n, 1);
    o.rows = make_axis(rng, rows, m, o.cols.reach);
  } else {
    o.rows = make_axis(rng, rows, m, 1);
    o.cols = make_axis(rng, cols, n, o.rows.reach);
  }
  std::uniform_real_distribution<double> uniform(-1, 1);
  o.data.resize(static_cast<size_t>(o.rows.reach + o.cols.reach));
  for (T& x : o.data) x = static_cast<T>(uniform(rng));
  return o;
}

template <class T>
void check(Rng& rng, int64_t m, int64_t n, int64_t k, int form) {
  const auto kind = [&] { return form == 0 ? Kind::Unit : static_cast<Kind>(pick(rng, 0, 4)); };
  const bool inside[] = {(form & 1) == 0, pick(rng, 0, 1) == 1, pick(rng, 0, 2) > 0};
  const Operand<T> a = make_operand<T>(rng, kind(), kind(), m, k, inside[0]);
  const Operand<T> b = make_operand<T>(rng, kind(), kind(), k, n, inside[1]);
  Operand<T> c = make_operand<T>(rng, kind(), kind(), m, n, inside[2]);
  const std::vector<T> before = c.data;
  Gemm<T> g{m, n, k, a.data.data(), a.row_axis(), a.col_axis(), b.data.data(), b.row_axis(), b.col_axis(),
            c.data.data(), c.row_axis(), c.col_axis(), T(form % 3 == 0 ? 1 : -1.5), form % 2 == 1};
  std::vector<double> want(before.begin(), before.end());
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      double sum = 0;
      for (int64_t l = 0; l < k; ++l)
        sum += static_cast<double>(a.data[static_cast<size_t>(a.at(i, l))]) * static_cast<double>(b.data[static_cast<size_t>(b.at(l, j))]);
      double& w = want[static_cast<size_t>(c.at(i, j))];
      w = static_cast<double>(g.alpha) * sum + (g.accumulate ? w : 0);
    }
  const double tolerance = epsilon(sizeof(T) == 4 ? DType::Float32 : DType::Float64) * (4 + 3 * static_cast<double>(k));
  const auto same = [&] {
    bool close = true;
    for (size_t e = 0; e < want.size(); ++e) close = close && near(static_cast<double>(c.data[e]), want[e], tolerance);
    return close;
  };
  for (int threads : {1, 2, 3, 7}) {
    Workspace workspace;
    workspace.threads = threads;
    workspace.use_onednn = false;
    c.data = before;
    g.c = c.data.data();
    gemm(g, workspace);
    CHECK(same());
    const std::vector<T> first = c.data;
    c.data = before;
    g.c = c.data.data();
    gemm(g, workspace);
    CHECK(first == c.data);
  }

  // One thread's kernel directly, with a packed beforehand and b wherever it is.
  if (k == 0) return;
  const GemmKernels<T>& kernels = gemm_kernels<T>();
  const GemmRange all{0, m, 0, n, 0, k};
  std::vector<T> packed(static_cast<size_t>(m * k));
  kernels.pack_a(g, packed.data());
  for (bool in_place : {false, true}) {
    Gemm<T> ready = g;
    ready.packed_a = packed.data();
    ready.b_in_place = in_place;
    c.data = before;
    ready.c = c.data.data();
    Workspace workspace;
    kernels.run(ready, all, static_cast<T*>(workspace.scratch(static_cast<size_t>(kernels.scratch_elements(ready, all)) * sizeof(T))));
    CHECK(same());
  }
}

}  // namespace

CPU_TEST(gemm_every_kind_of_axis) {
  Rng rng(31);
  for (int repeat = 0; repeat < 60; ++repeat) {
    const int64_t m = pick(rng, 1, 70), n = pick(rng, 1, 130), k = pick(rng, 0, 6) == 0 ? pick(rng, 0, 2) : pick(rng, 1, 300);
    check<float>(rng, m, n, k, repeat % 6);
    check<double>(rng, m, n, k, repeat % 6);
  }
}

CPU_TEST(gemm_tile_edges) {
  Rng rng(32);
  for (int64_t m : {1, 2, 4, 5, 8, 9, 12, 13, 17})
    for (int64_t n : {1, 4, 5, 15, 16, 17, 32, 48, 49, 97})
      check<float>(rng, m, n, 37, 0);
}

CPU_TEST(gemm_blocks_and_splits) {
  Rng rng(33);
  check<float>(rng, 400, 70, 600, 0);
  check<float>(rng, 3, 2700, 60, 2);
  check<double>(rng, 10, 1400, 300, 3);
  for (int64_t k : {4095, 9000}) {
    check<float>(rng, 1, 1, k, 0);
    check<float>(rng, 7, 5, k, 1);
    check<double>(rng, 16, 16, k, 4);
  }
}
