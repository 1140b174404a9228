
#include "base/workspace.h"
#include "test/reference/dot.h"
#include "test/tensors.h"

using namespace hessia;
using namespace hessia::test;

namespace {

// Runs the instruction with 1, 2 and 3 threads, twice each, and compares with the reference.
void check(const DotInstruction& i, Tensor& a, Tensor& b, Tensor& c, double terms) {
  void* bindings[] = {a.data(), b.data(), c.data()};
  const auto before = c.bytes();
  reference::dot(i, bindings);
  std::vector<double> want;
  for (int64_t e = 0; e < c.elements(); ++e) want.push_back(c.at(e));
  const double tolerance = epsilon(c.view.dtype) * (4 + 2 * terms) * (std::fabs(i.alpha) + 1);

  for (int threads : thread_counts({1, 2, 3})) {
    std::vector<unsigned char> first;
    for (int repeat = 0; repeat < 2; ++repeat) {
      Workspace workspace;
      workspace.threads = threads;
      workspace.use_onednn = repeat == 0 && threads == 2;
      c.set_bytes(before);
      run::dot(i, bindings, workspace);
      bool close = true;
      for (int64_t e = 0; e < c.elements(); ++e) close = close && near(c.at(e), want[static_cast<size_t>(e)], tolerance);
      CHECK(close);
      CHECK(c.intact());
      if (repeat == 0) first = c.bytes();
      else if (threads != 2) CHECK(c.bytes() == first);
    }
  }
}

// sizes[l] is the size of label l; unless `plain`, strides are random, sometimes 0 in a or b.
void random_case(Rng& rng, DType dtype, const std::vector<int64_t>& sizes, const std::vector<int> (&labels)[3], bool plain) {
  std::vector<std::unique_ptr<Tensor>> tensors;
  DotInstruction i{};
  for (int o = 0; o < 3; ++o) {
    std::vector<int64_t> shape;
    for (int l : labels[o]) shape.push_back(sizes[static_cast<size_t>(l)]);
    std::vector<int64_t> strides = random_strides(rng, shape, plain);
    if (o < 2 && !plain)
      for (int64_t& s : strides) if (pick(rng, 0, 9) == 0) s = 0;
    tensors.push_back(std::make_unique<Tensor>(rng, o, dtype, shape, strides));
    tensors.back()->fill(rng);
  }
  double terms = 1;
  for (size_t l = 0; l < sizes.size(); ++l) {
    bool written = false;
    for (int c : labels[2]) written |= c == static_cast<int>(l);
    if (!written) terms *= static_cast<double>(sizes[l]);
  }
  i.a = tensors[0]->view;
  i.b = tensors[1]->view;
  i.c = tensors[2]->view;
  i.labels_a = labels[0];
  i.labels_b = labels[1];
  i.labels_c = labels[2];
  i.alpha = pick(rng, 0, 2) == 0 ? -0.75 : 1.0;
  i.accumulate = pick(rng, 0, 1) == 1;
  check(i, *tensors[0], *tensors[1], *tensors[2], terms);
}

}  // namespace

TEST(dot_plain_products) {
  Rng rng(1);
  const std::vector<int> layouts[][3] = {
      {{0, 2}, {2, 1}, {0, 1}}, {{2, 0}, {2, 1}, {0, 1}}, {{0, 2}, {1, 2}, {0, 1}}, {{2, 0}, {1, 2}, {1, 0}}};
  const std::vector<int64_t> shapes[] = {
      {1, 1, 1}, {1, 1, 5000}, {3, 1, 70}, {1, 4, 33}, {2, 3, 4100}, {10, 64, 37}, {64, 10, 37}, {17, 49, 300},
      {256, 65, 33}, {8, 48, 1}, {100, 7, 2}, {5, 5, 20000}, {33, 129, 129}, {200, 1, 90}, {1, 300, 90}};
  for (const auto& labels : layouts)
    for (const auto& sizes : shapes)
      for (DType t : {DType::Float32, DType::Float64}) random_case(rng, t, sizes, labels, true);
}

TEST(dot_nothing_to_sum_or_write) {
  Rng rng(2);
  const std::vector<int> labels[3] = {{0, 2}, {2, 1}, {0, 1}};
  for (const std::vector<int64_t>& sizes : {std::vector<int64_t>{0, 3, 4}, {3, 0, 4}, {3, 4, 0}, {0, 0, 0}})
    for (int repeat = 0; repeat < 4; ++repeat) random_case(rng, DType::Float32, sizes, labels, true);
}

TEST(dot_labels_of_attention_and_shared_operands) {
  Rng rng(3);
  // labels: 0 batch, 1 head, 2 query, 3 key, 4 feature
  const std::vector<int64_t> sizes = {3, 2, 17, 19, 16};
  const std::vector<int> scores[3] = {{0, 2, 1, 4}, {0, 3, 1, 4}, {0, 1, 2, 3}};
  const std::vector<int> values[3] = {{0, 1, 2, 3}, {0, 3, 1, 4}, {0, 2, 1, 4}};
  // [B, in] · [k, in, out] → [k, B, out] or [B, k, out]; and per-sample outer products
  const std::vector<int> shared[3] = {{2, 4}, {0, 4, 3}, {0, 2, 3}};
  const std::vector<int> between[3] = {{2, 4}, {0, 4, 3}, {2, 0, 3}};
  const std::vector<int> outer[3] = {{2, 3}, {2, 4}, {2, 3, 4}};
  const std::vector<int> rows[3] = {{2, 0, 4}, {2, 0, 4}, {2, 0}};
  for (DType t : {DType::Float32, DType::Float64})
    for (int repeat = 0; repeat < 4; ++repeat) {
      random_case(rng, t, sizes, scores, repeat < 2);
      random_case(rng, t, sizes, values, repeat < 2);
      random_case(rng, t, sizes, shared, repeat < 2);
      random_case(rng, t, sizes, between, repeat < 2);
      random_case(rng, t, {1, 1, 40, 100, 70}, outer, repeat < 2);
      random_case(rng, t, {1, 1, 40, 1, 1}, outer, repeat < 2);
      random_case(rng, t, {5, 1, 100, 1, 130}, rows, repeat < 2);
      random_case(rng, t, {5, 1, 100, 1, 3}, rows, repeat < 2);
    }
}

TEST(dot_columns_in_runs_of_whole_vectors) {
  Rng rng(6);
  // labels: 0 block, 1 rows, 2 summed, 3 run
  const std::vector<int> forward[3] = {{1, 2}, {0, 2, 3}, {0, 1, 3}};
  const std::vector<int> weights[3] = {{2, 1}, {0, 2, 3}, {0, 1, 3}};
  const std::vector<int> turned[3] = {{0, 2, 3}, {2, 1}, {0, 3, 1}};
  const std::vector<std::vector<int64_t>> shapes = {{5, 33, 40, 16}, {8, 64, 32, 64}, {3, 130, 70, 112}, {30, 20, 270, 64}, {7, 70, 64, 48}};
  for (DType t : {DType::Float32, DType::Float64})
    for (const auto& sizes : shapes)
      for (const auto& labels : {forward, weights, turned})
        random_case(rng, t, sizes, {{labels[0]}, {labels[1]}, {labels[2]}}, true);
}

TEST(dot_random_labels) {
  Rng rng(4);
  for (int repeat = 0; repeat < 400; ++repeat) {
    const int count = static_cast<int>(pick(rng, 1, 6));
    std::vector<int64_t> sizes;
    double total = 1;
    for (int l = 0; l < count; ++l) {
      const int64_t most = std::max<int64_t>(1, std::min<int64_t>(40, static_cast<int64_t>(200000 / total)));
      sizes.push_back(pick(rng, 0, 30) == 0 ? 0 : pick(rng, 1, most));
      total *= static_cast<double>(std::max<int64_t>(1, sizes.back()));
    }
    std::vector<int> labels[3];
    for (int l = 0; l < count; ++l) {
      const int64_t kind = pick(rng, 0, 3);  // batch, M, N, K
      if (kind != 2) labels[0].push_back(l);
      if (kind != 1) labels[1].push_back(l);
      if (kind != 3) labels[2].push_back(l);
    }
    for (auto& list : labels) std::shuffle(list.begin(), list.end(), rng);
    random_case(rng, pick(rng, 0, 1) ? DType::Float32 : DType::Float64, sizes, labels, pick(rng, 0, 2) == 0);
  }
}

TEST(dot_large_enough_for_every_block) {
  Rng rng(5);
  const std::vector<int> labels[3] = {{0, 2}, {2, 1}, {0, 1}};
  const int64_t part = on_cpu() ? 1 : 4;  // blocks there are smaller
  random_case(rng, DType::Float32, {260 / part, 1300 / part, 530}, labels, true);
  random_case(rng, DType::Float64, {260 / part, 700 / part, 300}, labels, false);
  random_case(rng, DType::Float32, {6, 5, 70000}, labels, false);
}
