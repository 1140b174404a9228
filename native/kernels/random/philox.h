// Philox blocks and what is made of them, for the CPU and the GPU. Include it where multiplications and
// additions are not fused: the same bits on every machine.
#pragma once
#include "kernels/map/math.h"
#include "kernels/table.h"

namespace hessia {
namespace HESSIA_ISA_NS {

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

}  // namespace HESSIA_ISA_NS
}  // namespace hessia
