
#include <cstring>

#include "kernels/random/random.h"
#include "test/views.h"

using namespace hessia;
using namespace hessia::test;

namespace {

template <class T> constexpr DType type_of = sizeof(T) == 4 ? DType::Float32 : DType::Float64;

template <class T> struct Matrix {
  int64_t rows, length, stride;
  Guarded memory;
  Matrix(int64_t r, int64_t n, int64_t gap, std::mt19937_64& rng)
      : rows(r), length(n), stride(n + gap), memory(static_cast<size_t>(((r > 0 ? r - 1 : 0) * (n + gap) + n) * static_cast<int64_t>(sizeof(T)))) {
    for (int64_t i = 0; i < r; i++) for (int64_t e = 0; e < n; e++) at(i, e) = static_cast<T>(std::normal_distribution<double>()(rng));
  }
  T& at(int64_t i, int64_t e) { return memory.as<T>()[i * stride + e]; }
  RowsRef ref() { return {memory.data(), rows, stride}; }
  double dot(int64_t i, Matrix& other, int64_t j, double* magnitude) {
    long double sum = 0;
    *magnitude = 0;
    for (int64_t e = 0; e < length; e++) {
      const double p = static_cast<double>(at(i, e)) * static_cast<double>(other.at(j, e));
      sum += p;
      *magnitude += std::fabs(p);
    }
    return static_cast<double>(sum);
  }
};

template <class T> void check_gram(std::mt19937_64& rng) {
  for (int trial = 0; trial < 60; trial++) {
    const int64_t n = trial % 7 == 0 ? pick(rng, 5000, 60000) : pick(rng, 0, 1500);
    Matrix<T> a(pick(rng, 0, trial % 5 ? 9 : 70), n, pick(rng, 0, 5), rng), b(pick(rng, 0, 9), n, pick(rng, 0, 5), rng);
    Workspace ws;
    ws.threads = 2;
    const bool self = pick(rng, 0, 1);
    Matrix<T>& other = self ? a : b;
    Guarded out(static_cast<size_t>(a.rows * other.rows * 8));
    run::gram(type_of<T>, n, a.ref(), other.ref(), out.as<double>(), ws);
    Guarded again(out.bytes());
    ws.threads = 3;
    run::gram(type_of<T>, n, a.ref(), other.ref(), again.as<double>(), ws);
    CHECK(std::memcmp(out.data(), again.data(), out.bytes()) == 0);
    for (int64_t i = 0; i < a.rows; i++) for (int64_t j = 0; j < other.rows; j++) {
      double magnitude;
      const double want = a.dot(i, other, j, &magnitude);
      CHECK_NEAR(out.as<double>()[i * other.rows + j], want, 20 * eps_of(type_of<T>) * magnitude);
    }
  }
}

template <class T> void check_combine(std::mt19937_64& rng) {
  for (int trial = 0; trial < 60; trial++) {
    const int64_t n = trial % 7 == 0 ? pick(rng, 5000, 40000) : pick(rng, 0, 1500);
    Matrix<T> a(pick(rng, 0, 11), n, pick(rng, 0, 5), rng), b(pick(rng, 0, 5), n, pick(rng, 0, 5), rng);
    std::vector<double> c(static_cast<size_t>(a.rows * b.rows));
    for (double& x : c) x = pick(rng, 0, 3) ? std::normal_distribution<double>()(rng) : 0;
    const double beta = pick(rng, 0, 2) ? 1.5 : 0;
    std::vector<double> want(static_cast<size_t>(b.rows * n)), magnitude(want.size());
    if (beta == 0) for (int64_t j = 0; j < b.rows; j++) for (int64_t e = 0; e < n; e++) b.at(j, e) = static_cast<T>(NAN);
    for (int64_t j = 0; j < b.rows; j++) for (int64_t e = 0; e < n; e++) {
      double sum = beta == 0 ? 0 : beta * static_cast<double>(b.at(j, e)), size = std::fabs(sum);
      for (int64_t i = 0; i < a.rows; i++) {
        sum += c[static_cast<size_t>(j * a.rows + i)] * static_cast<double>(a.at(i, e));
        size += std::fabs(c[static_cast<size_t>(j * a.rows + i)] * static_cast<double>(a.at(i, e)));
      }
      want[static_cast<size_t>(j * n + e)] = sum;
      magnitude[static_cast<size_t>(j * n + e)] = size;
    }
    Workspace ws;
    ws.threads = 2;
    run::combine(type_of<T>, n, c.data(), a.ref(), beta, b.ref(), ws);
    for (int64_t j = 0; j < b.rows; j++) for (int64_t e = 0; e < n; e++) {
      const size_t k = static_cast<size_t>(j * n + e);
      CHECK_NEAR(b.at(j, e), want[k], eps_of(type_of<T>) * std::fabs(want[k]) + 20 * 2.3e-16 * magnitude[k]);
    }
  }
}

template <class T> void check_orthogonalize(std::mt19937_64& rng) {
  const double eps = eps_of(type_of<T>);
  for (const auto& [m, n] : std::vector<std::pair<int64_t, int64_t>>{{0, 100}, {1, 1000}, {5, 700}, {12, 30000}, {40, 9001}}) {
    Matrix<T> basis(m + 1, n, 3, rng);
    Workspace ws;
    ws.threads = 2;
    // Orthonormalise the basis with the operation itself, one row at a time.
    for (int64_t i = 0; i < m; i++) {
      std::vector<double> out(static_cast<size_t>(i + 2));
      const RowsRef w{&basis.at(i, 0), 1, 0};
      run::orthogonalize(type_of<T>, n, {basis.memory.data(), i, basis.stride}, w, out.data(), ws);
      const double scale = 1 / out.back() - 1;
      run::combine(type_of<T>, n, &scale, w, 1.0, w, ws);
    }
    // w nearly inside the span: the second pass is what saves it.
    for (int64_t e = 0; e < n; e++) {
      double sum = 1e-3 * std::normal_distribution<double>()(rng) / std::sqrt(static_cast<double>(n));
      for (int64_t i = 0; i < m; i++) sum += static_cast<double>(basis.at(i, e));
      basis.at(m, e) = static_cast<T>(sum);
    }
    double unused;
    const double before = std::sqrt(basis.dot(m, basis, m, &unused));
    std::vector<double> out(static_cast<size_t>(m + 2));
    run::orthogonalize(type_of<T>, n, {basis.memory.data(), m, basis.stride}, {&basis.at(m, 0), 1, 0}, out.data(), ws);
    const double after = std::sqrt(basis.dot(m, basis, m, &unused));
    CHECK_NEAR(out[static_cast<size_t>(m)], before, 20 * eps * before);
    CHECK_NEAR(out[static_cast<size_t>(m + 1)], after, 20 * eps * after);
    for (int64_t i = 0; i < m; i++) {
      CHECK_NEAR(out[static_cast<size_t>(i)], 1.0, 1e-3 * 5 + 100 * eps);
      // after two passes what is left is rounding of w itself, about eps |w| / sqrt(n) per entry
      CHECK_NEAR(basis.dot(i, basis, m, &unused) / after, 0.0, 40 * eps);
    }
  }
}

}  // namespace

TEST(gram_products) {
  std::mt19937_64 rng(11);
  check_gram<float>(rng);
  check_gram<double>(rng);
}
TEST(combine_rows_of_vectors) {
  std::mt19937_64 rng(12);
  check_combine<float>(rng);
  check_combine<double>(rng);
}
TEST(combine_scales_in_place) {
  std::mt19937_64 rng(13);
  Matrix<float> a(3, 5000, 0, rng);
  std::vector<float> before(a.memory.as<float>(), a.memory.as<float>() + 15000);
  const double c[9] = {2, 0, 0, 0, -1, 0, 0, 0, 0.5};
  Workspace ws;
  ws.threads = 2;
  run::combine(DType::Float32, 5000, c, a.ref(), 0.0, a.ref(), ws);
  const float scale[] = {2, -1, 0.5f};
  bool same = true;
  for (int64_t i = 0; i < 15000; i++) same = same && a.memory.as<float>()[i] == before[static_cast<size_t>(i)] * scale[i / 5000];
  CHECK(same);
}
TEST(orthogonalize_twice_is_enough) {
  std::mt19937_64 rng(14);
  check_orthogonalize<float>(rng);
  check_orthogonalize<double>(rng);
}

CPU_TEST(philox_matches_the_published_vectors) {
  struct Known { uint32_t counter[4], key[2], out[4]; };
  const Known known[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}, {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (const Known& k : known) {
    uint32_t out[4];
    HESSIA_PICK_ISA(random_table).philox(k.counter, k.key, out);
    for (int i = 0; i < 4; i++) CHECK(out[i] == k.out[i]);
  }
}

TEST(random_rows_do_not_depend_on_threads_isa_or_length) {
  for (Distribution d : {Distribution::Normal, Distribution::Rademacher, Distribution::Uniform}) {
    const int64_t n = 10001;
    Shared<double> one(static_cast<size_t>(2 * n)), two(one.size());
    Workspace ws;
    run::random(DType::Float64, n, {one.data(), 2, n}, d, 12345678901234, 7, ws);
    ws.threads = 3;
    const Isa isa = active_isa();
    set_active_isa(Isa::Baseline);
    run::random(DType::Float64, n, {two.data(), 2, n}, d, 12345678901234, 7, ws);
    set_active_isa(isa);
    CHECK(std::memcmp(one.data(), two.data(), one.size() * 8) == 0);
    Shared<double> row(100);
    run::random(DType::Float64, 100, {row.data(), 1, 100}, d, 12345678901234, 8, ws);
    CHECK(std::memcmp(row.data(), one.data() + n, 800) == 0);
    Shared<float> narrow(static_cast<size_t>(n));
    run::random(DType::Float32, n, {narrow.data(), 1, n}, d, 12345678901234, 7, ws);
    bool same = true;
    for (size_t i = 0; i < narrow.size(); i++) same = same && std::fabs(narrow[i] - one[i]) <= 6e-8 * (1 + std::fabs(one[i]));
    CHECK(same);
  }
}

TEST(random_rows_have_the_bits_of_the_cpu) {
  for (Distribution d : {Distribution::Normal, Distribution::Rademacher, Distribution::Uniform}) {
    for (int64_t n : {1, 3, 4, 1000, 70001}) {
      Shared<double> got(static_cast<size_t>(3 * n));
      std::vector<double> want(got.size());
      Workspace ws;
      run::random(DType::Float64, n, {got.data(), 3, n}, d, 987654321098765, 41, ws);
      cpu::random(DType::Float64, n, {want.data(), 3, n}, d, 987654321098765, 41, ws);
      CHECK(std::memcmp(got.data(), want.data(), got.size() * 8) == 0);
      Shared<float> narrow(got.size());
      run::random(DType::Float32, n, {narrow.data(), 3, n}, d, 987654321098765, 41, ws);
      std::vector<float> narrow_want(got.size());
      cpu::random(DType::Float32, n, {narrow_want.data(), 3, n}, d, 987654321098765, 41, ws);
      CHECK(std::memcmp(narrow.data(), narrow_want.data(), got.size() * 4) == 0);
    }
  }
}

TEST(random_moments) {
  const int64_t n = 400000;
  Shared<double> x(static_cast<size_t>(n));
  Workspace ws;
  for (Distribution d : {Distribution::Normal, Distribution::Rademacher, Distribution::Uniform}) {
    run::random(DType::Float64, n, {x.data(), 1, n}, d, 1, 2, ws);
    const bool uniform = d == Distribution::Uniform;
    double mean = 0, square = 0, fourth = 0, lag = 0;
    for (int64_t i = 0; i < n; i++) {
      const double v = uniform ? x[static_cast<size_t>(i)] - 0.5 : x[static_cast<size_t>(i)];
      mean += v;
      square += v * v;
      fourth += v * v * v * v;
      if (i > 0) lag += v * (uniform ? x[static_cast<size_t>(i - 1)] - 0.5 : x[static_cast<size_t>(i - 1)]);
      CHECK(!uniform || (x[static_cast<size_t>(i)] > 0 && x[static_cast<size_t>(i)] < 1));
    }
    const double variance = uniform ? 1.0 / 12 : 1, kurtosis = d == Distribution::Normal ? 3 : d == Distribution::Rademacher ? 1 : 1.0 / 80;
    const double s = 5 / std::sqrt(static_cast<double>(n));  // five standard errors
    CHECK_NEAR(mean / n, 0, s * std::sqrt(variance));
    CHECK_NEAR(square / n, variance, s * std::sqrt(kurtosis - variance * variance) + 1e-12);
    CHECK_NEAR(fourth / n, kurtosis, s * 10);
    CHECK_NEAR(lag / n, 0, s * variance);
  }
}

TEST(bfloat16_rounds_to_nearest_even) {
  // what float32 bits become, by hand: below, at and above the middle, even and odd; overflow; infinity; NaN
  const std::pair<uint32_t, uint16_t> cases[] = {
      {0x3f800000u, 0x3f80}, {0x3f807fffu, 0x3f80}, {0x3f808000u, 0x3f80}, {0x3f808001u, 0x3f81}, {0x3f818000u, 0x3f82},
      {0xbf818000u, 0xbf82}, {0x7f7fffffu, 0x7f80}, {0x7f800000u, 0x7f80}, {0x00000001u, 0x0000}, {0x80008001u, 0x8001},
      {0x7f800001u, 0x7fc0}, {0xffffffffu, 0xffff}};
  for (const auto& [from, to] : cases) {
    Guarded a(4), b(2);
    std::memcpy(a.data(), &from, 4);
    Workspace ws;
    run::round_bfloat16(1, {a.data(), 1, 1}, {b.data(), 1, 1}, ws);
    CHECK(*b.as<uint16_t>() == to);
  }
}
TEST(bfloat16_rows_are_those_of_float32) {
  std::mt19937_64 rng(17);
  for (int trial = 0; trial < 40; trial++) {
    const int64_t n = trial % 7 == 0 ? pick(rng, 5000, 60000) : pick(rng, 0, 1500), m = pick(rng, 0, 20), k = pick(rng, 1, 5);
    const int64_t stride = n + pick(rng, 0, 5);
    Matrix<float> x(k, n, pick(rng, 0, 3), rng), wide(m, n, stride - n, rng);
    Guarded half(static_cast<size_t>(m > 0 ? ((m - 1) * stride + n) * 2 : 0));
    Workspace ws;
    ws.threads = 2;
    const RowsRef rows{half.data(), m, stride};
    run::round_bfloat16(n, wide.ref(), rows, ws);
    for (int64_t i = 0; i < m; i++) for (int64_t e = 0; e < n; e++) {
      const uint32_t bits = static_cast<uint32_t>(half.as<uint16_t>()[i * stride + e]) << 16;
      float rounded;
      std::memcpy(&rounded, &bits, 4);
      CHECK(std::fabs(rounded - wide.at(i, e)) <= 0x1p-8f * std::fabs(wide.at(i, e)));
      wide.at(i, e) = rounded;
    }
    Guarded got(static_cast<size_t>(k * m * 8));
    run::gram(kBFloat16, n, x.ref(), rows, got.as<double>(), ws);
    for (int64_t i = 0; i < k; i++) for (int64_t j = 0; j < m; j++) {
      double magnitude;
      const double exact = x.dot(i, wide, j, &magnitude);
      CHECK_NEAR(got.as<double>()[i * m + j], exact, 20 * eps_of(DType::Float32) * magnitude);
    }
    std::vector<double> c(static_cast<size_t>(k * m));
    for (double& v : c) v = pick(rng, 0, 3) == 0 ? 0 : std::normal_distribution<double>()(rng);
    Matrix<float> y(k, n, 2, rng), z(k, n, 2, rng);
    for (int64_t i = 0; i < k; i++) for (int64_t e = 0; e < n; e++) z.at(i, e) = y.at(i, e);
    const double beta = pick(rng, 0, 1) ? 0.0 : 0.5;
    run::combine(kBFloat16, n, c.data(), rows, beta, y.ref(), ws);
    run::combine(DType::Float32, n, c.data(), wide.ref(), beta, z.ref(), ws);
    for (int64_t i = 0; i < k; i++) for (int64_t e = 0; e < n; e++) {
      double magnitude = 0;
      for (int64_t r = 0; r < m; r++) magnitude += std::fabs(c[static_cast<size_t>(i * m + r)] * static_cast<double>(wide.at(r, e)));
      // eight products and their coefficients in float32; then both results are rounded once
      CHECK_NEAR(y.at(i, e), z.at(i, e), 0x1p-24 * (9.01 * magnitude + 2 * std::fabs(static_cast<double>(z.at(i, e)))));
    }
  }
}
