// Fused element-wise work with optional reductions, by interpretation: every thread takes one position (or,
// with reductions, walks some) and executes the instruction list on registers of its own. All threads take
// the same branch of the interpreter.
//
// Reductions: the iteration space is kept x reduced positions. A block covers `kept_lanes` kept positions with
// `reduced_lanes` threads each; threads accumulate in float64, a tree over the lanes adds them, and where
// that would leave the GPU idle the reduced positions are cut into segments whose partial results are added
// in order. Lanes and segments depend on sizes only: same bits every time.
// Aliasing as on the CPU: an output may be exactly an input.
#include <cmath>

#include "device/cuda/context.h"
#include "device/cuda/element.h"
#include "device/cuda/kernels.h"
#include "kernels/map/axes.h"
#include "kernels/map/math.h"

namespace hessia::cuda {
namespace {

constexpr int kMaxViews = 192;       // their addresses travel as an argument of the kernel
constexpr int kMaxReductions = 128;
constexpr int kMaxSlots = 256;
constexpr int kLoad = 100, kStore = 101, kReduce = 102;  // beside MapOpcode
constexpr int64_t kEnoughBlocks = 1024;

struct Step { int op, dst, a, b, c; double value; };
struct MapView { int64_t offset, stride[kMaxRank]; DType dtype; ReduceKind reduce; bool accumulate; };
struct Addresses { void* base[kMaxViews]; };

// Axes: kept ones first. Both groups are counted with their last axis fastest.
struct MapKernel {
  int kept_rank, rank;
  int64_t size[kMaxRank];
  int64_t kept, reduced;
  const Step* steps;
  int n_steps;
  const MapView* views;
  // reductions
  int n_reductions, kept_lanes, reduced_lanes;
  bool reduced_fastest;
  int64_t segments, segment;  // how many, and reduced positions in each
  const int* reduced_views;
};

struct MapPlan {
  MapKernel kernel{};
  DeviceArray<Step> steps;
  DeviceArray<MapView> views;
  DeviceArray<int> reduced_views;
  std::vector<int> bindings;  // of each view
  int slots = 0;
};

// ---- on the GPU ---------------------------------------------------------------------------------------
HESSIA_DEVICE void digits(const MapKernel& p, int first, int last, int64_t index, int64_t* digit) {
  for (int d = last - 1; d > first; d--) {
    const int64_t rest = index / p.size[d];
    digit[d] = index - rest * p.size[d];
    index = rest;
  }
  if (last > first) digit[first] = index;
}
HESSIA_DEVICE int64_t position(const MapView& v, int rank, const int64_t* digit) {
  int64_t at = v.offset;
  for (int d = 0; d < rank; d++) at += digit[d] * v.stride[d];
  return at;
}
HESSIA_DEVICE float sine(float x, int quarter) {
  // Large arguments need more digits of pi than the fast form carries.
  if (!(fabsf(x) > kTrigonometricLimit)) return sine_of_quarters(x, quarter);
  return quarter ? cosf(x) : sinf(x);
}
HESSIA_DEVICE double sine(double x, int quarter) { return quarter ? cos(x) : sin(x); }

template <class T> HESSIA_DEVICE T apply(MapOpcode op, T x, T y, T z) {
  using namespace std;  // the overloads for float and double, here and on the GPU
  switch (op) {
    case MapOpcode::Constant: return T(0);
    case MapOpcode::Copy: return x;
    case MapOpcode::Neg: return -x;
    case MapOpcode::Abs: return fabs(x);
    case MapOpcode::Sign: return op_sign(x);
    case MapOpcode::Exp: return op_exp(x);
    case MapOpcode::Expm1: return op_expm1(x);
    case MapOpcode::Log: return op_log(x);
    case MapOpcode::Log1p: return op_log1p(x);
    case MapOpcode::Sqrt: return sqrt(x);
    case MapOpcode::Rsqrt: return T(1) / sqrt(x);
    case MapOpcode::Reciprocal: return T(1) / x;
    case MapOpcode::Sin: return sine(x, 0);
    case MapOpcode::Cos: return sine(x, 1);
    case MapOpcode::Tan: return tan(x);
    case MapOpcode::Asin: return asin(x);
    case MapOpcode::Acos: return acos(x);
    case MapOpcode::Atan: return atan(x);
    case MapOpcode::Sinh: return sinh(x);
    case MapOpcode::Cosh: return cosh(x);
    case MapOpcode::Asinh: return asinh(x);
    case MapOpcode::Acosh: return acosh(x);
    case MapOpcode::Atanh: return atanh(x);
    case MapOpcode::Tanh: return op_tanh(x);
    case MapOpcode::Sigmoid: return op_sigmoid(x);
    case MapOpcode::Softplus: return op_softplus(x);
    case MapOpcode::Erf: return op_erf(x);
    case MapOpcode::Floor: return floor(x);
    case MapOpcode::Ceil: return ceil(x);
    case MapOpcode::Round: return rint(x);
    case MapOpcode::Trunc: return trunc(x);
    case MapOpcode::Not: return truth<T>(x == T(0));
    case MapOpcode::IsNaN: return truth<T>(is_nan(x));
    case MapOpcode::IsInf: return truth<T>(fabs(x) == infinity<T>());
    case MapOpcode::Add: return x + y;
    case MapOpcode::Sub: return x - y;
    case MapOpcode::Mul: return x * y;
    case MapOpcode::Div: return x / y;
    case MapOpcode::Pow: return pow(x, y);
    case MapOpcode::Max: return op_max(x, y);
    case MapOpcode::Min: return op_min(x, y);
    case MapOpcode::Atan2: return atan2(x, y);
    case MapOpcode::Mod: return op_mod(x, y);
    case MapOpcode::Eq: return truth<T>(x == y);
    case MapOpcode::Ne: return truth<T>(x != y);
    case MapOpcode::Lt: return truth<T>(x < y);
    case MapOpcode::Le: return truth<T>(x <= y);
    case MapOpcode::Gt: return truth<T>(x > y);
    case MapOpcode::Ge: return truth<T>(x >= y);
    case MapOpcode::And: return truth<T>(x != T(0) && y != T(0));
    case MapOpcode::Or: return truth<T>(x != T(0) || y != T(0));
    case MapOpcode::Xor: return truth<T>((x != T(0)) != (y != T(0)));
    case MapOpcode::Select: return x != T(0) ? y : z;
    case MapOpcode::Fma: return x * y + z;
  }
  return T(0);
}

HESSIA_DEVICE double identity(ReduceKind kind) {
  return kind == ReduceKind::Sum ? 0.0 : kind == ReduceKind::Max ? -HUGE_VAL : HUGE_VAL;
}
HESSIA_DEVICE double join(ReduceKind kind, double a, double b) {
  if (kind == ReduceKind::Sum) return a + b;
  if (a != a || b != b) return NAN;
  return kind == ReduceKind::Max ? (a > b ? a : b) : (a < b ? a : b);
}
HESSIA_DEVICE void keep(const MapView& v, void* base, int64_t at, double x) {
  store_as(v.dtype, base, at, v.accumulate ? load_as<double>(v.dtype, base, at) + x : x);
}

// The instruction list at one position. Stores come last in it: an output may be an input.
template <class T, int kSlots>
HESSIA_DEVICE void evaluate(const MapKernel& p, const Addresses& to, const int64_t* digit, double* sums) {
  T r[kSlots];
  for (int i = 0; i < p.n_steps; i++) {
    const Step s = p.steps[i];
    if (s.op == kLoad) {
      const MapView& v = p.views[s.a];
      r[s.dst] = load_as<T>(v.dtype, to.base[s.a], position(v, p.rank, digit));
    } else if (s.op == kStore) {
      const MapView& v = p.views[s.b];
      const int64_t at = position(v, p.rank, digit);
      T x = r[s.a];
      if (v.accumulate) x = load_as<T>(v.dtype, to.base[s.b], at) + x;
      store_as(v.dtype, to.base[s.b], at, x);
    } else if (s.op == kReduce) {
      sums[s.dst] = join(p.views[s.b].reduce, sums[s.dst], static_cast<double>(r[s.a]));
    } else if (s.op == static_cast<int>(MapOpcode::Constant)) {
      r[s.dst] = static_cast<T>(s.value);
    } else {
      r[s.dst] = apply<T>(static_cast<MapOpcode>(s.op), r[s.a], r[s.b], r[s.c]);
    }
  }
}

template <class T, int kSlots> __global__ void map_positions(MapKernel p, Addresses to) {
  const int64_t i = flat_index();
  if (i >= p.kept) return;
  int64_t digit[kMaxRank];
  digits(p, 0, p.rank, i, digit);
  evaluate<T, kSlots>(p, to, digit, nullptr);
}

// Block (tile of kept positions, segment of reduced ones). partials[reduction][segment][kept] if segments > 1.
template <class T, int kSlots> __global__ void map_reduce(MapKernel p, Addresses to, double* partials) {
  HESSIA_SHARED(double, lane_sums, kThreads);
  const int thread = static_cast<int>(threadIdx.x);
  const int kept_lane = p.reduced_fastest ? thread / p.reduced_lanes : thread % p.kept_lanes;
  const int reduced_lane = p.reduced_fastest ? thread % p.reduced_lanes : thread / p.kept_lanes;
  const int64_t i = static_cast<int64_t>(blockIdx.x) * p.kept_lanes + kept_lane;
  int64_t digit[kMaxRank];
  double sums[kMaxReductions];
  for (int o = 0; o < p.n_reductions; o++) sums[o] = identity(p.views[p.reduced_views[o]].reduce);
  if (i < p.kept) {
    digits(p, 0, p.kept_rank, i, digit);
    const int64_t first = static_cast<int64_t>(blockIdx.y) * p.segment;
    const int64_t last = first + p.segment < p.reduced ? first + p.segment : p.reduced;
    for (int64_t j = first + reduced_lane; j < last; j += p.reduced_lanes) {
      digits(p, p.kept_rank, p.rank, j, digit);
      evaluate<T, kSlots>(p, to, digit, sums);
    }
  }
  const int step = p.reduced_fastest ? 1 : p.kept_lanes;  // between neighbouring reduced lanes
  for (int o = 0; o < p.n_reductions; o++) {
    const int view = p.reduced_views[o];
    const MapView& v = p.views[view];
    lane_sums[thread] = sums[o];
    __syncthreads();
    for (int half = p.reduced_lanes / 2; half > 0; half /= 2) {
      if (reduced_lane < half) lane_sums[thread] = join(v.reduce, lane_sums[thread], lane_sums[thread + half * step]);
      __syncthreads();
    }
    if (reduced_lane == 0 && i < p.kept) {
      if (p.segments > 1) partials[(o * p.segments + blockIdx.y) * p.kept + i] = lane_sums[thread];
      else if (p.reduced > 0 || !v.accumulate) keep(v, to.base[view], position(v, p.kept_rank, digit), lane_sums[thread]);
    }
    __syncthreads();
  }
}

__global__ void join_segments(MapKernel p, Addresses to, const double* partials) {
  const int64_t e = flat_index();
  if (e >= p.kept * p.n_reductions) return;
  const int64_t o = e / p.kept, i = e - o * p.kept;
  const int view = p.reduced_views[o];
  const MapView& v = p.views[view];
  double sum = identity(v.reduce);
  for (int64_t s = 0; s < p.segments; s++) sum = join(v.reduce, sum, partials[(o * p.segments + s) * p.kept + i]);
  int64_t digit[kMaxRank];
  digits(p, 0, p.kept_rank, i, digit);
  keep(v, to.base[view], position(v, p.kept_rank, digit), sum);
}

// ---- the plan -----------------------------------------------------------------------------------------
[[noreturn]] void too_large(const char* what) {
  throw Error(ErrorCode::UNSUPPORTED, std::string("a fused map with more than ") + what + " on device cuda; use --device cpu");
}

bool reduces(const MapInstruction& m, int output) { return m.outputs[static_cast<size_t>(output)].reduce != ReduceKind::None; }

// Registers to slots by their last use; inputs are loaded when first needed, outputs stored at the end.
std::vector<Step> compile(const MapInstruction& m, int& slots) {
  const int inputs = static_cast<int>(m.inputs.size()), outputs = static_cast<int>(m.outputs.size());
  const int registers = inputs + static_cast<int>(m.code.size());
  const auto operands = [](const MapOp& op) {
    const int code = static_cast<int>(op.op);
    if (op.op == MapOpcode::Constant) return 0;
    if (op.op == MapOpcode::Select || op.op == MapOpcode::Fma) return 3;
    return code >= static_cast<int>(MapOpcode::Add) && code <= static_cast<int>(MapOpcode::Xor) ? 2 : 1;
  };
  // From the last operation to the first: what is needed, and until when.
  std::vector<int> last(static_cast<size_t>(registers), -1);
  const int end = static_cast<int>(m.code.size());
  for (const MapOutput& o : m.outputs) last[static_cast<size_t>(o.reg)] = end;
  for (int i = end; i-- > 0;) {
    if (last[static_cast<size_t>(inputs + i)] < 0) continue;
    const MapOp& op = m.code[static_cast<size_t>(i)];
    const int from[3] = {op.a, op.b, op.c};
    for (int k = 0; k < operands(op); k++) last[static_cast<size_t>(from[k])] = std::max(last[static_cast<size_t>(from[k])], i);
  }
  std::vector<int> slot(static_cast<size_t>(registers), -1), free;
  const auto place = [&](int reg) {
    if (free.empty()) free.push_back(slots++);
    slot[static_cast<size_t>(reg)] = free.back();
    free.pop_back();
  };
  std::vector<Step> steps;
  const auto value = [&](int reg) {
    if (slot[static_cast<size_t>(reg)] < 0) {
      place(reg);
      steps.push_back({kLoad, slot[static_cast<size_t>(reg)], outputs + reg, 0, 0, 0});
    }
    return slot[static_cast<size_t>(reg)];
  };
  for (int i = 0; i < end; i++) {
    if (last[static_cast<size_t>(inputs + i)] < 0) continue;
    const MapOp& op = m.code[static_cast<size_t>(i)];
    const int from[3] = {op.a, op.b, op.c}, count = operands(op);
    Step s{static_cast<int>(op.op), 0, 0, 0, 0, op.value};
    int* const to[3] = {&s.a, &s.b, &s.c};
    for (int k = 0; k < count; k++) *to[k] = value(from[k]);
    for (int k = 0; k < count; k++) {
      int& until = last[static_cast<size_t>(from[k])];
      if (until != i) continue;
      free.push_back(slot[static_cast<size_t>(from[k])]);
      until = -2;  // given back once
    }
    place(inputs + i);
    s.dst = slot[static_cast<size_t>(inputs + i)];
    steps.push_back(s);
  }
  for (const MapOutput& o : m.outputs) value(o.reg);
  int reductions = 0;
  for (int o = 0; o < outputs; o++) {
    const int from = slot[static_cast<size_t>(m.outputs[static_cast<size_t>(o)].reg)];
    if (reduces(m, o)) steps.push_back({kReduce, reductions++, from, o, 0, 0});
  }
  for (int o = 0; o < outputs; o++) {
    if (!reduces(m, o)) steps.push_back({kStore, 0, slot[static_cast<size_t>(m.outputs[static_cast<size_t>(o)].reg)], o, 0, 0});
  }
  return steps;
}

int64_t power_of_two_above(int64_t n) {
  int64_t p = 1;
  while (p < n) p *= 2;
  return p;
}

void divide(MapKernel& k) {
  const int64_t want = power_of_two_above(std::max<int64_t>(k.reduced, 1));
  if (k.reduced_fastest) {
    k.reduced_lanes = static_cast<int>(std::min<int64_t>(kThreads, want));
    k.kept_lanes = static_cast<int>(kThreads) / k.reduced_lanes;
  } else {
    const int64_t most = kThreads / std::min<int64_t>(8, want);
    k.kept_lanes = static_cast<int>(std::min(most, power_of_two_above(std::max<int64_t>(k.kept, 1))));
    k.reduced_lanes = static_cast<int>(kThreads) / k.kept_lanes;
  }
  const int64_t tiles = ceil_div(std::max<int64_t>(k.kept, 1), k.kept_lanes);
  const int64_t worth = k.reduced / (int64_t{k.reduced_lanes} * 8);
  const int64_t segments = std::max<int64_t>(1, std::min(kEnoughBlocks / tiles, worth));
  k.segment = ceil_div(std::max<int64_t>(k.reduced, 1), segments);
  k.segments = ceil_div(std::max<int64_t>(k.reduced, 1), k.segment);
}

std::shared_ptr<const MapPlan> build(const MapInstruction& m, const std::shared_ptr<Context>& context) {
  auto plan = std::make_shared<MapPlan>();
  MapKernel& k = plan->kernel;
  cpu::Axes axes = cpu::map_axes(m);
  cpu::drop_unit_axes(axes);
  cpu::sort_axes(axes, static_cast<int>(m.outputs.size()));
  k.reduced_fastest = axes.rank() > 0 && axes.reduced[static_cast<size_t>(axes.rank() - 1)];
  std::vector<int> order;
  for (const bool reduced : {false, true}) {
    for (int d = 0; d < axes.rank(); d++) if (axes.reduced[static_cast<size_t>(d)] == reduced) order.push_back(d);
  }
  axes = axes.select(order);
  cpu::merge_axes(axes);
  k.rank = axes.rank();
  k.kept = k.reduced = 1;
  for (int d = 0; d < k.rank; d++) {
    k.size[d] = axes.size[static_cast<size_t>(d)];
    if (axes.reduced[static_cast<size_t>(d)]) {
      k.reduced *= k.size[d];
    } else {
      k.kept *= k.size[d];
      k.kept_rank = d + 1;
    }
  }
  const size_t outputs = m.outputs.size(), count = outputs + m.inputs.size();
  if (count > kMaxViews) too_large("192 operands");
  std::vector<MapView> views(count);
  std::vector<int> reduced_views;
  for (size_t v = 0; v < count; v++) {
    const View& view = v < outputs ? m.outputs[v].view : m.inputs[v - outputs];
    views[v] = {view.offset, {}, view.dtype, v < outputs ? m.outputs[v].reduce : ReduceKind::None, v < outputs && m.outputs[v].accumulate};
    for (int d = 0; d < k.rank; d++) views[v].stride[d] = axes.strides[v][static_cast<size_t>(d)];
    if (views[v].reduce != ReduceKind::None) reduced_views.push_back(static_cast<int>(v));
    plan->bindings.push_back(view.binding);
  }
  k.n_reductions = static_cast<int>(reduced_views.size());
  if (k.n_reductions > kMaxReductions) too_large("128 reductions");
  const std::vector<Step> steps = compile(m, plan->slots);
  if (plan->slots > kMaxSlots) too_large("256 values at once");
  if (k.n_reductions > 0) divide(k);
  plan->steps = DeviceArray<Step>(context, steps);
  plan->views = DeviceArray<MapView>(context, views);
  plan->reduced_views = DeviceArray<int>(context, reduced_views);
  k.steps = plan->steps.data();
  k.n_steps = static_cast<int>(steps.size());
  k.views = plan->views.data();
  k.reduced_views = plan->reduced_views.data();
  return plan;
}

template <class T, int kSlots> void run(const MapPlan& plan, const Addresses& to, Workspace& ws) {
  const MapKernel& k = plan.kernel;
  if (k.n_reductions == 0) return launch(ws, map_positions<T, kSlots>, k.kept, k, to);
  if (k.kept == 0) return;
  double* partials = nullptr;
  if (k.segments > 1) {
    partials = static_cast<double*>(gpu(ws).device_scratch(static_cast<size_t>(k.n_reductions * k.segments * k.kept * 8)));
  }
  const dim3 grid(static_cast<unsigned>(ceil_div(k.kept, k.kept_lanes)), static_cast<unsigned>(k.segments));
  launch_blocks(ws, map_reduce<T, kSlots>, grid, k, to, partials);
  if (k.segments > 1) launch(ws, join_segments, k.kept * k.n_reductions, k, to, static_cast<const double*>(partials));
}
template <class T> void run(const MapPlan& plan, const Addresses& to, Workspace& ws) {
  if (plan.slots <= 16) return run<T, 16>(plan, to, ws);
  if (plan.slots <= 64) return run<T, 64>(plan, to, ws);
  return run<T, kMaxSlots>(plan, to, ws);
}

}  // namespace

void map(const MapInstruction& m, Bindings bindings, Workspace& ws) {
  if (!m.plan) m.plan = build(m, gpu(ws).context);
  const MapPlan& plan = *static_cast<const MapPlan*>(m.plan.get());
  Addresses to{};
  for (size_t v = 0; v < plan.bindings.size(); v++) to.base[v] = bindings[plan.bindings[v]];
  if (m.compute == DType::Float64) run<double>(plan, to, ws);
  else run<float>(plan, to, ws);
}

}  // namespace hessia::cuda
