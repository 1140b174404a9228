#include "kernels/map/plan.h"

namespace hessia::cpu {
namespace {

// Fewer kept columns than this, and too few reduced rows to fill a tile with them: reduce along the tile.
constexpr int64_t kFewColumns = 32;
constexpr int64_t kSmallBlock = 256;

Axes axes_of(const MapInstruction& m) {
  Axes axes;
  axes.size = m.shape;
  axes.reduced.assign(m.shape.size(), false);
  for (int axis : m.reduced_axes) axes.reduced[axis] = true;
  for (const MapOutput& o : m.outputs) {
    auto strides = o.view.strides;
    if (o.reduce != ReduceKind::None) {
      for (int axis : m.reduced_axes) strides[axis] = 0;
    }
    axes.strides.push_back(strides);
  }
  for (const View& v : m.inputs) axes.strides.push_back(v.strides);
  return axes;
}

}  // namespace

MapLayout layout_axes(const MapInstruction& m) {
  MapLayout layout;
  Axes axes = axes_of(m);
  drop_unit_axes(axes);
  bool any_reducing = false;
  for (const MapOutput& o : m.outputs) any_reducing = any_reducing || o.reduce != ReduceKind::None;
  if (!any_reducing) axes.reduced.assign(axes.size.size(), false);
  for (bool r : axes.reduced) layout.reduces = layout.reduces || r;

  sort_axes(axes, static_cast<int>(m.outputs.size()));
  merge_axes(axes);
  if (!layout.reduces) {
    layout.axes = axes;
    layout.column_axes = axes.rank() ? 1 : 0;
    return layout;
  }

  std::vector<int> kept, reduced, tail;
  int d = axes.rank();
  int64_t columns = 1, rows = 1;
  while (d > 0 && !axes.reduced[d - 1]) columns *= axes.size[--d];
  for (int i = 0; i < axes.rank(); i++) {
    if (axes.reduced[i]) rows *= axes.size[i];
    (axes.reduced[i] ? reduced : i >= d ? tail : kept).push_back(i);
  }
  std::vector<int> order = kept;
  if (!tail.empty() && (columns >= kFewColumns || columns * rows >= kSmallBlock)) {
    layout.kind = Layout::Down;
    order.insert(order.end(), reduced.begin(), reduced.end());
    order.insert(order.end(), tail.begin(), tail.end());
    layout.column_axes = static_cast<int>(tail.size());
  } else {
    layout.kind = Layout::Across;
    order.insert(order.end(), tail.begin(), tail.end());
    order.insert(order.end(), reduced.begin(), reduced.end());
    layout.column_axes = static_cast<int>(reduced.size());
  }
  layout.axes = axes.select(order);
  return layout;
}

}  // namespace hessia::cpu
