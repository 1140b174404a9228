#include "kernels/map/plan.h"

#include <cstdlib>

namespace hessia::cpu {
namespace {

// Fewer kept columns than this, and too few reduced rows to fill a tile with them: reduce along the tile.
constexpr int64_t kFewColumns = 32;
constexpr int64_t kSmallBlock = 256;

// Divisors to cut an axis by, 0 if there is none: about a cache line of the transposed view, and rows of the
// other views long enough for them to be fetched ahead.
int64_t dense_block(int64_t n) {
  for (int64_t a : {16, 32, 24, 8}) if (n % a == 0) return a;
  for (int64_t a = 31; a > 8; a--) if (n % a == 0) return a;
  return 0;
}
int64_t row_block(int64_t n) {
  for (int64_t b = 128; b >= 32; b -= 16) if (n % b == 0) return b;
  for (int64_t b = 128; b >= 8; b--) if (n % b == 0) return b;
  return 0;
}

// A view that runs densely along another axis than the innermost one (a transpose) would touch a new cache
// line for every element of a row. Cutting both axes makes a tile a block of them, within which every line
// that is touched is used up: [..., R, ..., C] → [..., R/a, ..., C/b, a, b].
void block_transposed(Axes& axes) {
  constexpr int64_t kWorthIt = 4096;  // elements
  const int last = axes.rank() - 1;
  if (last < 1 || axes.rank() + 2 > kMaxRank || axes.count() < kWorthIt) return;
  int across = -1;
  for (const auto& s : axes.strides) {
    if (std::llabs(s[last]) < 16) continue;
    for (int d = 0; d < last; d++) {
      if (s[d] != 0 && std::llabs(s[d]) < 16 && dense_block(axes.size[d]) && (across < 0 || axes.size[d] > axes.size[across])) across = d;
    }
  }
  const int64_t b = row_block(axes.size[last]);
  if (across < 0 || b == 0) return;
  const int64_t a = dense_block(axes.size[across]);
  axes.size[across] /= a;
  axes.size[last] /= b;
  axes.size.insert(axes.size.end(), {a, b});
  axes.reduced.insert(axes.reduced.end(), {false, false});
  for (auto& s : axes.strides) {
    const int64_t inner_a = s[across], inner_b = s[last];
    s[across] *= a;
    s[last] *= b;
    s.insert(s.end(), {inner_a, inner_b});
  }
}

}  // namespace

MapLayout layout_axes(const MapInstruction& m) {
  MapLayout layout;
  Axes axes = map_axes(m);
  drop_unit_axes(axes);
  for (bool r : axes.reduced) layout.reduces = layout.reduces || r;

  sort_axes(axes, static_cast<int>(m.outputs.size()));
  merge_axes(axes);
  if (!layout.reduces) {
    block_transposed(axes);
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
