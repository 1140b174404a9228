#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/parallel.h"
#include "kernels/gemm/gemm.h"
#include "kernels/layerwise/layerwise.h"

namespace hessia::cpu {
namespace {

constexpr int64_t kDepth = 64;    // eliminated columns between two updates of the matrix
constexpr int64_t kStrip = 128;   // rows of that update at a time, up to the diagonal
constexpr double kNever = std::numeric_limits<double>::infinity();

// One row of W and what is left of H⁻¹ for it. Indices are places: what was eliminated is taken out after each update,
// the others keep their order. `a` holds the lower triangle, without the columns u that wait, u_s = h_q/√[H⁻¹]_qq.
class Row {
 public:
  static int64_t elements(int64_t n, int64_t block, int64_t of) {
    return n * n + (kDepth + block) * n + n * (4 + block) + 2 * block * block + (of > 0 ? n / of : 0) + products(n, kDepth + block);
  }
  Row(int64_t n, int64_t block, const EliminateRule& rule, const QuantGrid& grid, double* memory)
      : n_(n), block_(block), most_(kDepth + block), rule_(rule), grid_(grid) {
    const auto take = [&](int64_t count) {
      double* from = memory;
      memory += count;
      return from;
    };
    products_ = take(products(n, most_));  // first: aligned
    a_ = take(n * n), u_ = take(most_ * n), w_ = take(n), h_ = take(n), index_ = take(n), dead_ = take(n);
    diagonal_ = take(n * block), small_ = take(2 * block * block), removed_ = take(rule.of > 0 ? n / rule.of : 0);
  }

  // False where H⁻¹ is not positive definite.
  bool run(RowsRef inverse, double* w, double prune, const double* scales, const double* zeros, double* order, double* losses) {
    const double* h = static_cast<const double*>(inverse.data);
    size_ = n_, waiting_ = 0, done_ = 0;
    scales_ = scales, zeros_ = zeros;
    for (int64_t i = 0; i < n_; i++) {
      std::copy(h + i * inverse.stride, h + i * inverse.stride + i + 1, a_ + i * n_);
      for (int64_t k = 0; k < block_; k++) {
        const int64_t j = i / block_ * block_ + k;
        diagonal_[i * block_ + k] = h[i * inverse.stride + j];
      }
      w_[i] = w[i], index_[i] = static_cast<double>(i), dead_[i] = 0;
      losses[i] = 0;
      if (!(rule_.given && static_cast<double>(i) < prune)) order[i] = -1;
    }
    if (rule_.of > 0) std::fill(removed_, removed_ + n_ / rule_.of, 0.0);
    while (static_cast<double>(done_) < prune) {
      const int64_t first = rule_.given ? place(order[done_]) : best_block();
      if (first < 0) break;
      for (int64_t k = 0; k < block_; k++)
        if (!step(first + k, 0, w, order, losses)) return false;
      if (waiting_ + block_ > most_) flush();
    }
    while (grid_.present() && done_ < n_) {
      const int64_t at = best_rounding();
      if (!step(at, rounded(at), w, order, losses)) return false;
      if (waiting_ == most_) flush();
    }
    for (int64_t i = 0; i < size_; i++)
      if (dead_[i] == 0) w[static_cast<int64_t>(index_[i])] = w_[i];
    return true;
  }

 private:
  static int64_t products(int64_t n, int64_t depth) {
    const Gemm<double> g = update(n, n, depth, n, nullptr, nullptr);
    int64_t most = 0;
    for (int64_t i = 0; i < n; i += kStrip) {
      const int64_t last = std::min(n, i + kStrip);
      most = std::max(most, gemm_kernels<double>().scratch_elements(g, {i, last, 0, last, 0, depth}));
    }
    return ceil_div(most, 8) * 8;
  }
  // a −= uᵀ u
  static Gemm<double> update(int64_t size, int64_t n, int64_t depth, int64_t ldu, const double* u, double* a) {
    return {size, size, depth, u, strided(size, 1), strided(depth, ldu), u, strided(depth, ldu), strided(size, 1),
            a, strided(size, n), strided(size, 1), -1.0, true};
  }
  int64_t column(int64_t i) const { return static_cast<int64_t>(index_[i]); }
  int64_t place(double of_column) const {
    for (int64_t i = 0; i < size_; i++)
      if (index_[i] == of_column && dead_[i] == 0) return i;
    return -1;
  }
  double rounded(int64_t i) const {
    const int32_t g = grid_.group[column(i)];
    return on_grid(grid_, w_[i], scales_[g], zeros_[g]);
  }

  // wᵀ A⁻¹ w of the block from place i on: by the factor A = L Lᵀ, ‖L⁻¹ w‖².
  double block_cost(int64_t i) {
    if (block_ == 1) return w_[i] * w_[i] / diagonal_[i];
    double* l = small_;
    double* x = small_ + block_ * block_;
    double sum = 0;
    for (int64_t r = 0; r < block_; r++) {
      double value = w_[i + r];
      for (int64_t c = 0; c <= r; c++) {
        double entry = diagonal_[(i + r) * block_ + c];
        for (int64_t k = 0; k < c; k++) entry -= l[r * block_ + k] * l[c * block_ + k];
        if (c < r) l[r * block_ + c] = entry / l[c * block_ + c], value -= l[r * block_ + c] * x[c];
        else l[r * block_ + r] = std::sqrt(entry);
      }
      x[r] = value / l[r * block_ + r];
      sum += x[r] * x[r];
    }
    return sum;
  }
  // The place of the first weight of the block that costs least, of equals the first; −1 where the pattern allows none.
  int64_t best_block() {
    int64_t best = -1;
    double least = kNever;
    for (int64_t i = 0; i < size_; i += block_) {
      if (dead_[i] != 0 || (rule_.of > 0 && removed_[column(i) / rule_.of] >= static_cast<double>(rule_.of - rule_.keep))) continue;
      const double c = block_cost(i);
      if (c < least || best < 0) best = i, least = c;
    }
    return best;
  }
  // The weight whose rounding costs least; but where roundings are wrong by more than half a step, being moved outside
  // the grid, the largest of them, before it moves others further.
  int64_t best_rounding() const {
    int64_t best = -1, worst = -1;
    double least = kNever, largest = 0;
    for (int64_t i = 0; i < size_; i++) {
      if (dead_[i] != 0) continue;
      const double error = w_[i] - rounded(i), square = error * error, step = scales_[grid_.group[column(i)]];
      const double c = square / diagonal_[i * block_ + i % block_];
      if (c < least || best < 0) best = i, least = c;
      if (square > 0.25 * step * step && square > largest) worst = i, largest = square;
    }
    return worst >= 0 ? worst : best;
  }

  // The weight at place p becomes `target`, the others take its part.
  bool step(int64_t p, double target, double* w, double* order, double* losses) {
    for (int64_t i = 0; i < p; i++) h_[i] = a_[p * n_ + i];
    for (int64_t i = p; i < size_; i++) h_[i] = a_[i * n_ + p];
    for (int64_t s = 0; s < waiting_; s++) {
      const double* u = u_ + s * n_;
      const double by = u[p];
      for (int64_t i = 0; i < size_; i++) h_[i] -= by * u[i];
    }
    const double pivot = h_[p];
    if (!(pivot > 0)) return false;
    const double e = (w_[p] - target) / pivot, root = std::sqrt(pivot);
    const double loss = 0.5 * e * (w_[p] - target);
    double* u = u_ + waiting_ * n_;
    for (int64_t i = 0; i < size_; i++) {
      const double left = dead_[i] != 0 ? 0 : h_[i];  // eliminated: 0 but for rounding
      w_[i] -= e * left;
      u[i] = left / root;
    }
    if (block_ == 1) {
      for (int64_t i = 0; i < size_; i++) diagonal_[i] -= u[i] * u[i];
    } else {
      for (int64_t i = 0; i < size_; i++)
        for (int64_t k = 0; k < block_; k++) diagonal_[i * block_ + k] -= u[i] * u[i / block_ * block_ + k];
    }
    const int64_t j = column(p);
    w[j] = target, dead_[p] = 1;
    order[done_] = static_cast<double>(j), losses[done_] = loss;
    if (rule_.of > 0) removed_[j / rule_.of]++;
    done_++, waiting_++;
    return true;
  }

  // The waiting columns into the matrix; what was eliminated out of it. Places of a block stay together: it dies whole,
  // unless weights are being quantised, one at a time and to the last.
  void flush() {
    const Gemm<double> g = update(size_, n_, waiting_, n_, u_, a_);
    for (int64_t i = 0; i < size_; i += kStrip) {
      const int64_t last = std::min(size_, i + kStrip);
      gemm_kernels<double>().run(g, {i, last, 0, last, 0, waiting_}, products_);
    }
    waiting_ = 0;
    int64_t left = 0;
    for (int64_t i = 0; i < size_; i++) {
      if (dead_[i] != 0) continue;
      double* to = a_ + left * n_;
      const double* from = a_ + i * n_;
      int64_t c = 0;
      for (int64_t j = 0; j <= i; j++)
        if (dead_[j] == 0) to[c++] = from[j];
      for (int64_t k = 0; k < block_; k++) diagonal_[left * block_ + k] = diagonal_[i * block_ + k];
      w_[left] = w_[i], index_[left] = index_[i];
      left++;
    }
    size_ = left;
    std::fill(dead_, dead_ + size_, 0.0);
  }

  const int64_t n_, block_, most_;
  const EliminateRule& rule_;
  const QuantGrid& grid_;
  const double *scales_ = nullptr, *zeros_ = nullptr;
  double *a_, *u_, *w_, *h_, *index_, *dead_, *diagonal_, *small_, *removed_, *products_;
  int64_t size_ = 0, waiting_ = 0, done_ = 0;
};

}  // namespace

void eliminate(int64_t n, RowsRef inverse, RowsRef w, const EliminateRule& rule, const QuantGrid& grid, RowsRef order,
               RowsRef losses, Workspace& ws) {
  if (n == 0 || w.rows == 0) return;
  const int64_t each = ceil_div(Row::elements(n, rule.block, rule.of), 8) * 8;
  const size_t bytes = static_cast<size_t>(each) * sizeof(double);
  // a row's matrix for every thread, as long as there is room
  const int64_t room = std::max<int64_t>(1, static_cast<int64_t>(available_memory() / 2 / bytes));
  const int threads = static_cast<int>(std::min<int64_t>({ws.threads, w.rows, room}));
  double* memory = static_cast<double*>(ws.scratch(bytes * static_cast<size_t>(threads)));
  std::atomic<int64_t> next{0};
  std::atomic<bool> broken{false};
  parallel(threads, [&](int thread, int) {
    Row row(n, rule.block, rule, grid, memory + each * thread);
    const auto at = [](const RowsRef& rows, int64_t r) { return static_cast<double*>(rows.data) + r * rows.stride; };
    for (int64_t r = next++; r < w.rows && !broken; r = next++) {
      double *scales = nullptr, *zeros = nullptr;
      if (grid.present()) {
        scales = at(grid.scales, r), zeros = at(grid.zeros, r);
        fit_grid(grid, at(w, r), 0, grid.groups, scales, zeros);
      }
      if (!row.run(inverse, at(w, r), rule.prune[r], scales, zeros, at(order, r), at(losses, r))) broken = true;
    }
  });
  if (broken)
    throw Error(ErrorCode::INVALID_INPUT, "the Hessian of a layer of " + std::to_string(n) +
                                              " inputs is singular to working precision; use more samples or a larger damping");
}

}  // namespace hessia::cpu
