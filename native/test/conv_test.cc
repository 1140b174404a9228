
#include "base/workspace.h"
#include "test/reference/conv.h"
#include "test/tensors.h"

using namespace hessia;
using namespace hessia::test;

namespace {

struct Layer {
  int64_t k, n, groups, in, out;  // channels of one group
  std::vector<int64_t> space, window, strides, pad, dilations;
  bool k_in_x, k_in_w, k_in_y;
};

void check(Rng& rng, const Layer& c, ConvMode mode, DType dtype) {
  ConvInstruction i{};
  i.mode = mode;
  i.groups = c.groups;
  i.strides = c.strides;
  i.pad_low = c.pad;
  i.dilations = c.dilations;
  i.accumulate = pick(rng, 0, 1) == 1;
  std::vector<int64_t> x{c.k, c.n, c.groups * c.in}, w{c.k, c.groups * c.out, c.in}, y{c.k, c.n, c.groups * c.out};
  for (size_t d = 0; d < c.space.size(); ++d) {
    x.push_back(c.space[d]);
    w.push_back(c.window[d]);
    const int64_t high = c.pad[d] + pick(rng, -1, 1);  // implied by the number of positions
    const int64_t room = c.space[d] + c.pad[d] + high - c.dilations[d] * (c.window[d] - 1) - 1;
    y.push_back(room < 0 ? 1 : room / c.strides[d] + 1);
  }
  const auto tensor = [&](int binding, const std::vector<int64_t>& shape, bool carries_k) {
    std::vector<int64_t> strides = row_major(shape);
    strides[0] = carries_k ? strides[0] + pick(rng, 0, 5) : 0;
    auto t = std::make_unique<Tensor>(rng, binding, dtype, shape, strides);
    t->fill(rng);
    return t;
  };
  auto tx = tensor(0, x, c.k_in_x || mode == ConvMode::Input), tw = tensor(1, w, c.k_in_w || mode == ConvMode::Weight),
       ty = tensor(2, y, c.k_in_y || mode == ConvMode::Forward);
  i.x = tx->view;
  i.w = tw->view;
  i.y = ty->view;
  Tensor& target = mode == ConvMode::Forward ? *ty : mode == ConvMode::Input ? *tx : *tw;
  double terms = static_cast<double>(c.in * c.out);
  for (size_t d = 3; d < w.size(); ++d) terms *= static_cast<double>(w[d]);
  if (mode == ConvMode::Weight) terms = static_cast<double>(c.n * reference::count({y.begin() + 3, y.end()}));

  void* bindings[] = {tx->data(), tw->data(), ty->data()};
  const auto before = target.bytes();
  reference::conv(i, bindings);
  std::vector<double> want;
  for (int64_t e = 0; e < target.elements(); ++e) want.push_back(target.at(e));
  const double tolerance = epsilon(dtype) * (4 + 2 * terms);
  for (int threads : thread_counts({1, 2, 3})) {
    std::vector<unsigned char> first;
    for (int repeat = 0; repeat < 2; ++repeat) {
      Workspace workspace;
      workspace.threads = threads;
      workspace.use_onednn = threads == 2;
      target.set_bytes(before);
      run::conv(i, bindings, workspace);
      bool close = true;
      for (int64_t e = 0; e < target.elements(); ++e)
        close = close && near(target.at(e), want[static_cast<size_t>(e)], tolerance);
      CHECK(close);
      CHECK(target.intact());
      if (repeat == 0) first = target.bytes();
      else CHECK(target.bytes() == first);
    }
  }
}

void check_modes(Rng& rng, const Layer& c) {
  for (ConvMode mode : {ConvMode::Forward, ConvMode::Input, ConvMode::Weight})
    for (DType t : {DType::Float32, DType::Float64}) check(rng, c, mode, t);
}

}  // namespace

TEST(conv_network_layers) {
  Rng rng(11);
  // k, n, groups, in, out, space, window, stride, pad, dilation
  check_modes(rng, {1, 3, 1, 3, 8, {32, 32}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, false, false, false});
  check_modes(rng, {1, 2, 1, 8, 16, {16, 16}, {3, 3}, {2, 2}, {1, 1}, {1, 1}, false, false, false});
  check_modes(rng, {1, 4, 1, 16, 24, {8, 8}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, false, false, false});
  check_modes(rng, {1, 4, 1, 16, 24, {8, 8}, {1, 1}, {2, 2}, {0, 0}, {1, 1}, false, false, false});
  check_modes(rng, {1, 3, 1, 16, 24, {9, 7}, {1, 1}, {1, 1}, {0, 0}, {1, 1}, false, false, false});
  check_modes(rng, {1, 9, 1, 12, 20, {3, 3}, {3, 3}, {1, 1}, {0, 0}, {1, 1}, false, false, false});
  check_modes(rng, {1, 9, 1, 12, 20, {2, 2}, {1, 1}, {1, 1}, {0, 0}, {1, 1}, false, false, false});
  check_modes(rng, {1, 1, 1, 12, 40, {4, 4}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, false, false, false});
  check_modes(rng, {1, 2, 10, 1, 1, {20, 33}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, false, false, false});
  check_modes(rng, {1, 2, 6, 1, 2, {20, 33}, {5, 5}, {2, 2}, {2, 2}, {1, 1}, false, false, false});
  check_modes(rng, {1, 2, 1, 3, 5, {100, 70}, {7, 7}, {2, 2}, {3, 3}, {1, 1}, false, false, false});
  check_modes(rng, {1, 2, 1, 20, 5, {50}, {5}, {1}, {2}, {2}, false, false, false});
  check_modes(rng, {1, 2, 1, 4, 5, {5, 6, 17}, {3, 3, 3}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}, false, false, false});
}

// Inputs larger than a chunk, whose lines do not divide evenly: chunks differ in size, and so does their scratch.
TEST(conv_uneven_chunks) {
  Rng rng(14);
  check_modes(rng, {1, 1, 1, 48, 6, {37, 20}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, false, false, false});
  check_modes(rng, {1, 2, 1, 100, 6, {15, 13}, {3, 3}, {1, 1}, {1, 1}, {1, 1}, false, false, false});
}

TEST(conv_tangents) {
  Rng rng(12);
  for (int64_t k : {1, 4})
    for (int carried = 0; carried < 8; ++carried)
      for (int64_t stride : {1, 2})
        check_modes(rng, {k, 3, 1 + carried % 2, 5, 4, {9, 8}, {3, 3}, {stride, stride}, {1, 1}, {1, 1},
                          (carried & 1) != 0, (carried & 2) != 0, (carried & 4) != 0});
}

TEST(conv_random) {
  Rng rng(13);
  for (int repeat = 0; repeat < 80; ++repeat) {
    Layer c{pick(rng, 1, 3), pick(rng, 0, 12) == 0 ? 0 : pick(rng, 1, 5), pick(rng, 1, 3), pick(rng, 1, 7), pick(rng, 1, 9),
           {}, {}, {}, {}, {}, pick(rng, 0, 1) == 1, pick(rng, 0, 1) == 1, pick(rng, 0, 1) == 1};
    const int64_t spatial = pick(rng, 1, 3);
    for (int64_t d = 0; d < spatial; ++d) {
      c.space.push_back(pick(rng, 1, spatial == 3 ? 7 : 20));
      c.window.push_back(pick(rng, 1, 4));
      c.strides.push_back(pick(rng, 1, 3));
      c.dilations.push_back(pick(rng, 1, 2));
      c.pad.push_back(pick(rng, -1, 3));
    }
    check_modes(rng, c);
  }
}
