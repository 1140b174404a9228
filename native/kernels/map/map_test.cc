// map against its element-by-element meaning, over random programs, shapes, layouts and types.

#include <cstring>

#include "kernels/map/plan.h"
#include "test/reference/map.h"
#include "test/views.h"

using namespace hessia;
using namespace hessia::test;

namespace {

// Operations whose result is the same bits however they are computed.
const MapOpcode kExact1[] = {MapOpcode::Copy, MapOpcode::Neg, MapOpcode::Abs, MapOpcode::Sign, MapOpcode::Sqrt,
                             MapOpcode::Reciprocal, MapOpcode::Floor, MapOpcode::Ceil, MapOpcode::Round, MapOpcode::Trunc,
                             MapOpcode::Not, MapOpcode::IsNaN, MapOpcode::IsInf};
const MapOpcode kExact2[] = {MapOpcode::Add, MapOpcode::Sub, MapOpcode::Mul, MapOpcode::Div, MapOpcode::Max, MapOpcode::Min,
                             MapOpcode::Eq, MapOpcode::Ne, MapOpcode::Lt, MapOpcode::Le, MapOpcode::Gt, MapOpcode::Ge,
                             MapOpcode::And, MapOpcode::Or, MapOpcode::Xor};

struct Setup {
  MapInstruction m;
  std::vector<std::unique_ptr<Guarded>> got, want;
  std::vector<void*> got_bindings, want_bindings;

  void add(const View& v, std::mt19937_64& rng) {
    auto a = memory_for(v), b = memory_for(v);
    const int64_t n = span_of(v);
    for (int64_t i = 0; i < n; i++) {
      double x = std::uniform_real_distribution<double>(-4, 4)(rng);
      const int64_t special = v.dtype == DType::Float32 || v.dtype == DType::Float64 ? pick(rng, 0, 200) : 99;
      if (special == 0) x = NAN;
      if (special == 1) x = INFINITY;
      if (special == 2) x = 0;
      if (v.dtype == DType::Bool) x = x > 0;
      set(a->data(), v.dtype, i, x);
    }
    std::memcpy(b->data(), a->data(), a->bytes());
    got_bindings.push_back(a->data());
    want_bindings.push_back(b->data());
    got.push_back(std::move(a));
    want.push_back(std::move(b));
  }
};

DType random_type(std::mt19937_64& rng) { return static_cast<DType>(pick(rng, 0, 3)); }

void random_program(std::mt19937_64& rng, Setup& s, int64_t limit) {
  MapInstruction& m = s.m;
  m.compute = static_cast<DType>(pick(rng, 0, 1));
  m.shape = random_shape(rng, 5, limit);
  const int inputs = static_cast<int>(pick(rng, 1, 4));
  for (int i = 0; i < inputs; i++) {
    const DType t = pick(rng, 0, 2) ? m.compute : random_type(rng);
    m.inputs.push_back(random_view(rng, i, t, m.shape, pick(rng, 0, 2) == 0));
    s.add(m.inputs.back(), rng);
  }
  int registers = inputs;
  const int64_t length = pick(rng, 0, 3) == 0 ? pick(rng, 0, 60) : pick(rng, 0, 6);
  for (int64_t i = 0; i < length; i++, registers++) {
    MapOp op{MapOpcode::Constant, 0, 0, 0, 0};
    op.a = static_cast<int>(pick(rng, 0, registers - 1));
    op.b = static_cast<int>(pick(rng, 0, registers - 1));
    op.c = static_cast<int>(pick(rng, 0, registers - 1));
    switch (pick(rng, 0, 9)) {
      case 0: op.value = static_cast<double>(pick(rng, -3, 3)) / 2; break;
      case 1: case 2: op.op = kExact1[pick(rng, 0, 12)]; break;
      case 3: op.op = MapOpcode::Select; break;
      default: op.op = kExact2[pick(rng, 0, 14)];
    }
    m.code.push_back(op);
  }
  if (pick(rng, 0, 1)) {
    for (int d = 0; d < static_cast<int>(m.shape.size()); d++) if (pick(rng, 0, 1)) m.reduced_axes.push_back(d);
  }
  const int outputs = static_cast<int>(pick(rng, 1, 3));
  bool aliased = false;
  for (int o = 0; o < outputs; o++) {
    MapOutput out{static_cast<int>(pick(rng, 0, registers - 1)), ReduceKind::None, pick(rng, 0, 3) == 0, {}};
    if (pick(rng, 0, 2)) out.reg = registers - 1;
    if (!m.reduced_axes.empty() && pick(rng, 0, 2)) out.reduce = static_cast<ReduceKind>(pick(rng, 1, 3));
    const DType t = pick(rng, 0, 2) ? m.compute : random_type(rng);
    if (out.reduce == ReduceKind::None) {
      // Sometimes in place: exactly an input that is not broadcast.
      const View& first = m.inputs[0];
      bool dense = !aliased && pick(rng, 0, 2) == 0 && !(first.dtype == DType::Bool);
      for (size_t d = 0; d < m.shape.size(); d++) dense = dense && (m.shape[d] == 1 || first.strides[d] != 0);
      for (size_t i = 1; i < m.inputs.size(); i++) dense = dense && m.inputs[i].binding != 0;
      if (dense) {
        out.view = first;
        aliased = true;
        m.outputs.push_back(out);
        continue;
      }
      out.view = random_view(rng, static_cast<int>(s.got.size()), t, m.shape, false);
    } else {
      std::vector<int64_t> kept = m.shape;
      for (int axis : m.reduced_axes) kept[axis] = 1;
      out.view = random_view(rng, static_cast<int>(s.got.size()), t == DType::Bool ? m.compute : t, kept, false);
      out.view.shape = m.shape;
      for (int axis : m.reduced_axes) out.view.strides[axis] = 0;
    }
    m.outputs.push_back(out);
    s.add(out.view, rng);
  }
}

void compare(const Setup& s, int trial) {
  for (const MapOutput& o : s.m.outputs) {
    int64_t terms = 1;
    if (o.reduce != ReduceKind::None) for (int axis : s.m.reduced_axes) terms *= s.m.shape[axis];
    for (int64_t i = 0; i < count_of(s.m.shape); i++) {
      const int64_t at = offset_at(o.view, i);
      const double got = get(s.got_bindings[o.view.binding], o.view.dtype, at);
      const double want = get(s.want_bindings[o.view.binding], o.view.dtype, at);
      double tolerance = 0;
      if (o.reduce == ReduceKind::Sum) {
        // Terms up to 4^k are not bounded here, so the bound is relative to a generous magnitude.
        tolerance = eps_of(s.m.compute) * (64.0 + std::sqrt(static_cast<double>(terms))) * (std::fabs(want) + 64.0 * static_cast<double>(terms));
        if (o.view.dtype == DType::Int32) tolerance += 1;
      } else if (o.accumulate) {
        tolerance = 2 * eps_of(o.view.dtype == DType::Float64 ? s.m.compute : DType::Float32) * std::fabs(want) + (o.view.dtype == DType::Int32);
      }
      if (near(got, want, tolerance)) continue;
      std::ostringstream text;
      text << "trial " << trial << " output dtype " << static_cast<int>(o.view.dtype) << " reduce " << static_cast<int>(o.reduce)
           << " accumulate " << o.accumulate << " position " << i << ": " << got << " instead of " << want;
      fail(__FILE__, __LINE__, text.str());
      return;
    }
  }
}

// Sums of values that may be huge after a few products are not compared: keep to bounded programs there.
bool bounded(const MapInstruction& m) {
  bool sums = false;
  for (const MapOutput& o : m.outputs) sums = sums || o.reduce == ReduceKind::Sum;
  if (!sums) return true;
  for (const MapOp& op : m.code) {
    if (op.op == MapOpcode::Mul || op.op == MapOpcode::Div || op.op == MapOpcode::Reciprocal || op.op == MapOpcode::Add ||
        op.op == MapOpcode::Sub) return false;
  }
  return true;
}

}  // namespace

TEST(map_equals_its_meaning_on_random_programs) {
  std::mt19937_64 rng(1);
  for (int trial = 0; trial < 3000; trial++) {
    Setup s;
    random_program(rng, s, trial % 50 == 0 ? 60000 : 3000);
    if (!bounded(s.m)) continue;
    Workspace ws;
    ws.threads = static_cast<int>(pick(rng, 1, 3));
    run::map(s.m, s.got_bindings.data(), ws);
    reference::map(s.m, s.want_bindings.data());
    compare(s, trial);
  }
}

TEST(map_of_transposed_views) {
  std::mt19937_64 rng(4);
  for (const auto& shape : std::vector<std::vector<int64_t>>{{64, 96}, {40, 3, 50}, {3, 72, 5, 48}, {67, 71}, {128, 2, 64}, {1000, 16}}) {
    for (int trial = 0; trial < 20; trial++) {
      Setup s;
      s.m.compute = static_cast<DType>(trial % 2);
      s.m.shape = shape;
      for (int i = 0; i < 3; i++) {
        s.m.inputs.push_back(random_view(rng, i, s.m.compute, shape, i == 2));
        s.add(s.m.inputs.back(), rng);
      }
      s.m.code = {{MapOpcode::Add, 0, 1, 0, 0}, {MapOpcode::Max, 3, 2, 0, 0}};
      for (int o = 0; o < 2; o++) {
        s.m.outputs.push_back({3 + o, ReduceKind::None, o == 1 && trial % 3 == 0, random_view(rng, 3 + o, s.m.compute, shape, false)});
        s.add(s.m.outputs.back().view, rng);
      }
      Workspace ws;
      ws.threads = 2;
      run::map(s.m, s.got_bindings.data(), ws);
      reference::map(s.m, s.want_bindings.data());
      compare(s, trial);
    }
  }
}

TEST(map_of_operands_shared_along_the_outermost_axis) {
  std::mt19937_64 rng(6);
  for (const auto& shape : std::vector<std::vector<int64_t>>{{5, 9000}, {3, 40, 512}, {4, 300, 64}, {2, 150, 3, 40}, {3, 20, 1500}}) {
    const int rank = static_cast<int>(shape.size());
    std::vector<std::vector<int>> reductions = {{}, {rank - 1}};
    if (rank > 2) reductions.push_back({1});
    if (rank > 3) reductions.push_back({1, 2});
    for (const auto& axes : reductions) {
      for (int trial = 0; trial < 6; trial++) {
        Setup s;
        s.m.compute = static_cast<DType>(trial % 2);
        s.m.shape = shape;
        s.m.reduced_axes = axes;
        // alone, shared by all, one row for all, one value a row
        for (int i = 0; i < 4; i++) {
          View v = dense_view(i, s.m.compute, shape);
          if (i == 1) v.strides[0] = 0;
          if (i == 2) for (int d = 0; d < rank - 1; d++) v.strides[static_cast<size_t>(d)] = d == 0 ? v.strides[static_cast<size_t>(rank - 2)] : 0;
          if (i == 3) v.strides[static_cast<size_t>(rank - 1)] = 0;
          s.m.inputs.push_back(v);
          s.add(v, rng);
        }
        s.m.code = {{MapOpcode::Max, 0, 1, 0, 0}, {MapOpcode::Min, 4, 2, 0, 0}, {MapOpcode::Max, 5, 3, 0, 0}};
        for (int o = 0; o < 2; o++) {
          View v = dense_view(4 + o, s.m.compute, shape);
          const bool reduce = o == 1 && !axes.empty();
          if (reduce) for (int axis : axes) v.strides[static_cast<size_t>(axis)] = 0;
          s.m.outputs.push_back({6 - o, reduce ? static_cast<ReduceKind>(1 + trial % 3) : ReduceKind::None, trial == 5, v});
          s.add(v, rng);
        }
        if (on_cpu()) CHECK(cpu::build_map_plan(s.m)->plan.slices == shape[0]);
        Workspace ws;
        ws.threads = 1 + trial % 3;
        run::map(s.m, s.got_bindings.data(), ws);
        reference::map(s.m, s.want_bindings.data());
        compare(s, trial);
      }
    }
  }
}

TEST(map_sums_have_the_same_bits_for_any_thread_count) {
  std::mt19937_64 rng(2);
  for (const auto& [shape, axes] : std::vector<std::pair<std::vector<int64_t>, std::vector<int>>>{
           {{300000}, {0}}, {{7, 50000}, {1}}, {{50000, 7}, {0}}, {{3000, 100}, {0}}, {{20, 300, 50}, {0, 2}}, {{5, 3000, 40}, {1}}}) {
    MapInstruction m;
    m.compute = DType::Float32;
    m.shape = shape;
    m.reduced_axes = axes;
    m.inputs = {dense_view(0, DType::Float32, shape)};
    View out = dense_view(1, DType::Float64, shape);
    int64_t step = 1;
    for (size_t d = shape.size(); d-- > 0;) {
      const bool gone = std::find(axes.begin(), axes.end(), static_cast<int>(d)) != axes.end();
      out.strides[d] = gone ? 0 : step;
      if (!gone) step *= shape[d];
    }
    m.outputs = {{0, ReduceKind::Sum, false, out}};
    Shared<float> x(static_cast<size_t>(count_of(shape)));
    for (float& f : x) f = std::uniform_real_distribution<float>(0, 1)(rng);
    Shared<double> first(static_cast<size_t>(step)), other(first.size());
    for (int threads : thread_counts({1, 2, 3, 5})) {
      Workspace ws;
      ws.threads = threads;
      Shared<double>& y = threads == 1 ? first : other;
      void* bindings[] = {x.data(), y.data()};
      run::map(m, bindings, ws);
      CHECK(threads == 1 || std::memcmp(first.data(), other.data(), first.size() * 8) == 0);
    }
    // float32 blocks of 512 and float64 from there: far better than a plain float32 sum.
    double total = 0, exact = 0;
    for (double s : first) total += s;
    for (float f : x) exact += f;
    CHECK_NEAR(total, exact, 16 * 1.2e-7 * exact / std::sqrt(512.0));
  }
}

TEST(map_of_nothing_writes_the_identity) {
  for (ReduceKind kind : {ReduceKind::Sum, ReduceKind::Max, ReduceKind::Min}) {
    MapInstruction m;
    m.compute = DType::Float32;
    m.shape = {3, 0};
    m.reduced_axes = {1};
    m.inputs = {View{0, DType::Float32, 0, {3, 0}, {1, 1}}};
    m.outputs = {{0, kind, false, View{1, DType::Float32, 0, {3, 0}, {1, 0}}}};
    Shared<float> y = {5, 5, 5};
    void* bindings[] = {nullptr, y.data()};
    Workspace ws;
    run::map(m, bindings, ws);
    const float want = kind == ReduceKind::Sum ? 0.0f : kind == ReduceKind::Max ? -INFINITY : INFINITY;
    for (float v : y) CHECK(v == want);
  }
}

CPU_TEST(map_registers_of_long_programs_fit_the_cache) {
  MapInstruction m;
  m.compute = DType::Float32;
  m.shape = {100000};
  m.inputs = {dense_view(0, DType::Float32, m.shape)};
  for (int i = 0; i < 100; i++) m.code.push_back({i % 2 ? MapOpcode::Mul : MapOpcode::Add, i, std::max(0, i - 3), 0, 0});
  m.outputs = {{100, ReduceKind::None, false, dense_view(1, DType::Float32, m.shape)}};
  const auto plan = cpu::build_map_plan(m);
  CHECK(plan->plan.tile_slots <= 6);
  CHECK(plan->plan.tile_slots * plan->plan.tile * 4 <= 32768);
}
