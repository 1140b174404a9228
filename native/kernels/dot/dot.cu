// c ← alpha · Σ a·b (+ c): the labels become one matrix product per batch index as on the CPU (labels.h);
// products too small for a tile, and contractions that sum nothing, take one thread a result.
#include "device/cuda/element.h"
#include "device/cuda/kernels.h"
#include "device/cuda/product.h"
#include "device/cuda/offsets.h"
#include "kernels/dot/labels.h"

namespace hessia::cuda {
namespace {

constexpr int64_t kSmallProduct = 256;  // results

struct DotPlan {
  int64_t m, n, k, batch;
  double repeats;
  bool turned;  // cᵀ = bᵀ aᵀ
  OffsetTable a_rows, a_cols, b_rows, b_cols, c_rows, c_cols, a_batch, b_batch, c_batch;
};

// One thread a result.
template <class T, class A, class B, class C>
__global__ void dot_results(int64_t m, int64_t n, int64_t k, int64_t count, A a, B b, C c) {
  const int64_t e = flat_index();
  if (e >= count) return;
  const int64_t j = e % n, i = e / n % m, unit = e / (n * m);
  T sum = T(0), block = T(0);
  for (int64_t t = 0; t < k; t++) {
    block += a.at(unit, i, t) * b.at(unit, t, j);
    if (t % kTerms == kTerms - 1) {
      sum += block;
      block = T(0);
    }
  }
  c.put(unit, i, j, sum + block);
}

std::shared_ptr<const DotPlan> build(const DotInstruction& d, const std::shared_ptr<Context>& context) {
  using cpu::Label;
  const cpu::Groups g = cpu::group(d);
  auto plan = std::make_shared<DotPlan>();
  plan->batch = g.empty_c ? 0 : cpu::size_of(g.batch);
  plan->repeats = g.repeats;
  // The wider side runs along j.
  const bool turned = plan->turned = cpu::size_of(g.m) > cpu::size_of(g.n);
  const cpu::Labels &m = turned ? g.n : g.m, &n = turned ? g.m : g.n;
  const cpu::Stride a = turned ? &Label::b : &Label::a, b = turned ? &Label::a : &Label::b;
  plan->m = cpu::size_of(m);
  plan->n = cpu::size_of(n);
  plan->k = g.empty_sum ? 0 : cpu::size_of(g.k);
  const auto table = [&](const cpu::Labels& labels, cpu::Stride stride) {
    std::vector<int64_t> storage;
    const cpu::Axis axis = cpu::flatten(labels, stride, storage);
    return OffsetTable(context, axis.stride, axis.table ? storage : std::vector<int64_t>());
  };
  plan->a_rows = table(m, a), plan->a_cols = table(g.k, a);
  plan->b_rows = table(g.k, b), plan->b_cols = table(n, b);
  plan->c_rows = table(m, &Label::c), plan->c_cols = table(n, &Label::c);
  plan->a_batch = table(g.batch, a), plan->b_batch = table(g.batch, b), plan->c_batch = table(g.batch, &Label::c);
  return plan;
}

template <class T> void run(const DotInstruction& d, Bindings bindings, Workspace& ws) {
  if (!d.plan) d.plan = build(d, gpu(ws).context);
  const DotPlan& p = *static_cast<const DotPlan*>(d.plan.get());
  if (p.batch == 0) return;
  const T* first = base_of<T>(d.a, bindings) + d.a.offset;
  const T* second = base_of<T>(d.b, bindings) + d.b.offset;
  const Left<T> a{p.turned ? second : first, p.a_batch.get(), p.a_rows.get(), p.a_cols.get(), p.a_cols.unit()};
  const Right<T> b{p.turned ? first : second, p.b_batch.get(), p.b_rows.get(), p.b_cols.get(), p.b_cols.unit()};
  const Result<T> c{base_of<T>(d.c, bindings) + d.c.offset, p.c_batch.get(), p.c_rows.get(), p.c_cols.get(),
                    static_cast<T>(d.alpha * p.repeats), d.accumulate};
  if (p.k <= 1 || (p.batch > 1 && p.m * p.n <= kSmallProduct && p.k <= kTerms)) {
    const int64_t count = p.batch * p.m * p.n;
    launch(ws, dot_results<T, Left<T>, Right<T>, Result<T>>, count, p.m, p.n, p.k, count, a, b, c);
  } else {
    product<T>(p.m, p.n, p.k, p.batch, a, b, c, ws);
  }
}

}  // namespace

void dot(const DotInstruction& d, Bindings bindings, Workspace& ws) {
  if (d.c.dtype == DType::Float64) run<double>(d, bindings, ws);
  else run<float>(d, bindings, ws);
}

}  // namespace hessia::cuda
