#include "test/reference/map.h"

#include <cmath>
#include <map>

#include "base/numbers.h"

namespace hessia::reference {
namespace {

template <class T> T read(const View& v, const std::vector<int64_t>& index, Bindings bindings) {
  int64_t at = v.offset;
  for (size_t d = 0; d < index.size(); d++) at += index[d] * v.strides[d];
  const void* base = bindings[v.binding];
  switch (v.dtype) {
    case DType::Float32: return static_cast<T>(static_cast<const float*>(base)[at]);
    case DType::Float64: return static_cast<T>(static_cast<const double*>(base)[at]);
    case DType::Int32: return static_cast<T>(static_cast<const int32_t*>(base)[at]);
    case DType::Bool: return static_cast<const uint8_t*>(base)[at] ? T(1) : T(0);
  }
  return T(0);
}

void write_at(const View& v, int64_t at, double value, Bindings bindings) {
  void* base = bindings[v.binding];
  switch (v.dtype) {
    case DType::Float32: static_cast<float*>(base)[at] = static_cast<float>(value); break;
    case DType::Float64: static_cast<double*>(base)[at] = value; break;
    case DType::Int32: static_cast<int32_t*>(base)[at] = to_int32(value); break;
    case DType::Bool: static_cast<uint8_t*>(base)[at] = value != 0; break;
  }
}

template <class T> T truth(bool b) { return b ? T(1) : T(0); }

template <class T> void run(const MapInstruction& m, Bindings bindings) {
  std::vector<int64_t> index(m.shape.size(), 0);
  int64_t total = 1;
  for (int64_t s : m.shape) total *= s;
  std::vector<std::map<int64_t, long double>> sums(m.outputs.size());
  std::vector<std::vector<std::pair<int64_t, T>>> results(m.outputs.size());
  for (int64_t i = 0; i < total; i++) {
    std::vector<T> r;
    for (const View& v : m.inputs) r.push_back(read<T>(v, index, bindings));
    for (const MapOp& op : m.code) {
      r.push_back(op.op == MapOpcode::Constant
                      ? static_cast<T>(op.value)
                      : scalar_op<T>(op.op, r[op.a], op.b < static_cast<int>(r.size()) ? r[op.b] : T(0),
                                     op.c < static_cast<int>(r.size()) ? r[op.c] : T(0)));
    }
    for (size_t o = 0; o < m.outputs.size(); o++) {
      const MapOutput& out = m.outputs[o];
      const T value = r[out.reg];
      std::vector<int64_t> where = index;
      if (out.reduce != ReduceKind::None) for (int axis : m.reduced_axes) where[axis] = 0;
      int64_t at = out.view.offset;
      for (size_t d = 0; d < where.size(); d++) at += where[d] * out.view.strides[d];
      if (out.reduce == ReduceKind::None) {
        results[o].push_back({at, value});
        continue;
      }
      const auto [slot, fresh] = sums[o].emplace(at, value);
      if (fresh) continue;
      long double& s = slot->second;
      if (out.reduce == ReduceKind::Sum) s += value;
      else if (value != value || s != s) s = NAN;
      else s = out.reduce == ReduceKind::Max ? std::max<long double>(s, value) : std::min<long double>(s, value);
    }
    for (size_t d = m.shape.size(); d-- > 0;) {
      if (++index[d] < m.shape[d]) break;
      index[d] = 0;
    }
  }
  // Written after everything is read: outputs may be inputs.
  for (size_t o = 0; o < m.outputs.size(); o++) {
    const MapOutput& out = m.outputs[o];
    const std::vector<int64_t> zero;
    const auto old = [&](int64_t at) {
      View v = out.view;
      v.offset = at;
      return read<double>(v, zero, bindings);
    };
    for (const auto& [at, value] : results[o]) {
      const T sum = out.accumulate ? static_cast<T>(static_cast<T>(old(at)) + value) : value;
      write_at(out.view, at, static_cast<double>(sum), bindings);
    }
    for (const auto& [at, value] : sums[o]) write_at(out.view, at, static_cast<double>(value) + (out.accumulate ? old(at) : 0.0), bindings);
  }
}

}  // namespace

template <class T> T scalar_op(MapOpcode opcode, T a, T b, T c) {
  switch (opcode) {
    case MapOpcode::Constant: return T(0);
    case MapOpcode::Copy: return a;
    case MapOpcode::Neg: return -a;
    case MapOpcode::Abs: return std::fabs(a);
    case MapOpcode::Sign: return a > 0 ? T(1) : a < 0 ? T(-1) : a != a ? a : T(0);
    case MapOpcode::Exp: return std::exp(a);
    case MapOpcode::Expm1: return std::expm1(a);
    case MapOpcode::Log: return std::log(a);
    case MapOpcode::Log1p: return std::log1p(a);
    case MapOpcode::Sqrt: return std::sqrt(a);
    case MapOpcode::Rsqrt: return 1 / std::sqrt(a);
    case MapOpcode::Reciprocal: return 1 / a;
    case MapOpcode::Sin: return std::sin(a);
    case MapOpcode::Cos: return std::cos(a);
    case MapOpcode::Tan: return std::tan(a);
    case MapOpcode::Asin: return std::asin(a);
    case MapOpcode::Acos: return std::acos(a);
    case MapOpcode::Atan: return std::atan(a);
    case MapOpcode::Sinh: return std::sinh(a);
    case MapOpcode::Cosh: return std::cosh(a);
    case MapOpcode::Asinh: return std::asinh(a);
    case MapOpcode::Acosh: return std::acosh(a);
    case MapOpcode::Atanh: return std::atanh(a);
    case MapOpcode::Tanh: return std::tanh(a);
    case MapOpcode::Sigmoid: return a < 0 ? std::exp(a) / (1 + std::exp(a)) : 1 / (1 + std::exp(-a));
    case MapOpcode::Softplus: return a > 0 ? a + std::log1p(std::exp(-a)) : std::log1p(std::exp(a));
    case MapOpcode::Erf: return std::erf(a);
    case MapOpcode::Floor: return std::floor(a);
    case MapOpcode::Ceil: return std::ceil(a);
    case MapOpcode::Round: return std::nearbyint(a);
    case MapOpcode::Trunc: return std::trunc(a);
    case MapOpcode::Not: return truth<T>(a == 0);
    case MapOpcode::IsNaN: return truth<T>(std::isnan(a));
    case MapOpcode::IsInf: return truth<T>(std::isinf(a));
    case MapOpcode::Add: return a + b;
    case MapOpcode::Sub: return a - b;
    case MapOpcode::Mul: return a * b;
    case MapOpcode::Div: return a / b;
    case MapOpcode::Pow: return std::pow(a, b);
    case MapOpcode::Max: return std::isnan(a) || std::isnan(b) ? T(NAN) : std::max(a, b);
    case MapOpcode::Min: return std::isnan(a) || std::isnan(b) ? T(NAN) : std::min(a, b);
    case MapOpcode::Atan2: return std::atan2(a, b);
    case MapOpcode::Mod: return a - std::floor(a / b) * b;
    case MapOpcode::Eq: return truth<T>(a == b);
    case MapOpcode::Ne: return truth<T>(a != b);
    case MapOpcode::Lt: return truth<T>(a < b);
    case MapOpcode::Le: return truth<T>(a <= b);
    case MapOpcode::Gt: return truth<T>(a > b);
    case MapOpcode::Ge: return truth<T>(a >= b);
    case MapOpcode::And: return truth<T>(a != 0 && b != 0);
    case MapOpcode::Or: return truth<T>(a != 0 || b != 0);
    case MapOpcode::Xor: return truth<T>((a != 0) != (b != 0));
    case MapOpcode::Select: return a != 0 ? b : c;
    case MapOpcode::Fma: return std::fma(a, b, c);
  }
  return T(0);
}
template float scalar_op<float>(MapOpcode, float, float, float);
template double scalar_op<double>(MapOpcode, double, double, double);
template long double scalar_op<long double>(MapOpcode, long double, long double, long double);

void map(const MapInstruction& m, Bindings bindings) {
  if (m.compute == DType::Float32) run<float>(m, bindings);
  else run<double>(m, bindings);
}

}  // namespace hessia::reference
