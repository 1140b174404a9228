// The compiled form of a map: plain data that the per-instruction-set code (tile_*.isa.cc) runs.
//
// The iteration space, its axes reordered and merged, is flattened to one index. It is walked in tiles,
// each a contiguous range of that index that fits the first-level cache together with all registers of the
// program. Three layouts (Layout):
//   Plain    no reduction. Rows x columns, columns being the innermost merged axis.
//   Across   the innermost axis is summed:    kept rows x reduced columns.
//   Down     the innermost axis is kept:      kept outer x reduced rows x kept columns.
// A tile is either part of one row (columns > tile) or a number of whole rows.
#pragma once
#include <cstdint>

#include "base/isa.h"
#include "program/instruction.h"

namespace hessia {

constexpr int kMaxRank = 12;

// How one view walks the flattened index: its own merged axes, outermost first.
struct TileView {
  int binding;
  DType dtype;
  int64_t offset;
  int rank;
  int64_t size[kMaxRank], stride[kMaxRank];
  // Whether the view is runs of consecutive elements, `span` of the index (or a multiple) at a time.
  bool runs(int64_t span) const { return rank == 0 || (stride[rank - 1] == 1 && size[rank - 1] % span == 0); }
};

// When a value is computed, and how many elements of it exist.
enum class Level : int { Uniform = 0, PerTile = 1, Vector = 2 };

struct TileLoad {
  TileView view;
  int slot;
  Level level;
  bool in_place;   // the slot points into the binding, where a tile is consecutive
  bool once;       // same contents for every tile (depends on the column only, and tiles are whole rows)
};
struct TileOp {
  MapOpcode opcode;
  int variant;     // bit i set: operand i is one element
  int dst, a, b, c;
  Level level;
};
struct TileStore {
  TileView view;   // over the whole index, or over the kept part if it reduces
  int slot;
  ReduceKind reduce;
  bool accumulate;
  bool direct;     // an operation writes straight to the binding: nothing left to do
};

enum class Layout : int { Plain = 0, Across = 1, Down = 2 };

struct TilePlan {
  DType compute;
  Layout layout;
  int64_t total;               // elements
  int64_t outer, rows, columns;  // outer is 1 but for Down; rows are kept (Across) or reduced (Down)
  int64_t tile;                // elements in a full tile
  int64_t chunks;              // tiles that one row is cut into, 1 if a tile is whole rows
  int64_t rows_per_tile;       // 1 if chunks > 1
  int64_t span;                // every tile lies within one of the parts of this size that the index is cut into
  int64_t segments;            // parts that each reduction is cut into; depends on sizes only
  int64_t units;               // independent pieces of work
  // Parts of the index that share operands, such as the vectors of a block sharing what the primal pass left:
  // units take turns between them, `visit` units of one at a time, so that shared operands are still in cache.
  int64_t slices, slice_units, visit;
  int slots, tile_slots, scalar_slots;
  const int* slot_tile;        // per slot: index of its tile memory, -1 - i for scalar memory i, or kPointer
  int n_loads, n_ops, n_uniform_ops, n_stores, n_reductions;
  const TileLoad* loads;
  const TileOp* uniform_ops;   // run once
  const TileOp* ops;           // run per tile
  const TileStore* stores;
  const double* constants;     // of Constant operations, by destination slot
};
constexpr int kPointer = INT32_MIN;

// Which slice the u-th unit belongs to, and which unit of that slice it is.
struct TileUnit { int64_t slice, index; };
inline __attribute__((always_inline)) TileUnit tile_unit(const TilePlan& p, int64_t u) {
  if (p.slices == 1) return {0, u};
  const int64_t even = p.slice_units / p.visit * p.visit;  // the last visit of each slice is shorter
  const bool whole = u < even * p.slices;
  const int64_t first = whole ? u / (p.visit * p.slices) * p.visit : even, length = whole ? p.visit : p.slice_units - even;
  const int64_t rest = u - first * p.slices;
  return {rest / length, first + rest % length};
}

// Bytes of scratch each thread needs, and how it is divided: slot pointers, scalars, tiles, accumulators.
inline int64_t align64(int64_t bytes) { return (bytes + 63) / 64 * 64; }
inline int64_t scratch_bytes(const TilePlan& p) {
  const int64_t element = p.compute == DType::Float32 ? 4 : 8;
  return align64(p.slots * 8) + int64_t{p.scalar_slots} * 64 + p.tile_slots * align64(p.tile * element) +
         p.n_reductions * (align64(p.tile * element) + 2 * align64(p.tile * 8)) + 256;
}

struct MapTileTable {
  // Fills the slot pointers and everything that does not change between tiles.
  void (*prologue)(const TilePlan&, void* const* bindings, void* scratch);
  // Runs units [first, last). `partials` receives unfinished reductions if segments > 1.
  void (*run)(const TilePlan&, void* const* bindings, void* scratch, double* partials, int64_t first, int64_t last);
  // Adds up the segments, in order, and stores.
  void (*combine)(const TilePlan&, void* const* bindings, void* scratch, const double* partials);
};
HESSIA_DECLARE_ISA(MapTileTable, map_tile_table)

}  // namespace hessia
