// Canonical iteration spaces: which axis is innermost, and which neighbours are one axis in disguise.
#pragma once
#include <cstdint>
#include <vector>

#include "kernels/map/tile.h"

namespace hessia::cpu {

// An iteration space with the strides of several views over it: strides[view][axis].
struct Axes {
  std::vector<int64_t> size;
  std::vector<bool> reduced;
  std::vector<std::vector<int64_t>> strides;

  int rank() const { return static_cast<int>(size.size()); }
  int64_t count() const;
  void swap_axes(int a, int b);
  void drop_axis(int axis);
  // Keeps the given axes, in the given order.
  Axes select(const std::vector<int>& order) const;
};

// The space of a map; views are its outputs, then its inputs. Axes count as reduced only if an output reduces.
Axes map_axes(const MapInstruction& m);

// Drops axes of length 1.
void drop_unit_axes(Axes& axes);
// Orders axes so that steps grow from the last axis to the first in most views; views [0, important) count
// twice. Stable: equal votes keep the order given.
void sort_axes(Axes& axes, int important);
// Joins neighbours that every view walks as one axis (and that agree in `reduced`).
void merge_axes(Axes& axes);

// The walk of one view over the axes, merged for this view alone.
TileView tile_view(const View& view, const std::vector<int64_t>& size, const std::vector<int64_t>& strides);

}  // namespace hessia::cpu
