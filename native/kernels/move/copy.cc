// target ← source. Axes are reordered and merged for both views together; then
//  - the innermost axis is a run that both walk with small steps: run by run (memcpy where both are dense);
//  - the source's smallest step is along another axis (a transpose): square blocks of kBlock x kBlock, so that
//    every cache line that is touched is used up before it is evicted.
#include <algorithm>
#include <cstring>
#include <memory>

#include "base/numbers.h"
#include "base/parallel.h"
#include "kernels/map/axes.h"
#include "kernels/move/move.h"
#include "kernels/odometer.h"

namespace hessia::cpu {
namespace {

constexpr int64_t kBlock = 32;
constexpr int64_t kPiece = 16384;  // elements of a long run that one unit of work takes

struct CopyPlan {
  Axes axes;  // views: target, source
  bool transposed = false;
  int outer_rank = 0;
  int64_t outer = 1, units = 1, pieces = 1;
};

std::shared_ptr<const CopyPlan> build(const CopyInstruction& c) {
  auto plan = std::make_shared<CopyPlan>();
  Axes& axes = plan->axes;
  axes.size = c.target.shape;
  axes.reduced.assign(axes.size.size(), false);
  axes.strides = {c.target.strides, c.source.strides};
  drop_unit_axes(axes);
  sort_axes(axes, 1);
  merge_axes(axes);
  if (axes.rank() == 0) {
    axes.size = {1};
    axes.reduced = {false};
    axes.strides = {{1}, {1}};
  }
  const int last = axes.rank() - 1;
  int dense = last;  // where the source walks with its smallest step
  for (int d = last - 1; d >= 0; d--) {
    const int64_t step = std::llabs(axes.strides[1][d]), best = std::llabs(axes.strides[1][dense]);
    if (step != 0 && (best == 0 || step < best) && axes.size[d] >= 4) dense = d;
  }
  plan->transposed = dense != last && axes.size[last] >= 4 && axes.strides[1][last] != 0;
  if (plan->transposed) {
    std::vector<int> order;
    for (int d = 0; d < last; d++) if (d != dense) order.push_back(d);
    order.push_back(dense);
    order.push_back(last);
    axes = axes.select(order);
  }
  plan->outer_rank = plan->transposed ? last - 1 : last;
  for (int d = 0; d < plan->outer_rank; d++) plan->outer *= axes.size[d];
  plan->pieces = plan->transposed ? ceil_div(axes.size[last - 1], kBlock) : ceil_div(axes.size[last], kPiece);
  plan->units = plan->outer * plan->pieces;
  return plan;
}

template <class T> void copy_run(T* to, int64_t st, const T* from, int64_t ss, int64_t n) {
  if (st == 1 && ss == 1) {
    std::memcpy(to, from, static_cast<size_t>(n) * sizeof(T));
  } else if (st == 1 && ss == 0) {
    const T x = *from;
    for (int64_t i = 0; i < n; i++) to[i] = x;
  } else if (st == 1) {
    for (int64_t i = 0; i < n; i++) to[i] = from[i * ss];
  } else {
    for (int64_t i = 0; i < n; i++) to[i * st] = from[i * ss];
  }
}

// rows: the axis along which the source is dense; columns: along which the target is.
template <class T>
void copy_block(T* to, int64_t tr, int64_t tc, const T* from, int64_t sr, int64_t sc, int64_t rows, int64_t columns) {
  if (tc == 1 && sr == 1) {
    for (int64_t c0 = 0; c0 < columns; c0 += kBlock) {
      const int64_t n = std::min(kBlock, columns - c0);
      for (int64_t r = 0; r < rows; r++) {
        T* out = to + r * tr + c0;
        const T* in = from + r + c0 * sc;
        for (int64_t c = 0; c < n; c++) out[c] = in[c * sc];
      }
    }
    return;
  }
  for (int64_t c0 = 0; c0 < columns; c0 += kBlock) {
    const int64_t n = std::min(kBlock, columns - c0);
    for (int64_t r = 0; r < rows; r++) {
      for (int64_t c = c0; c < c0 + n; c++) to[r * tr + c * tc] = from[r * sr + c * sc];
    }
  }
}

template <class T> void run(const CopyPlan& plan, const CopyInstruction& c, Bindings bindings, int64_t first, int64_t last) {
  if (first >= last) return;
  T* target = static_cast<T*>(bindings[c.target.binding]);
  const T* source = static_cast<const T*>(bindings[c.source.binding]);
  const Axes& axes = plan.axes;
  const auto &ts = axes.strides[0], &ss = axes.strides[1];
  const int inner = axes.rank() - 1;
  Odometer<2> odometer(axes.size, {&ts, &ss}, plan.outer_rank, {c.target.offset, c.source.offset});
  odometer.seek(first / plan.pieces);
  int64_t piece = first % plan.pieces;
  for (int64_t u = first; u < last; u++) {
    T* to = target + odometer.at(0);
    const T* from = source + odometer.at(1);
    if (plan.transposed) {
      const int64_t r0 = piece * kBlock, rows = std::min(kBlock, axes.size[inner - 1] - r0);
      copy_block(to + r0 * ts[inner - 1], ts[inner - 1], ts[inner], from + r0 * ss[inner - 1], ss[inner - 1], ss[inner],
                 rows, axes.size[inner]);
    } else {
      const int64_t from_element = piece * kPiece, n = std::min(kPiece, axes.size[inner] - from_element);
      copy_run(to + from_element * ts[inner], ts[inner], from + from_element * ss[inner], ss[inner], n);
    }
    if (++piece == plan.pieces) {
      piece = 0;
      odometer.next();
    }
  }
}

}  // namespace

void copy(const CopyInstruction& c, Bindings bindings, Workspace& ws) {
  if (!c.plan) c.plan = build(c);
  const CopyPlan& plan = *static_cast<const CopyPlan*>(c.plan.get());
  const int64_t total = plan.axes.count();
  if (total == 0) return;
  const int64_t bytes = bytes_per_element(c.target.dtype);
  const int threads = total < kSerialBelow ? 1 : static_cast<int>(std::min<int64_t>(ws.threads, plan.units));
  parallel(threads, [&](int thread, int team) {
    const int64_t first = plan.units * thread / team, last = plan.units * (thread + 1) / team;
    if (bytes == 4) run<uint32_t>(plan, c, bindings, first, last);
    else if (bytes == 8) run<uint64_t>(plan, c, bindings, first, last);
    else run<uint8_t>(plan, c, bindings, first, last);
  });
}

}  // namespace hessia::cpu
