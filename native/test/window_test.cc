
#include <limits>

#include "base/workspace.h"
#include "test/reference/window.h"
#include "test/tensors.h"

using namespace hessia;
using namespace hessia::test;

namespace {

struct Pool { int64_t n; std::vector<int64_t> space, window, strides, pad, dilations; };

void check(Rng& rng, const Pool& pool, WindowMode mode, DType dtype, bool coarse) {
  WindowInstruction i{};
  i.mode = mode;
  i.window = pool.window;
  i.strides = pool.strides;
  i.pad_low = pool.pad;
  i.dilations = pool.dilations;
  std::vector<int64_t> x{pool.n}, y{pool.n};
  double terms = 1;
  for (size_t d = 0; d < pool.space.size(); ++d) {
    x.push_back(pool.space[d]);
    const int64_t room = pool.space[d] + 2 * pool.pad[d] - pool.dilations[d] * (pool.window[d] - 1) - 1;
    y.push_back(room < 0 ? 1 : room / pool.strides[d] + 1);
    terms *= static_cast<double>(pool.window[d]);
  }
  Tensor tx(rng, 0, dtype, x, row_major(x));
  Tensor ty(rng, 1, mode == WindowMode::Argmax ? DType::Int32 : dtype, y, row_major(y));
  tx.fill(rng);
  if (mode != WindowMode::Argmax) ty.fill(rng);
  if (coarse) {  // ties, NaN and infinities
    for (int64_t e = 0; e < tx.elements(); ++e) {
      const double values[] = {-1, 0, 0, 1, 2, -std::numeric_limits<double>::infinity(),
                               mode == WindowMode::Argmax ? std::numeric_limits<double>::quiet_NaN() : 3};
      const double value = values[pick(rng, 0, e % 5 == 0 ? 6 : 4)];
      if (dtype == DType::Float64) static_cast<double*>(tx.data())[e] = value;
      else static_cast<float*>(tx.data())[e] = static_cast<float>(value);
    }
  }
  i.x = tx.view;
  i.y = ty.view;
  Tensor& target = mode == WindowMode::SumTranspose ? tx : ty;
  void* bindings[] = {tx.data(), ty.data()};
  const auto before = target.bytes();
  reference::window(i, bindings);
  std::vector<double> want;
  for (int64_t e = 0; e < target.elements(); ++e) want.push_back(target.at(e));
  const double tolerance = mode == WindowMode::Argmax ? 0 : epsilon(dtype) * 4 * (terms + 1);
  for (int threads : thread_counts({1, 3})) {
    Workspace workspace;
    workspace.threads = threads;
    target.set_bytes(before);
    run::window(i, bindings, workspace);
    bool close = true;
    for (int64_t e = 0; e < target.elements(); ++e)
      close = close && near(target.at(e), want[static_cast<size_t>(e)], tolerance);
    CHECK(close);
    CHECK(target.intact());
  }
}

void check_modes(Rng& rng, const Pool& pool) {
  for (WindowMode mode : {WindowMode::Sum, WindowMode::SumTranspose, WindowMode::Argmax})
    for (DType t : {DType::Float32, DType::Float64})
      for (bool coarse : {false, true}) check(rng, pool, mode, t, coarse);
}

}  // namespace

TEST(window_pools_of_networks) {
  Rng rng(21);
  check_modes(rng, {40, {32, 32}, {2, 2}, {2, 2}, {0, 0}, {1, 1}});
  check_modes(rng, {10, {33, 31}, {3, 3}, {2, 2}, {1, 1}, {1, 1}});
  check_modes(rng, {12, {8, 8}, {8, 8}, {1, 1}, {0, 0}, {1, 1}});
  check_modes(rng, {3, {700}, {5}, {1}, {2}, {1}});
  check_modes(rng, {0, {8, 8}, {2, 2}, {2, 2}, {0, 0}, {1, 1}});
}

TEST(window_random) {
  Rng rng(22);
  for (int repeat = 0; repeat < 100; ++repeat) {
    Pool pool{pick(rng, 1, 6), {}, {}, {}, {}, {}};
    const int64_t spatial = pick(rng, 1, 3);
    for (int64_t d = 0; d < spatial; ++d) {
      pool.space.push_back(pick(rng, 1, spatial == 1 ? 600 : 14));
      pool.window.push_back(pick(rng, 1, 4));
      pool.strides.push_back(pick(rng, 1, 3));
      pool.pad.push_back(pick(rng, 0, 4));
      pool.dilations.push_back(pick(rng, 1, 3));
    }
    check_modes(rng, pool);
  }
}
