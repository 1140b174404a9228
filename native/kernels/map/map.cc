#include "kernels/map/map.h"

#include <algorithm>
#include <cmath>

#include "base/parallel.h"
#include "kernels/map/plan.h"

namespace hessia::cpu {
namespace {

// Nothing to iterate over: sums become 0, maxima -inf, minima +inf wherever something is kept.
void map_nothing(const MapInstruction& m, Bindings bindings) {
  for (const MapOutput& o : m.outputs) {
    if (o.reduce == ReduceKind::None || o.accumulate) continue;
    std::vector<int64_t> shape = m.shape, index(m.shape.size(), 0);
    for (int axis : m.reduced_axes) shape[axis] = 1;
    int64_t count = 1;
    for (int64_t s : shape) count *= s;
    const double value = o.reduce == ReduceKind::Sum ? 0.0 : o.reduce == ReduceKind::Max ? -HUGE_VAL : HUGE_VAL;
    for (int64_t i = 0; i < count; i++) {
      int64_t at = o.view.offset, rest = i;
      for (int d = static_cast<int>(shape.size()) - 1; d >= 0; d--) {
        at += rest % shape[d] * o.view.strides[d];
        rest /= shape[d];
      }
      void* base = bindings[o.view.binding];
      switch (o.view.dtype) {
        case DType::Float32: static_cast<float*>(base)[at] = static_cast<float>(value); break;
        case DType::Float64: static_cast<double*>(base)[at] = value; break;
        case DType::Int32: static_cast<int32_t*>(base)[at] = value < 0 ? INT32_MIN : value > 0 ? INT32_MAX : 0; break;
        case DType::Bool: static_cast<uint8_t*>(base)[at] = value != 0.0; break;
      }
    }
  }
}

}  // namespace

void map(const MapInstruction& m, Bindings bindings, Workspace& ws) {
  if (!m.plan) {
    for (int64_t s : m.shape) {
      if (s == 0) return map_nothing(m, bindings);
    }
    m.plan = build_map_plan(m);
  }
  const MapPlan& plan = *static_cast<const MapPlan*>(m.plan.get());
  const TilePlan& p = plan.plan;
  const MapTileTable& table = HESSIA_PICK_ISA(map_tile_table);

  const double work = static_cast<double>(p.total) * std::max(1.0, plan.cost / 4);
  const int threads = work < kSerialBelow ? 1 : static_cast<int>(std::min<int64_t>(ws.threads, p.units));
  const int64_t each = align64(scratch_bytes(p));
  const int64_t partial_size = p.segments == 1 ? 0 : p.units * p.n_reductions * (p.layout == Layout::Down ? p.tile : 1);
  char* scratch = static_cast<char*>(ws.scratch(static_cast<size_t>(threads * each + partial_size * 8)));
  double* partials = reinterpret_cast<double*>(scratch + threads * each);

  parallel(threads, [&](int thread, int team) {
    char* mine = scratch + thread * each;
    table.prologue(p, bindings, mine);
    table.run(p, bindings, mine, partials, p.units * thread / team, p.units * (thread + 1) / team);
  });
  if (p.segments > 1) table.combine(p, bindings, scratch, partials);
}

}  // namespace hessia::cpu
