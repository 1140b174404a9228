// Accuracy of the element-wise functions, in units in the last place, against the next wider type.
#include <cstring>

#include "test/reference/map.h"
#include "test/views.h"

using namespace hessia;
using namespace hessia::test;

namespace {

template <class T> void apply(MapOpcode opcode, const Shared<T>& x, Shared<T>& y) {
  MapInstruction m;
  m.compute = sizeof(T) == 4 ? DType::Float32 : DType::Float64;
  m.shape = {static_cast<int64_t>(x.size())};
  m.inputs = {dense_view(0, m.compute, m.shape)};
  m.code = {{opcode, 0, 0, 0, 0}};
  m.outputs = {{1, ReduceKind::None, false, dense_view(1, m.compute, m.shape)}};
  void* bindings[] = {const_cast<T*>(x.data()), y.data()};
  Workspace ws;
  run::map(m, bindings, ws);
}

// Spacing of T at |x|, not below that of the smallest normal number times eps (the subnormal spacing).
template <class T> long double ulp(long double x) {
  x = std::fabs(x);
  const T rounded = static_cast<T>(x);
  if (!(rounded < std::numeric_limits<T>::max())) return std::numeric_limits<T>::max() * static_cast<long double>(std::numeric_limits<T>::epsilon());
  return static_cast<long double>(std::nextafter(rounded, std::numeric_limits<T>::infinity())) - rounded;
}

template <class T, class Wide> void measure(const char* name, MapOpcode opcode, const Shared<T>& x, double limit) {
  Shared<T> y(x.size());
  apply(opcode, x, y);
  long double worst = 0;
  T at = 0;
  for (size_t i = 0; i < x.size(); i++) {
    const long double want = reference::scalar_op<Wide>(opcode, static_cast<Wide>(x[i]), 0, 0);
    const T rounded = static_cast<T>(want);
    if (std::isnan(want) || std::isinf(rounded) || std::isinf(want)) {
      if (std::isinf(rounded) && !std::isinf(want) && y[i] == std::copysign(std::numeric_limits<T>::max(), rounded)) continue;
      if (std::isnan(want) ? !std::isnan(y[i]) : y[i] != rounded) {
        worst = INFINITY;
        at = x[i];
      }
      continue;
    }
    const long double error = std::fabs(static_cast<long double>(y[i]) - want) / ulp<T>(want);
    if (!(error <= worst)) {
      worst = error;
      at = x[i];
    }
  }
  if (std::getenv("HESSIA_TEST_VERBOSE")) std::printf("  %-10s %s %.3Lf ulp at %.9g\n", name, sizeof(T) == 4 ? "f32" : "f64", worst, static_cast<double>(at));
  if (!(worst <= limit)) {
    std::ostringstream text;
    text.precision(17);
    text << name << (sizeof(T) == 4 ? " f32" : " f64") << ": " << worst << " ulp at " << at << ", limit " << limit;
    fail(__FILE__, __LINE__, text.str());
  }
}

// Every magnitude, both signs, special values, and a dense middle range.
template <class T> Shared<T> samples(int count) {
  std::mt19937_64 rng(7);
  Shared<T> x = {T(0), -T(0), T(1), T(-1), std::numeric_limits<T>::infinity(), -std::numeric_limits<T>::infinity(),
                      std::numeric_limits<T>::quiet_NaN(), std::numeric_limits<T>::max(), std::numeric_limits<T>::lowest(),
                      std::numeric_limits<T>::min(), std::numeric_limits<T>::denorm_min(), T(0.5), T(88.72283), T(88.8), T(-87.4),
                      T(-103.9), T(709.78), T(709.79), T(-745.1), T(-708.4), T(1e-20), T(-1e-20)};
  for (int i = 0; i < count; i++) {
    T f;
    if (sizeof(T) == 4) {
      const uint32_t bits = static_cast<uint32_t>(rng());
      std::memcpy(&f, &bits, 4);
    } else {
      const uint64_t bits = rng();
      std::memcpy(&f, &bits, 8);
    }
    x.push_back(f);
    x.push_back(static_cast<T>(std::uniform_real_distribution<double>(-10, 10)(rng)));
    x.push_back(static_cast<T>(std::uniform_real_distribution<double>(-1, 1)(rng)));
    x.push_back(static_cast<T>(std::uniform_real_distribution<double>(-110, 110)(rng)));
    x.push_back(static_cast<T>(1 + std::uniform_real_distribution<double>(-0.01, 0.01)(rng)));
  }
  if (sizeof(T) == 4) {  // every 16381st of all bit patterns
    for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += 16381) {
      const uint32_t pattern = static_cast<uint32_t>(bits);
      T f;
      std::memcpy(&f, &pattern, 4);
      x.push_back(f);
    }
  }
  return x;
}

}  // namespace

#define MEASURE_F32(name, op, limit) measure<float, double>(name, MapOpcode::op, x, limit)
TEST(math_float32_accuracy) {
  const auto x = samples<float>(60000);
  MEASURE_F32("exp", Exp, 1.5);
  MEASURE_F32("expm1", Expm1, 2);
  MEASURE_F32("log", Log, 1.5);
  MEASURE_F32("log1p", Log1p, 2);
  MEASURE_F32("tanh", Tanh, 0.51);
  MEASURE_F32("sigmoid", Sigmoid, 0.51);
  MEASURE_F32("softplus", Softplus, 2);
  MEASURE_F32("erf", Erf, 2);
  MEASURE_F32("sin", Sin, 1);
  MEASURE_F32("cos", Cos, 1);
  MEASURE_F32("sqrt", Sqrt, 0.5001);
  MEASURE_F32("rsqrt", Rsqrt, 1.5);
  MEASURE_F32("reciprocal", Reciprocal, 0.5001);
  MEASURE_F32("tan", Tan, 2);
  MEASURE_F32("asin", Asin, 2);
  MEASURE_F32("acos", Acos, 2);
  MEASURE_F32("atan", Atan, 2);
  MEASURE_F32("sinh", Sinh, 2.5);
  MEASURE_F32("cosh", Cosh, 2.5);
  MEASURE_F32("asinh", Asinh, 2.5);
  MEASURE_F32("acosh", Acosh, 2.5);
  MEASURE_F32("atanh", Atanh, 2.5);
}

#define MEASURE_F64(name, op, limit) measure<double, long double>(name, MapOpcode::op, x, limit)
TEST(math_float64_accuracy) {
  const auto x = samples<double>(20000);
  MEASURE_F64("exp", Exp, 2);
  MEASURE_F64("expm1", Expm1, 2);
  MEASURE_F64("log", Log, 2);
  MEASURE_F64("log1p", Log1p, 2);
  MEASURE_F64("tanh", Tanh, 3);
  MEASURE_F64("sigmoid", Sigmoid, 3);
  MEASURE_F64("softplus", Softplus, 3);
  MEASURE_F64("erf", Erf, 2);
  MEASURE_F64("sin", Sin, 1);
  MEASURE_F64("cos", Cos, 1);
}

TEST(math_kinks) {
  MapInstruction m;
  m.compute = DType::Float32;
  m.shape = {8};
  m.inputs = {dense_view(0, DType::Float32, m.shape), dense_view(1, DType::Float32, m.shape)};
  m.code = {{MapOpcode::Mod, 0, 1, 0, 0}, {MapOpcode::Max, 0, 1, 0, 0}, {MapOpcode::Round, 0, 0, 0, 0}, {MapOpcode::Sign, 0, 0, 0, 0}};
  for (int o = 0; o < 4; o++) m.outputs.push_back({2 + o, ReduceKind::None, false, dense_view(2 + o, DType::Float32, m.shape)});
  float a[8] = {5, -5, 5, -5, NAN, 1, 2.5f, 0.5f}, b[8] = {3, 3, -3, -3, 1, NAN, 7, 7}, y[4][8];
  void* bindings[] = {a, b, y[0], y[1], y[2], y[3]};
  Workspace ws;
  run::map(m, bindings, ws);
  const float mods[] = {2, 1, -1, -2};
  for (int i = 0; i < 4; i++) CHECK(y[0][i] == mods[i]);
  CHECK(std::isnan(y[1][4]) && std::isnan(y[1][5]));
  CHECK(y[2][6] == 2 && y[2][7] == 0);
  CHECK(y[3][0] == 1 && y[3][1] == -1 && std::isnan(y[3][4]));
}
