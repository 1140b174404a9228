// Philox blocks and what is made of them. Fused multiply-add is off: the same bits on every machine.
#if defined(__clang__)
#pragma clang fp contract(off)
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif
#include <cmath>

#include "kernels/map/math.h"
#include "kernels/random/random.h"

namespace hessia {
namespace HESSIA_ISA_NS {
namespace {

struct Words { uint32_t w[4]; };

HESSIA_MATH Words philox_block(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, uint32_t k0, uint32_t k1) {
  for (int round = 0; round < 10; round++) {
    const uint64_t p0 = uint64_t{0xd2511f53u} * c0, p1 = uint64_t{0xcd9e8d57u} * c2;
    c0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
    c1 = static_cast<uint32_t>(p1);
    c2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c3 = static_cast<uint32_t>(p0);
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
  return {{c0, c1, c2, c3}};
}

HESSIA_MATH double unit_interval(uint32_t word) {
  // word to double without a conversion instruction, as AVX2 has none for unsigned numbers
  const double number = from_bits<double>(static_cast<int64_t>(uint64_t{word} | 0x4330000000000000u)) - 4503599627370496.0;
  return (number + 0.5) * (1.0 / 4294967296.0);
}

// sin and cos of 2πu. u = q/4 + r exactly, |2πr| ≤ π/4.
HESSIA_MATH void turn(double u, double& sine, double& cosine) {
  const double shifted = 4.0 * u + Format<double>::magic;
  const int64_t q = to_bits(shifted);
  const double x = (u - 0.25 * (shifted - Format<double>::magic)) * 6.283185307179586, z = x * x;
  double s = 1.58969099521155010221e-10;
  s = s * z - 2.50507602534068634195e-08;
  s = s * z + 2.75573137070700676789e-06;
  s = s * z - 1.98412698298579493134e-04;
  s = s * z + 8.33333333332248946124e-03;
  s = s * z - 1.66666666666666324348e-01;
  s = x + x * z * s;
  double c = -1.13596475577881948265e-11;
  c = c * z + 2.08757232129817482790e-09;
  c = c * z - 2.75573143513906633035e-07;
  c = c * z + 2.48015872894767294178e-05;
  c = c * z - 1.38888888888741095749e-03;
  c = c * z + 4.16666666666666019037e-02;
  c = (1.0 - 0.5 * z) + z * z * c;
  const bool odd = q & 1;
  const double ss = odd ? c : s, cc = odd ? s : c;
  sine = (q & 2) ? -ss : ss;
  cosine = ((q + 1) & 2) ? -cc : cc;
}
HESSIA_MATH void box_muller(uint32_t w0, uint32_t w1, double& first, double& second) {
  const double radius = std::sqrt(-2.0 * op_log(unit_interval(w0)));
  double sine, cosine;
  turn(unit_interval(w1), sine, cosine);
  first = radius * cosine;
  second = radius * sine;
}

constexpr int kBatch = 64;

void blocks(Distribution distribution, uint64_t seed, uint64_t stream, uint64_t first, int count, double* out) {
  const uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  const uint32_t s0 = static_cast<uint32_t>(stream), s1 = static_cast<uint32_t>(stream >> 32);
  uint32_t w[4][kBatch];
  double x[4][kBatch];
  for (int start = 0; start < count; start += kBatch) {
    const int n = count - start < kBatch ? count - start : kBatch;
    for (int i = 0; i < n; i++) {
      const uint64_t block = first + static_cast<uint64_t>(start + i);
      const Words words = philox_block(static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), s0, s1, k0, k1);
      for (int k = 0; k < 4; k++) w[k][i] = words.w[k];
    }
    if (distribution == Distribution::Normal) {
      for (int i = 0; i < n; i++) box_muller(w[0][i], w[1][i], x[0][i], x[1][i]);
      for (int i = 0; i < n; i++) box_muller(w[2][i], w[3][i], x[2][i], x[3][i]);
    } else if (distribution == Distribution::Uniform) {
      for (int k = 0; k < 4; k++) for (int i = 0; i < n; i++) x[k][i] = unit_interval(w[k][i]);
    } else {
      for (int k = 0; k < 4; k++) for (int i = 0; i < n; i++) x[k][i] = (w[k][i] >> 31) ? 1.0 : -1.0;
    }
    for (int i = 0; i < n; i++) for (int k = 0; k < 4; k++) out[4 * (start + i) + k] = x[k][i];
  }
}

void philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
  const Words words = philox_block(counter[0], counter[1], counter[2], counter[3], key[0], key[1]);
  for (int k = 0; k < 4; k++) out[k] = words.w[k];
}

}  // namespace

extern const RandomTable random_table = {blocks, philox};

}  // namespace HESSIA_ISA_NS
}  // namespace hessia
