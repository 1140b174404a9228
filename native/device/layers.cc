// Pruning and quantisation of layers, checked and queued.
#include <algorithm>
#include <memory>

#include "device/device.h"

namespace hessia {
namespace {

constexpr DType kType = DType::Float64;
constexpr int64_t kMostLength = int64_t{1} << 24;

void need(bool right, const char* name, const char* what) {
  if (!right) throw Error(ErrorCode::INVALID_ARGUMENT, std::string(name) + ": " + what);
}
void check_pattern(int64_t length, int64_t block, int64_t keep, int64_t of, const char* name) {
  need(length >= 1 && length <= kMostLength && block >= 1 && block <= length, name, "needs 1 <= block <= length");
  need(of >= 0 && of <= length && keep <= of && (of == 0 || length % of == 0), name, "the pattern does not divide the columns");
}

template <class F> F kernel(const KernelTable& table, F KernelTable::*entry, const char* name) {
  if (table.*entry) return table.*entry;
  throw Error(ErrorCode::UNSUPPORTED, std::string("no kernel for ") + name + " on device " + table.name + "; use --device cpu");
}

}  // namespace

void Device::check_grid(int64_t length, int64_t rows, GridRows& grid, std::vector<Touch>& writes, const char* name) {
  if (grid.high < grid.low) return;
  need(static_cast<int64_t>(grid.group.size()) == length, name, "the grid needs a group for each column");
  int32_t groups = 0;
  for (size_t j = 0; j < grid.group.size(); j++) {
    const int32_t g = grid.group[j], before = j > 0 ? grid.group[j - 1] : 0;
    need(g >= 0 && g < length && (!grid.later || g == before || g == before + 1), name, "groups of the grid are out of order");
    groups = std::max(groups, g + 1);
  }
  grid.group.push_back(-1);
  for (const BufferRows* r : {&grid.scales, &grid.zeros}) {
    need(r->rows == rows, name, "the grid has another number of rows");
    writes.push_back(touch(kType, groups, *r, name));
  }
}
QuantGrid Device::grid_ref(const GridRows& grid) const {
  if (grid.high < grid.low) return {};
  const int64_t groups = 1 + *std::max_element(grid.group.begin(), grid.group.end());
  return {grid.low, grid.high, grid.symmetric, grid.later, groups, grid.group.data(), rows_ref(kType, grid.scales), rows_ref(kType, grid.zeros)};
}

void Device::invert(int64_t length, BufferRows h, bool factor) {
  need(length >= 1 && length <= kMostLength && h.rows == length, "invert", "h is not a square matrix");
  const Touch th = touch(kType, length, h, "invert");
  submit({th}, {th}, "invert", [this, length, h, factor] {
    kernel(backend_->kernels(), &KernelTable::invert, "invert")(length, rows_ref(kType, h), factor, backend_->workspace());
  }, nullptr);
}

void Device::eliminate(int64_t length, BufferRows inverse, BufferRows weights, int64_t block, int64_t keep, int64_t of,
                       bool given, std::vector<double> prune, GridRows grid, BufferRows order, BufferRows losses) {
  const char* name = "eliminate";
  check_pattern(length, block, keep, of, name);
  need(length % block == 0 && ((of == 0 && !given) || block == 1) && (grid.high < grid.low || block == 1), name, "this pattern needs blocks of 1");
  need(inverse.rows == length, name, "the inverse is not a square matrix");
  need(static_cast<int64_t>(prune.size()) == weights.rows && order.rows == weights.rows && losses.rows == weights.rows, name,
       "rows of weights, order and losses differ");
  const Touch ti = touch(kType, length, inverse, name), tw = touch(kType, length, weights, name);
  std::vector<Touch> writes{tw, touch(kType, length, order, name), touch(kType, length, losses, name)};
  check_grid(length, weights.rows, grid, writes, name);
  std::vector<Touch> reads{ti, tw};
  if (given) reads.push_back(writes[1]);
  submit(std::move(reads), std::move(writes), name, [this, length, inverse, weights, block, keep, of, given, prune = std::move(prune), grid = std::move(grid), order, losses] {
    const EliminateRule rule{block, keep, of, given, prune.data()};
    kernel(backend_->kernels(), &KernelTable::eliminate, "eliminate")(length, rows_ref(kType, inverse), rows_ref(kType, weights), rule, grid_ref(grid),
                                  rows_ref(kType, order), rows_ref(kType, losses), backend_->workspace());
  }, nullptr);
}

void Device::sweep(int64_t length, BufferRows factor, BufferRows weights, SweepRule rule, GridRows grid, BufferRows losses) {
  const char* name = "sweep";
  check_pattern(length, 1, rule.keep, rule.of, name);
  need(rule.block >= 1 && rule.block <= kMostLength && (rule.of == 0 || rule.block % rule.of == 0), name, "blocks cut the pattern");
  need(rule.sparsity >= 0 && rule.sparsity <= 1, name, "the sparsity is not in 0 … 1");
  need((factor.rows == 0 || factor.rows == length) && losses.rows == weights.rows, name, "rows of factor, weights and losses do not fit");
  const Touch tf = touch(kType, length, factor, name), tw = touch(kType, length, weights, name);
  std::vector<Touch> writes{tw, touch(kType, 1, losses, name)};
  check_grid(length, weights.rows, grid, writes, name);
  submit({tf, tw}, std::move(writes), name, [this, length, factor, weights, rule, grid = std::move(grid), losses] {
    kernel(backend_->kernels(), &KernelTable::sweep, "sweep")(length, rows_ref(kType, factor), rows_ref(kType, weights), rule, grid_ref(grid),
                              rows_ref(kType, losses), backend_->workspace());
  }, nullptr);
}

}  // namespace hessia
