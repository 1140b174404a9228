#include "kernels/map/plan.h"

#include <algorithm>

#include "base/numbers.h"

namespace hessia::cpu {
namespace {

constexpr int64_t kLargestTile = 1024, kSmallestTile = 128;
constexpr int64_t kCacheBytes = 28 * 1024;  // registers of a tile; leaves room in 32 KB for the views
constexpr int64_t kMostSegments = 64;       // parts of one reduction, and tiles each has at least
constexpr int64_t kTilesPerSegment = 16;
constexpr int64_t kSegmentsOfSlice = 16;    // of a reduction down rows that slices share operands of
constexpr int64_t kSharedElements = 8192;   // fewer stay in cache whatever the order
constexpr int64_t kTilesPerVisit = 8;       // long enough for memory to be fetched ahead

// Extent of the outermost axis if some operands do not change along it while others do.
int64_t count_slices(const MapLayout& layout) {
  const Axes& axes = layout.axes;
  if (axes.rank() <= layout.column_axes || axes.reduced[0] || axes.count() / axes.size[0] < kSharedElements) return 1;
  for (const auto& strides : axes.strides) {
    int64_t walked = 1;
    for (int d = 1; d < axes.rank(); d++) walked *= strides[d] != 0 ? axes.size[d] : 1;
    if (strides[0] == 0 && walked >= kSharedElements) return axes.size[0];
  }
  return 1;
}

// Columns, rows, tiles and units, for tiles of about `target` elements.
void set_extents(TilePlan& p, const MapLayout& layout, int64_t target) {
  const Axes& axes = layout.axes;
  const int rank = axes.rank(), split = rank - layout.column_axes;
  p.layout = layout.kind;
  p.total = axes.count();
  p.slices = count_slices(layout);
  p.columns = 1;
  p.rows = 1;
  p.outer = 1;
  for (int d = 0; d < rank; d++) {
    if (d >= split) p.columns *= axes.size[d];
    else if (layout.kind == Layout::Down && !axes.reduced[d]) p.outer *= axes.size[d];
    else p.rows *= axes.size[d];
  }
  if (p.columns > target) {
    p.chunks = ceil_div(p.columns, target);
    p.tile = ceil_div(ceil_div(p.columns, p.chunks), 16) * 16;
    p.chunks = ceil_div(p.columns, p.tile);
    p.rows_per_tile = 1;
  } else {
    p.chunks = 1;
    p.rows_per_tile = std::min(layout.kind == Layout::Down ? p.rows : p.rows / p.slices, target / p.columns);
    p.tile = p.rows_per_tile * p.columns;
  }
  p.segments = 1;
  const int64_t rows = p.rows / p.slices;  // of one slice
  if (layout.kind == Layout::Plain) {
    p.slice_units = p.chunks == 1 ? ceil_div(rows, p.rows_per_tile) : rows * p.chunks;
  } else if (layout.kind == Layout::Across) {
    if (p.chunks > 1) p.segments = std::max<int64_t>(1, std::min(p.chunks / kTilesPerSegment, kMostSegments / p.rows));
    p.slice_units = p.chunks == 1 ? ceil_div(rows, p.rows_per_tile) : rows * p.segments;
  } else {
    const int64_t groups = p.outer * p.chunks, steps = ceil_div(p.rows, p.rows_per_tile);
    const int64_t most = std::max(kMostSegments / groups, p.slices > 1 ? kSegmentsOfSlice : 1);
    p.segments = std::max<int64_t>(1, std::min(steps / kTilesPerSegment, most));
    p.slice_units = groups / p.slices * p.segments;
  }
  p.span = p.rows_per_tile == 1 ? p.columns : layout.kind == Layout::Down ? p.rows * p.columns : p.total / p.slices;
  p.units = p.slices * p.slice_units;
  p.visit = layout.kind == Layout::Down ? 1 : kTilesPerVisit;
}

double cost_of(MapOpcode opcode) {
  switch (opcode) {
    case MapOpcode::Exp: case MapOpcode::Expm1: case MapOpcode::Log: case MapOpcode::Log1p: case MapOpcode::Tanh:
    case MapOpcode::Sigmoid: case MapOpcode::Softplus: case MapOpcode::Erf: return 8;
    case MapOpcode::Sin: case MapOpcode::Cos: case MapOpcode::Tan: case MapOpcode::Asin: case MapOpcode::Acos:
    case MapOpcode::Atan: case MapOpcode::Sinh: case MapOpcode::Cosh: case MapOpcode::Asinh: case MapOpcode::Acosh:
    case MapOpcode::Atanh: case MapOpcode::Pow: case MapOpcode::Atan2: return 30;
    default: return 1;
  }
}

int operand_count(MapOpcode opcode) {
  const int code = static_cast<int>(opcode);
  if (opcode == MapOpcode::Constant) return 0;
  if (opcode == MapOpcode::Select || opcode == MapOpcode::Fma) return 3;
  return code >= static_cast<int>(MapOpcode::Add) && code <= static_cast<int>(MapOpcode::Xor) ? 2 : 1;
}

// Builds the register program. Registers: inputs, then one per operation, as in the instruction, then one
// per output whose value has to be spread out.
class Compiler {
 public:
  Compiler(const MapInstruction& m, const MapLayout& layout, MapPlan& out) : m_(m), layout_(layout), out_(out) {}

  void run() {
    collect();
    mark_live();
    find_levels();
    last_use();
    choose_in_place();
    assign_loads();
    assign_ops();
    finish();
  }

 private:
  struct Register { Level level = Level::Uniform; bool live = false; int last = -1; int slot = -1; };
  struct Step { MapOp op; int reg; int operands; };
  static constexpr int kEnd = 1 << 30;

  bool all_zero(int view, int from, int to) const {
    const auto& strides = layout_.axes.strides[view];
    for (int d = from; d < to; d++) if (strides[d] != 0) return false;
    return true;
  }
  int inputs() const { return static_cast<int>(m_.inputs.size()); }
  int outputs() const { return static_cast<int>(m_.outputs.size()); }

  // Copies become names for their source; x^2 becomes a product.
  void collect() {
    registers_.resize(m_.inputs.size() + m_.code.size());
    root_.resize(registers_.size());
    for (int r = 0; r < static_cast<int>(registers_.size()); r++) root_[r] = r;
    for (size_t i = 0; i < m_.code.size(); i++) {
      MapOp op = m_.code[i];
      const int reg = inputs() + static_cast<int>(i), count = operand_count(op.op);
      op.a = count > 0 ? root_[op.a] : 0;
      op.b = count > 1 ? root_[op.b] : op.a;
      op.c = count > 2 ? root_[op.c] : op.a;
      if (op.op == MapOpcode::Copy) {
        root_[reg] = op.a;
        continue;
      }
      int operands = count;
      if (op.op == MapOpcode::Pow && is_constant(op.b, 2)) {
        op = {MapOpcode::Mul, op.a, op.a, op.a, 0};
        operands = 2;
      }
      steps_.push_back({op, reg, operands});
    }
    for (const MapOutput& o : m_.outputs) output_reg_.push_back(root_[o.reg]);
  }
  bool is_constant(int reg, double value) const {
    for (const Step& s : steps_) if (s.reg == reg) return s.op.op == MapOpcode::Constant && s.op.value == value;
    return false;
  }
  void mark_live() {
    for (int reg : output_reg_) registers_[reg].live = true;
    for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
      if (!registers_[step->reg].live) continue;
      for_operands(*step, [&](int r, int) { registers_[r].live = true; });
    }
    steps_.erase(std::remove_if(steps_.begin(), steps_.end(), [&](const Step& s) { return !registers_[s.reg].live; }),
                 steps_.end());
  }
  template <class F> static void for_operands(const Step& s, F f) {
    if (s.operands > 0) f(s.op.a, 0);
    if (s.operands > 1) f(s.op.b, 1);
    if (s.operands > 2) f(s.op.c, 2);
  }

  void find_levels() {
    const int rank = layout_.axes.rank(), split = rank - layout_.column_axes;
    for (int i = 0; i < inputs(); i++) {
      const int view = outputs() + i;
      const bool uniform = all_zero(view, 0, rank);
      const bool per_tile = out_.plan.chunks > 1 && all_zero(view, split, rank);
      registers_[i].level = uniform ? Level::Uniform : per_tile ? Level::PerTile : Level::Vector;
    }
    for (const Step& s : steps_) {
      Level level = Level::Uniform;
      for_operands(s, [&](int r, int) { level = std::max(level, registers_[r].level); });
      registers_[s.reg].level = level;
    }
    // An output needs a whole tile.
    for (int& reg : output_reg_) {
      if (registers_[reg].level == Level::Vector) continue;
      const int spread = static_cast<int>(registers_.size());
      registers_.push_back({Level::Vector, true, -1, -1});
      steps_.push_back({{MapOpcode::Copy, reg, reg, reg, 0}, spread, 1});
      reg = spread;
    }
  }
  void last_use() {
    for (int i = 0; i < static_cast<int>(steps_.size()); i++) {
      for_operands(steps_[i], [&](int r, int) { registers_[r].last = i; });
    }
    for (int reg : output_reg_) registers_[reg].last = kEnd;
  }

  // An input whose memory serves as its register. With several outputs an input that is itself an output is
  // copied: storing another output could overwrite it first (exact aliasing is allowed).
  void choose_in_place() {
    in_place_.assign(inputs(), false);
    for (int i = 0; i < inputs(); i++) {
      const TileView v = tile_view(m_.inputs[i], layout_.axes.size, layout_.axes.strides[outputs() + i]);
      const bool is_output = std::find(output_reg_.begin(), output_reg_.end(), i) != output_reg_.end();
      in_place_[i] = registers_[i].live && registers_[i].level == Level::Vector && v.runs(out_.plan.span) &&
                     v.dtype == m_.compute && !(is_output && outputs() > 1);
      if (in_place_[i]) in_place_last_ = std::max(in_place_last_, registers_[i].last);
    }
  }

  int new_slot(int where) {
    out_.slot_tile.push_back(where);
    return static_cast<int>(out_.slot_tile.size()) - 1;
  }
  int scalar_slot() { return new_slot(-1 - out_.plan.scalar_slots++); }
  int vector_slot() {
    if (!free_.empty()) {
      const int tile = free_.back();
      free_.pop_back();
      return new_slot(tile);
    }
    return new_slot(out_.plan.tile_slots++);
  }
  void assign_loads() {
    const int rank = layout_.axes.rank(), split = rank - layout_.column_axes;
    kept_.assign(registers_.size(), false);
    for (int i = 0; i < inputs(); i++) {
      Register& r = registers_[i];
      if (!r.live) continue;
      TileLoad l{};
      l.view = tile_view(m_.inputs[i], layout_.axes.size, layout_.axes.strides[outputs() + i]);
      l.level = r.level;
      l.in_place = in_place_[i];
      l.once = !l.in_place && r.level == Level::Vector && out_.plan.chunks == 1 && all_zero(outputs() + i, 0, split);
      kept_[i] = l.once;
      r.slot = l.slot = l.in_place ? new_slot(kPointer) : r.level == Level::Vector ? vector_slot() : scalar_slot();
      out_.loads.push_back(l);
    }
  }

  // The output that operation `step` may write to directly, or -1.
  int direct_output(int step) const {
    if (in_place_last_ > step) return -1;
    for (int o = 0; o < outputs(); o++) {
      const MapOutput& out = m_.outputs[o];
      if (output_reg_[o] != steps_[step].reg || out.accumulate || reduces(o) || out.view.dtype != m_.compute) continue;
      if (tile_view(out.view, layout_.axes.size, layout_.axes.strides[o]).runs(out_.plan.span)) return o;
    }
    return -1;
  }
  bool reduces(int o) const { return layout_.reduces && m_.outputs[o].reduce != ReduceKind::None; }

  void assign_ops() {
    direct_.assign(outputs(), false);
    for (int i = 0; i < static_cast<int>(steps_.size()); i++) {
      const Step& s = steps_[i];
      Register& dst = registers_[s.reg];
      TileOp op{s.op.op, 0, -1, 0, 0, 0, dst.level};
      int slots[3] = {-1, -1, -1};
      for_operands(s, [&](int r, int k) {
        slots[k] = registers_[r].slot;
        if (dst.level == Level::Vector && registers_[r].level != Level::Vector) op.variant |= 1 << k;
      });
      // Tiles read here for the last time may be overwritten by the result. A register that occurs twice is
      // given back once.
      for_operands(s, [&](int r, int) {
        Register& operand = registers_[r];
        if (operand.level == Level::Vector && operand.last == i && !kept_[r] && out_.slot_tile[operand.slot] >= 0) {
          free_.push_back(out_.slot_tile[operand.slot]);
          operand.last = -1;
        }
      });
      if (dst.level != Level::Vector) {
        dst.slot = scalar_slot();
      } else if (const int o = direct_output(i); o >= 0) {
        dst.slot = new_slot(kPointer);
        direct_[o] = true;
      } else {
        dst.slot = vector_slot();
      }
      kept_.resize(registers_.size(), false);
      op.dst = dst.slot;
      op.a = slots[0] >= 0 ? slots[0] : op.dst;
      op.b = slots[1] >= 0 ? slots[1] : op.a;
      op.c = slots[2] >= 0 ? slots[2] : op.a;
      if (s.op.op == MapOpcode::Constant) {
        out_.constants.resize(out_.slot_tile.size(), 0.0);
        out_.constants[op.dst] = s.op.value;
      }
      (dst.level == Level::Uniform ? out_.uniform_ops : out_.ops).push_back(op);
      if (dst.level == Level::Vector) out_.cost += cost_of(s.op.op);
    }
  }

  void finish() {
    const Axes& axes = layout_.axes;
    std::vector<int> kept;
    for (int d = 0; d < axes.rank(); d++) if (!axes.reduced[d]) kept.push_back(d);
    const Axes kept_axes = axes.select(kept);
    TilePlan& p = out_.plan;
    for (int o = 0; o < outputs(); o++) {
      const MapOutput& out = m_.outputs[o];
      TileStore store{};
      store.reduce = reduces(o) ? out.reduce : ReduceKind::None;
      store.view = store.reduce == ReduceKind::None ? tile_view(out.view, axes.size, axes.strides[o])
                                                    : tile_view(out.view, kept_axes.size, kept_axes.strides[o]);
      store.slot = registers_[output_reg_[o]].slot;
      store.accumulate = out.accumulate;
      store.direct = direct_[o];
      p.n_reductions += store.reduce != ReduceKind::None;
      out_.stores.push_back(store);
    }
    out_.constants.resize(out_.slot_tile.size(), 0.0);
    p.slots = static_cast<int>(out_.slot_tile.size());
    p.n_loads = static_cast<int>(out_.loads.size());
    p.n_ops = static_cast<int>(out_.ops.size());
    p.n_uniform_ops = static_cast<int>(out_.uniform_ops.size());
    p.n_stores = static_cast<int>(out_.stores.size());
    p.loads = out_.loads.data();
    p.ops = out_.ops.data();
    p.uniform_ops = out_.uniform_ops.data();
    p.stores = out_.stores.data();
    p.slot_tile = out_.slot_tile.data();
    p.constants = out_.constants.data();
  }

  const MapInstruction& m_;
  const MapLayout& layout_;
  MapPlan& out_;
  std::vector<Register> registers_;
  std::vector<int> root_, output_reg_, free_;
  std::vector<Step> steps_;
  std::vector<bool> in_place_, kept_, direct_;
  int in_place_last_ = -1;
};

}  // namespace

std::shared_ptr<const MapPlan> build_map_plan(const MapInstruction& m) {
  const MapLayout layout = layout_axes(m);
  const int64_t element = bytes_per_element(m.compute);
  for (int64_t target = kLargestTile;; target /= 2) {
    auto plan = std::make_shared<MapPlan>();
    plan->plan.compute = m.compute;
    set_extents(plan->plan, layout, target);
    Compiler(m, layout, *plan).run();
    const TilePlan& p = plan->plan;
    const int64_t bytes = (p.tile_slots * element + p.n_reductions * (element + 8)) * target;
    if (bytes <= kCacheBytes || target <= kSmallestTile) return plan;
  }
}

}  // namespace hessia::cpu
