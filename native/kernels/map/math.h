// Element-wise mathematics: every function once, as a branch-free scalar template that the compiler
// vectorises over a tile, for float and double, per instruction set (HESSIA_ISA_NS) and again by nvcc.
//
// Accuracy, measured by math_test.cc over the whole range, subnormal results included, in units in the last
// place: float32 tanh and sigmoid below 0.51, exp, log, log1p, erf below 1.2, expm1 and softplus below 1.6;
// float64 exp, log, log1p below 1, expm1 and softplus below 1.8, tanh and sigmoid below 2.5. float32 sin and
// cos below 0.6. The rest is the C library's. NaN and infinities follow IEEE 754; the sign of
// a zero result is not kept.
//
// Kinks: max and min return NaN if either operand is one; sign(0) = 0; round is half to even; mod has the
// sign of the divisor. Truth values are 0 and 1, and everything that is not 0 (NaN too) counts as true.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#define HESSIA_MATH static __host__ __device__ inline
#elif defined(__GNUC__)
#define HESSIA_MATH static inline __attribute__((always_inline))
#else
#define HESSIA_MATH static inline
#endif

namespace hessia {
namespace HESSIA_ISA_NS {

// ---- bits ---------------------------------------------------------------------------------------------
template <class T> struct Format;
template <> struct Format<float> {
  using Int = int32_t;
  using Unsigned = uint32_t;
  static constexpr int mantissa = 23, bias = 127;
  static constexpr float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer in the low bits
};
template <> struct Format<double> {
  using Int = int64_t;
  using Unsigned = uint64_t;
  static constexpr int mantissa = 52, bias = 1023;
  static constexpr double magic = 6755399441055744.0;  // 1.5 * 2^52
};
template <class T> HESSIA_MATH typename Format<T>::Int to_bits(T x) {
  typename Format<T>::Int bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}
template <class T> HESSIA_MATH T from_bits(typename Format<T>::Int bits) {
  T x;
  memcpy(&x, &bits, sizeof x);
  return x;
}
template <class T> HESSIA_MATH T magnitude(T x) { return x < T(0) ? -x : x; }
template <class T> HESSIA_MATH T with_sign_of(T positive, T x) { return x < T(0) ? -positive : positive; }
template <class T> HESSIA_MATH bool is_nan(T x) { return x != x; }
template <class T> HESSIA_MATH T infinity() { return T(HUGE_VAL); }

// ---- exp family ---------------------------------------------------------------------------------------
// x = k ln 2 + r with |r| <= ln 2 / 2. Returns expm1(r) by its Taylor polynomial (remainder below 1e-8 and
// 4e-18) and k both as a number and as an integer.
template <class T> struct Reduced { T em1, k; typename Format<T>::Int ik; };

HESSIA_MATH float expm1_polynomial(float r) {
  float q = 1.0f / 5040;
  q = q * r + 1.0f / 720;
  q = q * r + 1.0f / 120;
  q = q * r + 1.0f / 24;
  q = q * r + 1.0f / 6;
  q = q * r + 0.5f;
  return q * (r * r) + r;
}
HESSIA_MATH double expm1_polynomial(double r) {
  double q = 1.0 / 6227020800.0;
  q = q * r + 1.0 / 479001600.0;
  q = q * r + 1.0 / 39916800.0;
  q = q * r + 1.0 / 3628800.0;
  q = q * r + 1.0 / 362880.0;
  q = q * r + 1.0 / 40320.0;
  q = q * r + 1.0 / 5040.0;
  q = q * r + 1.0 / 720.0;
  q = q * r + 1.0 / 120.0;
  q = q * r + 1.0 / 24.0;
  q = q * r + 1.0 / 6.0;
  q = q * r + 0.5;
  return q * (r * r) + r;
}
// The high part of ln 2 has enough trailing zeros for k * high to be exact.
HESSIA_MATH float minus_k_ln2(float x, float k) { return (x - k * 0.693359375f) - k * -2.12194440054690583e-4f; }
HESSIA_MATH double minus_k_ln2(double x, double k) {
  return (x - k * 6.93147180369123816490e-01) - k * 1.90821492927058770002e-10;
}
template <class T> HESSIA_MATH Reduced<T> reduce_exp(T x) {
  const T shifted = x * T(1.44269504088896340736) + Format<T>::magic;
  const T k = shifted - Format<T>::magic;
  return {expm1_polynomial(minus_k_ln2(x, k)), k, to_bits(shifted) - to_bits(Format<T>::magic)};
}
template <class T> HESSIA_MATH T power_of_two(typename Format<T>::Int k) {
  using U = typename Format<T>::Unsigned;
  return from_bits<T>(static_cast<typename Format<T>::Int>(static_cast<U>(k + Format<T>::bias) << Format<T>::mantissa));
}
template <class T> HESSIA_MATH T op_exp(T x) {
  constexpr bool single = sizeof(T) == 4;
  // Beyond these the result is infinite or zero anyway; NaN passes both comparisons.
  x = x > T(single ? 89.0 : 710.0) ? T(single ? 89.0 : 710.0) : x;
  x = x < T(single ? -104.0 : -746.0) ? T(single ? -104.0 : -746.0) : x;
  const Reduced<T> reduced = reduce_exp(x);
  // 2^k in two factors, so that k = 128 and subnormal results come out right.
  const auto half = to_bits(reduced.k * T(0.5) + Format<T>::magic) - to_bits(Format<T>::magic);
  return (T(1) + reduced.em1) * power_of_two<T>(half) * power_of_two<T>(reduced.ik - half);
}
template <class T> HESSIA_MATH T op_expm1(T x) {
  constexpr bool single = sizeof(T) == 4;
  x = x > T(single ? 89.0 : 710.0) ? T(single ? 89.0 : 710.0) : x;
  x = x < T(-50) ? T(-50) : x;
  const Reduced<T> reduced = reduce_exp(x);
  // 2^k em + 2^k - 1, halved inside so that 2^128 does not appear before its time.
  const T scale = power_of_two<T>(reduced.ik - 1);
  const T half = scale * reduced.em1 + (scale - T(0.5));
  return half + half;
}
// With E = exp(-2|x|): (1 - E) / (1 + E) near zero, where 1 - E comes from expm1, and 1 - 2E / (1 + E) beyond
// |x| = 0.55, where an error of E counts for less than half.
template <class T> HESSIA_MATH T op_tanh(T x) {
  T y = T(-2) * magnitude(x);
  y = y < T(-50) ? T(-50) : y;
  const Reduced<T> reduced = reduce_exp(y);
  const T scale = power_of_two<T>(reduced.ik);
  const T e = scale + scale * reduced.em1, one_minus_e = (T(1) - scale) - scale * reduced.em1;
  const bool far = y < T(-1.1);
  const T quotient = (far ? e + e : one_minus_e) / (T(1) + e);
  return with_sign_of(far ? T(1) - quotient : quotient, x);
}
template <class T> HESSIA_MATH T op_sigmoid(T x) {
  const T e = op_exp(-magnitude(x));
  return (x < T(0) ? e : T(1)) / (T(1) + e);
}

// The same for float32, in float64, where no cancellation matters: rounded once, at the end. exp(y) for y in
// [-110, 0], as scale (1 + em1).
struct ShortExp { double em1, scale; };
HESSIA_MATH ShortExp short_exp(double y) {
  const double shifted = y * 1.44269504088896340736 + Format<double>::magic;
  const double k = shifted - Format<double>::magic, r = y - k * 0.69314718055994530942;
  double q = 1.0 / 40320;  // Taylor; the remainder is below 3e-10
  q = q * r + 1.0 / 5040;
  q = q * r + 1.0 / 720;
  q = q * r + 1.0 / 120;
  q = q * r + 1.0 / 24;
  q = q * r + 1.0 / 6;
  q = q * r + 0.5;
  return {q * (r * r) + r, power_of_two<double>(to_bits(shifted) - to_bits(Format<double>::magic))};
}
HESSIA_MATH float op_tanh(float x) {
  double y = -2.0 * static_cast<double>(magnitude(x));
  y = y < -50.0 ? -50.0 : y;
  const ShortExp e = short_exp(y);
  const double moved = e.scale * e.em1;  // exp(y) = scale + moved
  return with_sign_of(static_cast<float>(((1.0 - e.scale) - moved) / (1.0 + e.scale + moved)), x);
}
HESSIA_MATH float op_sigmoid(float x) {
  double y = -static_cast<double>(magnitude(x));
  y = y < -110.0 ? -110.0 : y;
  const ShortExp parts = short_exp(y);
  const double e = parts.scale + parts.scale * parts.em1;
  return static_cast<float>((x < 0.0f ? e : 1.0) / (1.0 + e));
}

// ---- log family ---------------------------------------------------------------------------------------
// log(m) for m = 1 + f in [sqrt(1/2), sqrt(2)): with s = f / (2 + f), log = f - (f²/2 - s (f²/2 + R(s²))).
HESSIA_MATH float log_remainder(float z) {
  return z * (0.66666662693f + z * (0.40000972152f + z * (0.28498786688f + z * 0.24279078841f)));
}
HESSIA_MATH double log_remainder(double z) {
  double r = 1.479819860511658591e-01;
  r = r * z + 1.531383769920937332e-01;
  r = r * z + 1.818357216161805012e-01;
  r = r * z + 2.222219843214978396e-01;
  r = r * z + 2.857142874366239149e-01;
  r = r * z + 3.999999999940941908e-01;
  r = r * z + 6.666666666666735130e-01;
  return r * z;
}
HESSIA_MATH void split_exponent(float x, float& k, float& m) {
  const bool tiny = x < 1.17549435e-38f;
  const uint32_t bits = static_cast<uint32_t>(to_bits(tiny ? x * 33554432.0f : x)) + (0x3f800000u - 0x3f3504f3u);
  k = static_cast<float>(static_cast<int32_t>(bits >> 23) - 127) - (tiny ? 25.0f : 0.0f);
  m = from_bits<float>(static_cast<int32_t>((bits & 0x007fffffu) + 0x3f3504f3u));
}
HESSIA_MATH void split_exponent(double x, double& k, double& m) {
  const bool tiny = x < 2.2250738585072014e-308;
  const uint64_t bits =
      static_cast<uint64_t>(to_bits(tiny ? x * 18014398509481984.0 : x)) + (0x3ff0000000000000u - 0x3fe6a09e667f3bcdu);
  // An integer below 2^52 to a number without a conversion instruction (AVX2 has none).
  k = from_bits<double>(static_cast<int64_t>((bits >> 52) | 0x4330000000000000u)) - (4503599627370496.0 + 1023.0) -
      (tiny ? 54.0 : 0.0);
  m = from_bits<double>(static_cast<int64_t>((bits & 0x000fffffffffffffu) + 0x3fe6a09e667f3bcdu));
}
HESSIA_MATH float k_ln2_high(float k) { return k * 0.693359375f; }
HESSIA_MATH float k_ln2_low(float k) { return k * -2.12194440054690583e-4f; }
HESSIA_MATH double k_ln2_high(double k) { return k * 6.93147180369123816490e-01; }
HESSIA_MATH double k_ln2_low(double k) { return k * 1.90821492927058770002e-10; }

// log(x) + correction for finite x > 0, the correction being far smaller than the result (or x near 1).
template <class T> HESSIA_MATH T log_of_positive(T x, T correction) {
  T k, m;
  split_exponent(x, k, m);
  const T f = m - T(1), s = f / (T(2) + f), half_square = T(0.5) * f * f;
  const T tail = s * (half_square + log_remainder(s * s)) + (k_ln2_low(k) + correction);
  return k_ln2_high(k) - ((half_square - tail) - f);
}
template <class T> HESSIA_MATH T log_plus(T x, T correction) {
  T result = log_of_positive(x, correction);
  result = x == T(0) ? -infinity<T>() : result;
  result = x < T(0) ? T(NAN) : result;
  return x < infinity<T>() ? result : x;  // +inf and NaN stay
}
template <class T> HESSIA_MATH T op_log(T x) { return log_plus(x, T(0)); }
template <class T> HESSIA_MATH T op_log1p(T x) {
  const T u = T(1) + x;
  const T lost = (x > T(1) ? T(1) - (u - x) : x - (u - T(1))) / u;  // what the addition rounded away
  return log_plus(u, u > T(0) && u < infinity<T>() ? lost : T(0));
}
template <class T> HESSIA_MATH T op_softplus(T x) {
  const T e = op_exp(-magnitude(x));  // in [0, 1]
  const T u = T(1) + e;
  const T result = (x > T(0) ? x : T(0)) + log_of_positive(u, (e - (u - T(1))) / u);
  return is_nan(x) ? x : result;
}

// ---- erf ----------------------------------------------------------------------------------------------
HESSIA_MATH float op_erf(float x) {
  const float t = magnitude(x), s = x * x;
  const float c = t > 4.0f ? 4.0f : t, cs = c * c;  // log(1 - erf(c)), c in [0.93, 4]
  float tail = -1.72853470e-5f * c + 3.83197126e-4f;
  tail = tail * cs + (-3.88396438e-3f * c + 2.42546219e-2f);
  tail = tail * c - 1.06777877e-1f;
  tail = tail * c - 6.34846687e-1f;
  tail = tail * c - 1.28717512e-1f;
  tail = tail * c - c;
  const float far = with_sign_of(1.0f - op_exp(tail), x);
  float near = -5.96761703e-4f;
  near = near * s + 4.99119423e-3f;
  near = near * s - 2.67681349e-2f;
  near = near * s + 1.12819925e-1f;
  near = near * s - 3.76125336e-1f;
  near = near * s + 1.28379166e-1f;
  near = near * x + x;
  return t > 0.927734375f ? far : near;
}
HESSIA_MATH double op_erf(double x) { return erf(x); }

// ---- sin and cos of float32, in float64, for |x| <= kTrigonometricLimit ---------------------------------
constexpr float kTrigonometricLimit = 1e5f;
// quarter = 0 for sin, 1 for cos.
HESSIA_MATH float sine_of_quarters(float x, int quarter) {
  const double xd = x;
  const double shifted = xd * 0.63661977236758134308 + Format<double>::magic;
  const double k = shifted - Format<double>::magic;
  const int64_t q = to_bits(shifted) + quarter;
  const double r = (xd - k * 1.57079632673412561417e+00) - k * 6.07710050650619224932e-11, z = r * r;
  const double sine = r + r * z * (-0.166666666416265235595 + z * (0.0083333293858894631756 +
                      z * (-0.000198393348360966317347 + z * 0.0000027183114939898219064)));
  const double cosine = 1.0 + z * (-0.499999997251031003120 + z * (0.0416666233237390631894 +
                        z * (-0.00138867637746099294692 + z * 0.0000243904487962774090654)));
  const double value = (q & 1) ? cosine : sine;
  return static_cast<float>((q & 2) ? -value : value);
}

// ---- the rest -----------------------------------------------------------------------------------------
HESSIA_MATH float floor_of(float x) { return floorf(x); }
HESSIA_MATH double floor_of(double x) { return floor(x); }
template <class T> HESSIA_MATH T truth(bool b) { return b ? T(1) : T(0); }
template <class T> HESSIA_MATH T op_sign(T x) { return x > T(0) ? T(1) : x < T(0) ? T(-1) : is_nan(x) ? x : T(0); }
template <class T> HESSIA_MATH T op_max(T a, T b) { return (a > b || is_nan(a)) ? a : b; }
template <class T> HESSIA_MATH T op_min(T a, T b) { return (a < b || is_nan(a)) ? a : b; }
template <class T> HESSIA_MATH T op_mod(T a, T b) { return a - floor_of(a / b) * b; }

}  // namespace HESSIA_ISA_NS
}  // namespace hessia
