// Runs a compiled map (tile.h) tile by tile. Cost per tile: one call per operation; per element: the
// operations, plus memory traffic for each view once.
#include "kernels/map/tile_move.h"
#include "kernels/map/tile_ops.h"
#include "kernels/map/tile_reduce.h"

namespace hessia {
namespace HESSIA_ISA_NS {
namespace {

// Terms a float32 accumulator takes before it is added to the float64 one.
constexpr int64_t kTermsPerFlush = 32;

template <class T> struct Runner {
  const TilePlan& plan;
  void* const* bindings;
  T** slot;          // where each register is, for the present tile
  char* scalars;
  char* tiles;
  char* accumulators;
  int64_t tile_bytes, wide_bytes;

  Runner(const TilePlan& p, void* const* b, void* scratch) : plan(p), bindings(b) {
    char* at = static_cast<char*>(scratch);
    slot = reinterpret_cast<T**>(at);
    at += align64(p.slots * 8);
    scalars = at;
    at += int64_t{p.scalar_slots} * 64;
    tiles = at;
    tile_bytes = align64(p.tile * static_cast<int64_t>(sizeof(T)));
    wide_bytes = align64(p.tile * 8);
    at += p.tile_slots * tile_bytes;
    accumulators = at;
  }
  T* narrow(int r) { return reinterpret_cast<T*>(accumulators + r * (tile_bytes + 2 * wide_bytes)); }
  double* wide(int r) { return reinterpret_cast<double*>(accumulators + r * (tile_bytes + 2 * wide_bytes) + tile_bytes); }
  double* results(int r) { return wide(r) + wide_bytes / 8; }

  void prologue() {
    for (int s = 0; s < plan.slots; s++) {
      const int where = plan.slot_tile[s];
      if (where == kPointer) continue;
      slot[s] = reinterpret_cast<T*>(where >= 0 ? tiles + where * tile_bytes : scalars + int64_t{-1 - where} * 64);
    }
    for (int i = 0; i < plan.n_loads; i++) {
      const TileLoad& l = plan.loads[i];
      if (l.level == Level::Uniform) load(l.view, bindings[l.view.binding], 0, 1, slot[l.slot]);
      else if (l.once) load(l.view, bindings[l.view.binding], 0, plan.tile < plan.total ? plan.tile : plan.total, slot[l.slot]);
    }
    for (int i = 0; i < plan.n_uniform_ops; i++) {
      const TileOp& op = plan.uniform_ops[i];
      if (op.opcode == MapOpcode::Constant) *slot[op.dst] = static_cast<T>(plan.constants[op.dst]);
      else tile_function(T(0), op.opcode, 0)(slot[op.dst], slot[op.a], slot[op.b], slot[op.c], 1);
    }
  }

  // Loads, computes and stores (except reductions) the elements [s, s + n).
  void evaluate(int64_t s, int64_t n) {
    for (int i = 0; i < plan.n_loads; i++) {
      const TileLoad& l = plan.loads[i];
      if (l.level == Level::Uniform || l.once) continue;
      if (l.in_place) slot[l.slot] = static_cast<T*>(bindings[l.view.binding]) + position(l.view, s);
      else load(l.view, bindings[l.view.binding], s, l.level == Level::PerTile ? 1 : n, slot[l.slot]);
    }
    for (int i = 0; i < plan.n_stores; i++) {
      const TileStore& o = plan.stores[i];
      if (o.direct) slot[o.slot] = static_cast<T*>(bindings[o.view.binding]) + position(o.view, s);
    }
    for (int i = 0; i < plan.n_ops; i++) {
      const TileOp& op = plan.ops[i];
      const auto function = functions(op);
      function(slot[op.dst], slot[op.a], slot[op.b], slot[op.c], op.level == Level::PerTile ? 1 : static_cast<int>(n));
    }
    for (int i = 0; i < plan.n_stores; i++) {
      const TileStore& o = plan.stores[i];
      if (!o.direct && o.reduce == ReduceKind::None) {
        store(o.view, bindings[o.view.binding], s, n, static_cast<const T*>(slot[o.slot]), o.accumulate);
      }
    }
  }
  static TileFunction<T> functions(const TileOp& op) { return tile_function(T(0), op.opcode, op.variant); }

  // The c-th tile of a row: chunks are nearly equal, so that no short one is left over.
  int64_t chunk_start(int64_t c) const {
    return plan.chunks == 1 ? 0 : c * plan.tile < plan.columns ? c * plan.tile : plan.columns;
  }

  void run_plain(int64_t first, int64_t last) {
    const int64_t size = plan.total / plan.slices;
    for (int64_t u = first; u < last; u++) {
      const auto [slice, t] = tile_unit(plan, u);
      if (plan.chunks == 1) {
        const int64_t s = t * plan.tile;
        evaluate(slice * size + s, size - s < plan.tile ? size - s : plan.tile);
      } else {
        const int64_t row = t / plan.chunks, from = chunk_start(t % plan.chunks), to = chunk_start(t % plan.chunks + 1);
        evaluate(slice * size + row * plan.columns + from, to - from);
      }
    }
  }

  // Whole rows in a tile: unit = tile. Otherwise unit = (row, segment).
  void run_across(int64_t first, int64_t last, double* partials) {
    const int64_t rows = plan.rows / plan.slices;
    for (int64_t u = first; u < last; u++) {
      const auto [slice, t] = tile_unit(plan, u);
      if (plan.chunks == 1) {
        const int64_t start = t * plan.rows_per_tile, row = slice * rows + start;
        const int64_t count = rows - start < plan.rows_per_tile ? rows - start : plan.rows_per_tile;
        evaluate(row * plan.columns, count * plan.columns);
        reductions([&](int r, const TileStore& o) {
          double* out = results(r);
          reduce_rows(o.reduce, static_cast<const T*>(slot[o.slot]), plan.columns, count, out);
          store_reduced(o, row, count, out);
        });
        continue;
      }
      const int64_t row = slice * rows + t / plan.segments, segment = t % plan.segments;
      const int64_t from = plan.chunks * segment / plan.segments, to = plan.chunks * (segment + 1) / plan.segments;
      reductions([&](int r, const TileStore& o) { *wide(r) = identity(o.reduce); });
      for (int64_t c = from; c < to; c++) {
        const int64_t start = chunk_start(c), n = chunk_start(c + 1) - start;
        evaluate(row * plan.columns + start, n);
        reductions([&](int r, const TileStore& o) {
          *wide(r) = join(o.reduce, *wide(r), reduce(o.reduce, static_cast<const T*>(slot[o.slot]), n));
        });
      }
      reductions([&](int r, const TileStore& o) {
        if (plan.segments > 1) partials[(row * plan.segments + segment) * plan.n_reductions + r] = *wide(r);
        else store_reduced(o, row, 1, wide(r));
      });
    }
  }

  // unit = (outer, chunk of columns, segment of rows).
  void run_down(int64_t first, int64_t last, double* partials) {
    for (int64_t u = first; u < last; u++) {
      const auto [slice, t] = tile_unit(plan, u);
      const int64_t segment = t % plan.segments, chunk = t / plan.segments % plan.chunks;
      const int64_t outer = slice * (plan.outer / plan.slices) + t / plan.segments / plan.chunks;
      const int64_t start = chunk_start(chunk);
      const int64_t width = plan.chunks == 1 ? plan.columns : chunk_start(chunk + 1) - start;
      const int64_t steps = (plan.rows + plan.rows_per_tile - 1) / plan.rows_per_tile;
      const int64_t from = steps * segment / plan.segments, to = steps * (segment + 1) / plan.segments;
      const int64_t full = width * plan.rows_per_tile;
      reductions([&](int r, const TileStore& o) {
        const T zero = static_cast<T>(identity(o.reduce));
        for (int64_t i = 0; i < full; i++) narrow(r)[i] = zero;
        for (int64_t i = 0; i < full; i++) wide(r)[i] = identity(o.reduce);
      });
      for (int64_t step = from; step < to; step++) {
        const int64_t row = step * plan.rows_per_tile;
        const int64_t count = plan.rows - row < plan.rows_per_tile ? plan.rows - row : plan.rows_per_tile;
        evaluate((outer * plan.rows + row) * plan.columns + start, count * width);
        const bool flush = (step - from) % kTermsPerFlush == kTermsPerFlush - 1 || step == to - 1;
        reductions([&](int r, const TileStore& o) {
          join_tile(o.reduce, narrow(r), static_cast<const T*>(slot[o.slot]), count * width);
          if (flush) flush_tile(o.reduce, wide(r), narrow(r), full);
        });
      }
      reductions([&](int r, const TileStore& o) {
        double* sums = wide(r);
        for (int64_t row = 1; row < plan.rows_per_tile; row++) {
          for (int64_t i = 0; i < width; i++) sums[i] = join(o.reduce, sums[i], sums[row * width + i]);
        }
        if (plan.segments > 1) {
          const int64_t part = (outer * plan.chunks + chunk) * plan.segments + segment;
          memcpy(partials + (part * plan.n_reductions + r) * plan.tile, sums, static_cast<size_t>(width) * 8);
        } else {
          store_reduced(o, outer * plan.columns + start, width, sums);
        }
      });
    }
  }

  void combine(const double* partials) {
    if (plan.layout == Layout::Across) {
      for (int64_t row = 0; row < plan.rows; row++) {
        reductions([&](int r, const TileStore& o) {
          double sum = identity(o.reduce);
          for (int64_t s = 0; s < plan.segments; s++) {
            sum = join(o.reduce, sum, partials[(row * plan.segments + s) * plan.n_reductions + r]);
          }
          store_reduced(o, row, 1, &sum);
        });
      }
      return;
    }
    for (int64_t group = 0; group < plan.outer * plan.chunks; group++) {
      const int64_t chunk = group % plan.chunks, outer = group / plan.chunks, start = chunk_start(chunk);
      const int64_t width = plan.chunks == 1 ? plan.columns : chunk_start(chunk + 1) - start;
      reductions([&](int r, const TileStore& o) {
        double* sums = wide(r);
        for (int64_t i = 0; i < width; i++) sums[i] = identity(o.reduce);
        for (int64_t s = 0; s < plan.segments; s++) {
          const double* part = partials + ((group * plan.segments + s) * plan.n_reductions + r) * plan.tile;
          for (int64_t i = 0; i < width; i++) sums[i] = join(o.reduce, sums[i], part[i]);
        }
        store_reduced(o, outer * plan.columns + start, width, sums);
      });
    }
  }

  template <class F> void reductions(F f) {
    for (int i = 0, r = 0; i < plan.n_stores; i++) {
      if (plan.stores[i].reduce != ReduceKind::None) f(r++, plan.stores[i]);
    }
  }
  // From float64, so that an output of that type keeps the whole sum.
  void store_reduced(const TileStore& o, int64_t at, int64_t n, const double* values) {
    store(o.view, bindings[o.view.binding], at, n, values, o.accumulate);
  }
  void run(int64_t first, int64_t last, double* partials) {
    if (plan.layout == Layout::Plain) run_plain(first, last);
    else if (plan.layout == Layout::Across) run_across(first, last, partials);
    else run_down(first, last, partials);
  }
};

void prologue(const TilePlan& plan, void* const* bindings, void* scratch) {
  if (plan.compute == DType::Float32) Runner<float>(plan, bindings, scratch).prologue();
  else Runner<double>(plan, bindings, scratch).prologue();
}
void run(const TilePlan& plan, void* const* bindings, void* scratch, double* partials, int64_t first, int64_t last) {
  if (plan.compute == DType::Float32) Runner<float>(plan, bindings, scratch).run(first, last, partials);
  else Runner<double>(plan, bindings, scratch).run(first, last, partials);
}
void combine(const TilePlan& plan, void* const* bindings, void* scratch, const double* partials) {
  if (plan.compute == DType::Float32) Runner<float>(plan, bindings, scratch).combine(partials);
  else Runner<double>(plan, bindings, scratch).combine(partials);
}

}  // namespace

extern const MapTileTable map_tile_table = {prologue, run, combine};

}  // namespace HESSIA_ISA_NS
}  // namespace hessia
