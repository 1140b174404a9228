#include "kernels/sparse/sparse.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "test/views.h"

using namespace hessia;
using namespace hessia::test;

namespace {

template <class T> constexpr DType type_of = sizeof(T) == 4 ? DType::Float32 : DType::Float64;

// Against dense rows: selection by sorting each block, products by plain loops.
template <class T> void check(std::mt19937_64& rng) {
  for (int trial = 0; trial < 60; trial++) {
    const int64_t n = trial % 6 == 0 ? pick(rng, 20000, 60000) : pick(rng, 1, 700), block = trial % 6 == 0 ? 4096 : pick(rng, 1, 100);
    const int64_t keep = pick(rng, 1, block), m = pick(rng, 1, 9), k = pick(rng, 1, 4);
    const int64_t entries = cpu::sparse_entries(n, block, keep);
    Guarded indices(static_cast<size_t>(m * entries * 2)), values(static_cast<size_t>(m * entries) * sizeof(T));
    const SparseRef s{indices.as<uint16_t>(), values.data(), m, block, keep};
    Workspace ws;
    ws.threads = 2;
    std::vector<std::vector<T>> dense(static_cast<size_t>(m), std::vector<T>(static_cast<size_t>(n)));
    for (int64_t r = 0; r < m; r++) {
      Guarded x(static_cast<size_t>(n) * sizeof(T));
      // few distinct values, so that there are ties
      for (int64_t e = 0; e < n; e++) x.as<T>()[e] = static_cast<T>(pick(rng, -6, 6));
      std::vector<T> before(x.as<T>(), x.as<T>() + n);
      cpu::sparse_select(type_of<T>, n, {x.data(), 1, n}, s, r, ws);
      for (int64_t start = 0; start < n; start += block) {
        const int64_t length = std::min(block, n - start);
        std::vector<int64_t> order(static_cast<size_t>(length));
        for (int64_t e = 0; e < length; e++) order[static_cast<size_t>(e)] = start + e;
        std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
          return std::fabs(before[static_cast<size_t>(a)]) > std::fabs(before[static_cast<size_t>(b)]);
        });
        for (int64_t i = 0; i < length; i++) {
          const size_t e = static_cast<size_t>(order[static_cast<size_t>(i)]);
          if (i < keep) dense[static_cast<size_t>(r)][e] = before[e];
          CHECK(x.as<T>()[e] == (i < keep ? 0 : before[e]));
        }
      }
    }
    if (m > 1) {
      cpu::sparse_copy(type_of<T>, n, s, m - 1, 0, ws);
      dense[0] = dense.back();
    }
    const int64_t first = pick(rng, 0, m - 1), count = pick(rng, 0, m - first);
    Guarded x(static_cast<size_t>(k * n) * sizeof(T)), y(static_cast<size_t>(k * n) * sizeof(T)), out(static_cast<size_t>(k * count * 8));
    for (int64_t e = 0; e < k * n; e++) x.as<T>()[e] = static_cast<T>(std::normal_distribution<double>()(rng));
    std::copy(x.as<T>(), x.as<T>() + k * n, y.as<T>());
    cpu::sparse_gram(type_of<T>, n, {x.data(), k, n}, s, first, count, out.as<double>(), ws);
    Guarded again(out.bytes());
    ws.threads = 3;
    cpu::sparse_gram(type_of<T>, n, {x.data(), k, n}, s, first, count, again.as<double>(), ws);
    CHECK(std::memcmp(out.data(), again.data(), out.bytes()) == 0);
    std::vector<double> c(static_cast<size_t>(k * count));
    for (double& v : c) v = pick(rng, 0, 3) == 0 ? 0 : std::normal_distribution<double>()(rng);
    const double beta = pick(rng, 0, 1) ? 0.0 : 0.5;
    cpu::sparse_combine(type_of<T>, n, c.data(), s, first, count, beta, {y.data(), k, n}, ws);
    for (int64_t i = 0; i < k; i++) {
      for (int64_t r = 0; r < count; r++) {
        double want = 0, magnitude = 0;
        for (int64_t e = 0; e < n; e++) {
          const double p = static_cast<double>(x.as<T>()[i * n + e]) * static_cast<double>(dense[static_cast<size_t>(first + r)][static_cast<size_t>(e)]);
          want += p;
          magnitude += std::fabs(p);
        }
        CHECK_NEAR(out.as<double>()[i * count + r], want, static_cast<double>(n) * eps_of(DType::Float64) * magnitude);
      }
      for (int64_t e = 0; e < n; e++) {
        double want = beta * static_cast<double>(x.as<T>()[i * n + e]), magnitude = std::fabs(want);
        for (int64_t r = 0; r < count; r++) {
          const double p = c[static_cast<size_t>(i * count + r)] * static_cast<double>(dense[static_cast<size_t>(first + r)][static_cast<size_t>(e)]);
          want += p;
          magnitude += std::fabs(p);
        }
        CHECK_NEAR(y.as<T>()[i * n + e], want, (eps_of(type_of<T>) + 20 * eps_of(DType::Float64)) * magnitude);
      }
    }
  }
}

}  // namespace

CPU_TEST(sparse_rows_against_dense) {
  std::mt19937_64 rng(21);
  check<float>(rng);
  check<double>(rng);
}
CPU_TEST(sparse_select_takes_what_is_not_finite) {
  float x[8] = {1, -7, 3, NAN, 2, 9, INFINITY, 0}, values[3];
  uint16_t indices[3];
  Workspace ws;
  cpu::sparse_select(DType::Float32, 8, {x, 1, 8}, {indices, values, 1, 8, 3}, 0, ws);
  CHECK(indices[0] == 3 && indices[1] == 5 && indices[2] == 6);
  CHECK(std::isnan(values[0]) && values[1] == 9 && std::isinf(values[2]) && x[3] == 0 && x[1] == -7);
}
CPU_TEST(sparse_index_outside_its_block_is_refused) {
  float values[2] = {1, 1}, x[3] = {1, 2, 3};
  uint16_t indices[2] = {1, 1};  // the second block has one element
  const SparseRef s{indices, values, 1, 2, 1};
  double out;
  const double one = 1;
  Workspace ws;
  int refused = 0;
  try { cpu::sparse_gram(DType::Float32, 3, {x, 1, 3}, s, 0, 1, &out, ws); } catch (const Error& e) { refused += e.code == ErrorCode::INVALID_INPUT; }
  try { cpu::sparse_combine(DType::Float32, 3, &one, s, 0, 1, 0.0, {x, 1, 3}, ws); } catch (const Error& e) { refused += e.code == ErrorCode::INVALID_INPUT; }
  CHECK(refused == 2);
}
