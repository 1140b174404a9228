#include <algorithm>
#include <cmath>
#include <vector>

#include "base/parallel.h"
#include "kernels/gemm/gemm.h"
#include "kernels/layerwise/layerwise.h"

namespace hessia::cpu {

void fit_grid(const QuantGrid& grid, const double* w, int64_t first, int64_t last, double* scales, double* zeros) {
  const double steps = grid.high - grid.low;
  for (int64_t g = first; g < last; g++) scales[g] = zeros[g] = 0;  // largest and least so far
  for (int64_t j = 0; grid.group[j] >= 0; j++) {
    const int64_t g = grid.group[j];
    if (g < first || g >= last) continue;
    scales[g] = std::max(scales[g], w[j]);
    zeros[g] = std::min(zeros[g], w[j]);
  }
  for (int64_t g = first; g < last; g++) {
    const double largest = scales[g], least = zeros[g];
    const double span = grid.symmetric ? 2 * std::max(largest, -least) : largest - least;
    scales[g] = span > 0 ? static_cast<double>(static_cast<float>(span / steps)) : 1;
    if (!(scales[g] > 0)) scales[g] = 1;  // too small for float32
    zeros[g] = grid.symmetric ? 0 : std::clamp(std::nearbyint(grid.low - least / scales[g]), double(grid.low), double(grid.high));
  }
}

double on_grid(const QuantGrid& grid, double w, double scale, double zero) {
  const double q = std::clamp(std::nearbyint(w / scale) + zero, static_cast<double>(grid.low), static_cast<double>(grid.high));
  return scale * (q - zero);
}

namespace {

// Where the block that starts at `from` ends: before a group that it would cut, where the grid is fitted later, so that
// all of the group's weights have been updated by then.
int64_t block_end(int64_t length, int64_t from, int64_t block, const QuantGrid& grid) {
  const int64_t end = std::min(length, from + block);
  if (!grid.present() || !grid.later || end == length) return end;
  for (int64_t j = end; j > from + 1; j--)
    if (grid.group[j] != grid.group[j - 1]) return j;
  return end;
}

// prune ← the `count` smallest of (score, place), as 1.
void mark_smallest(const std::vector<double>& scores, int64_t count, std::vector<int64_t>& places, unsigned char* prune) {
  const int64_t n = static_cast<int64_t>(scores.size());
  places.resize(scores.size());
  for (int64_t i = 0; i < n; i++) places[static_cast<size_t>(i)] = i, prune[i] = 0;
  const auto less = [&](int64_t a, int64_t b) {
    const double x = scores[static_cast<size_t>(a)], y = scores[static_cast<size_t>(b)];
    return x < y || (x == y && a < b);
  };
  if (count < n) std::nth_element(places.begin(), places.begin() + count, places.end(), less);
  for (int64_t i = 0; i < count; i++) prune[places[static_cast<size_t>(i)]] = 1;
}

}  // namespace

void sweep(int64_t length, RowsRef factor, RowsRef w, const SweepRule& rule, const QuantGrid& grid, RowsRef losses, Workspace& ws) {
  const int64_t rows = w.rows, most = std::min(rule.block, length);
  const double* u = factor.rows > 0 ? static_cast<const double*>(factor.data) : nullptr;
  double* weights = static_cast<double*>(w.data);
  double* loss = static_cast<double*>(losses.data);
  const auto score = [&](double x, int64_t j) {
    const double s = u ? x / u[j * factor.stride + j] : x;
    return s * s;
  };
  std::vector<double> errors(static_cast<size_t>(rows * most)), scores;
  std::vector<unsigned char> prune(static_cast<size_t>(rows * most), 0);
  std::vector<int64_t> places;
  for (int64_t r = 0; r < rows; r++) {
    loss[r * losses.stride] = 0;
    if (grid.present() && !grid.later)
      fit_grid(grid, weights + r * w.stride, 0, grid.groups, static_cast<double*>(grid.scales.data) + r * grid.scales.stride,
               static_cast<double*>(grid.zeros.data) + r * grid.zeros.stride);
  }
  const bool unstructured = rule.of == 0 && rule.sparsity > 0;
  for (int64_t from = 0; from < length;) {
    const int64_t to = block_end(length, from, rule.block, grid), width = to - from;
    if (unstructured) {
      scores.resize(static_cast<size_t>(rows * width));
      for (int64_t r = 0; r < rows; r++)
        for (int64_t j = from; j < to; j++) scores[static_cast<size_t>(r * width + j - from)] = score(weights[r * w.stride + j], j);
      const auto up_to = [&](int64_t column) { return std::llround(rule.sparsity * static_cast<double>(rows * column)); };
      mark_smallest(scores, up_to(to) - up_to(from), places, prune.data());
    }
    const int threads = rows * width * width < kSerialBelow ? 1 : static_cast<int>(std::min<int64_t>(ws.threads, rows));
    parallel(threads, [&](int thread, int team) {
      for (int64_t r = rows * thread / team; r < rows * (thread + 1) / team; r++) {
        double* x = weights + r * w.stride;
        double* error = errors.data() + r * width;
        unsigned char* mine = prune.data() + r * width;
        double* scale = grid.present() ? static_cast<double*>(grid.scales.data) + r * grid.scales.stride : nullptr;
        double* zero = grid.present() ? static_cast<double*>(grid.zeros.data) + r * grid.zeros.stride : nullptr;
        double sum = 0;
        for (int64_t j = from; j < to; j++) {
          if (grid.present() && grid.later && (j == 0 || grid.group[j] != grid.group[j - 1]))
            fit_grid(grid, x, grid.group[j], grid.group[j] + 1, scale, zero);
          if (rule.of > 0 && j % rule.of == 0) {  // all but `keep` of the next columns: those that many others beat
            for (int64_t a = j; a < j + rule.of; a++) {
              int64_t better = 0;
              for (int64_t b = j; b < j + rule.of; b++) {
                const double p = score(x[a], a), q = score(x[b], b);
                if (q > p || (q == p && b > a)) better++;
              }
              mine[a - from] = better >= rule.keep;
            }
          }
          double target = x[j];
          if (mine[j - from]) target = 0;
          else if (scale) target = on_grid(grid, x[j], scale[grid.group[j]], zero[grid.group[j]]);
          const double e = u ? (x[j] - target) / u[j * factor.stride + j] : x[j] - target;
          sum += e * e;
          error[j - from] = e;
          x[j] = target;
          if (!u || e == 0) continue;
          const double* row = u + j * factor.stride;
          for (int64_t k = j + 1; k < to; k++) x[k] -= e * row[k];
        }
        loss[r * losses.stride] += 0.5 * sum;
      }
    });
    if (u && to < length)
      gemm(Gemm<double>{rows, length - to, width, errors.data(), strided(rows, width), strided(width, 1), u + from * factor.stride + to,
                        strided(width, factor.stride), strided(length - to, 1), weights + to, strided(rows, w.stride),
                        strided(length - to, 1), -1.0, true}, ws);
    from = to;
  }
}

}  // namespace hessia::cpu
