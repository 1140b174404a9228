// From an instruction to a tile plan: layout of the iteration space, register program, memory per tile.
#pragma once
#include <memory>
#include <vector>

#include "kernels/map/axes.h"
#include "kernels/map/tile.h"
#include "program/instruction.h"

namespace hessia::cpu {

struct MapPlan {
  TilePlan plan{};
  double cost = 1;  // rough work per element, in simple operations

  // What plan points into.
  std::vector<TileLoad> loads;
  std::vector<TileOp> uniform_ops, ops;
  std::vector<TileStore> stores;
  std::vector<int> slot_tile;
  std::vector<double> constants;
};

// The axes of an instruction in the order they are walked, and the plan's layout fields.
struct MapLayout {
  Axes axes;                 // views: outputs, then inputs
  Layout kind = Layout::Plain;
  int column_axes = 0;       // the last so many axes are columns
  bool reduces = false;      // false if every reduced axis has length 1
};
MapLayout layout_axes(const MapInstruction& m);

std::shared_ptr<const MapPlan> build_map_plan(const MapInstruction& m);

}  // namespace hessia::cpu
