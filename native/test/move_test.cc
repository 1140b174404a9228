// copy, fill, take, gather, scans against plain loops, on random layouts, with guard zones.
#include <cstring>

#include "base/error.h"
#include "test/views.h"

using namespace hessia;
using namespace hessia::test;

namespace {

void randomise(Guarded& g, DType dtype, std::mt19937_64& rng) {
  const int64_t n = static_cast<int64_t>(g.bytes()) / bytes_per_element(dtype);
  for (int64_t i = 0; i < n; i++) set(g.data(), dtype, i, dtype == DType::Bool ? static_cast<double>(pick(rng, 0, 1)) : static_cast<double>(pick(rng, -9, 9)));
}
void random_indices(const View& v, Guarded& g, int64_t size, std::mt19937_64& rng) {
  std::memset(g.data(), 0, g.bytes());
  for (int64_t i = 0; i < count_of(v.shape); i++) g.as<int32_t>()[offset_at(v, i)] = static_cast<int32_t>(pick(rng, 0, size - 1));
}
DType any_type(std::mt19937_64& rng) { return static_cast<DType>(pick(rng, 0, 3)); }
int64_t line_of(const std::vector<int64_t>& shape, int axis, int64_t i, int64_t& j) {
  // position i → j along axis; returns the position with j = 0
  int64_t inner = 1;
  for (size_t d = static_cast<size_t>(axis) + 1; d < shape.size(); d++) inner *= shape[d];
  j = i / inner % shape[static_cast<size_t>(axis)];
  return i - j * inner;
}
int64_t step_of(const std::vector<int64_t>& shape, int axis) {
  int64_t inner = 1;
  for (size_t d = static_cast<size_t>(axis) + 1; d < shape.size(); d++) inner *= shape[d];
  return inner;
}
Workspace& threads(int n) {
  static Workspace ws;
  ws.threads = n;
  return ws;
}

}  // namespace

TEST(copy_moves_every_element_once) {
  std::mt19937_64 rng(3);
  for (int trial = 0; trial < 1500; trial++) {
    const DType t = any_type(rng);
    CopyInstruction c;
    const auto shape = random_shape(rng, 5, trial % 40 == 0 ? 200000 : 3000);
    c.source = random_view(rng, 0, t, shape, true);
    c.target = random_view(rng, 1, t, shape, false);
    auto source = memory_for(c.source), target = memory_for(c.target);
    randomise(*source, t, rng);
    const std::vector<unsigned char> before(target->as<unsigned char>(), target->as<unsigned char>() + target->bytes());
    void* bindings[] = {source->data(), target->data()};
    run::copy(c, bindings, threads(static_cast<int>(pick(rng, 1, 3))));
    bool same = true;
    std::vector<bool> written(static_cast<size_t>(span_of(c.target)), false);
    for (int64_t i = 0; i < count_of(shape); i++) {
      const int64_t at = offset_at(c.target, i);
      written[static_cast<size_t>(at)] = true;
      same = same && get(target->data(), t, at) == get(source->data(), t, offset_at(c.source, i));
    }
    CHECK(same);
    const size_t size = static_cast<size_t>(bytes_per_element(t));
    for (size_t e = 0; e < written.size(); e++) {
      if (!written[e]) same = same && std::memcmp(target->as<unsigned char>() + e * size, before.data() + e * size, size) == 0;
    }
    CHECK(same);
  }
}

TEST(fill_writes_the_view_and_nothing_else) {
  std::mt19937_64 rng(4);
  for (int trial = 0; trial < 500; trial++) {
    const DType t = any_type(rng);
    const View v = random_view(rng, 0, t, random_shape(rng, 4, trial % 50 ? 2000 : 100000), false);
    auto memory = memory_for(v);
    randomise(*memory, t, rng);
    std::vector<double> want;
    for (int64_t i = 0; i < span_of(v); i++) want.push_back(get(memory->data(), t, i));
    for (int64_t i = 0; i < count_of(v.shape); i++) want[static_cast<size_t>(offset_at(v, i))] = t == DType::Bool ? 1 : 7;
    void* bindings[] = {memory->data()};
    run::fill({v, 7}, bindings, threads(2));
    bool same = true;
    for (size_t i = 0; i < want.size(); i++) same = same && get(memory->data(), t, static_cast<int64_t>(i)) == want[i];
    CHECK(same);
  }
}

TEST(take_and_its_adjoint) {
  std::mt19937_64 rng(5);
  for (int trial = 0; trial < 400; trial++) {
    const DType t = static_cast<DType>(pick(rng, 0, 2));
    const int64_t outer = pick(rng, 1, 5), size = pick(rng, 1, 9), count = pick(rng, 0, 40), inner = pick(rng, 1, trial % 20 ? 20 : 900);
    const View x = random_view(rng, 0, t, {outer, size, inner}, false), index = random_view(rng, 1, DType::Int32, {count}, false);
    const View y = random_view(rng, 2, t, {outer, count, inner}, false);
    auto mx = memory_for(x), mi = memory_for(index), my = memory_for(y);
    randomise(*mx, t, rng);
    randomise(*my, t, rng);
    random_indices(index, *mi, size, rng);
    void* bindings[] = {mx->data(), mi->data(), my->data()};
    run::take({x, index, y}, bindings, threads(2));
    bool same = true;
    const auto position = [&](int64_t o, int64_t j, int64_t i, int64_t n) { return (o * n + j) * inner + i; };
    for (int64_t o = 0; o < outer; o++) for (int64_t j = 0; j < count; j++) for (int64_t i = 0; i < inner; i++) {
      const int64_t k = mi->as<int32_t>()[offset_at(index, j)];
      same = same && get(my->data(), t, offset_at(y, position(o, j, i, count))) == get(mx->data(), t, offset_at(x, position(o, k, i, size)));
    }
    CHECK(same);
    const bool accumulate = pick(rng, 0, 1);
    std::vector<double> want;
    for (int64_t p = 0; p < outer * size * inner; p++) want.push_back(accumulate ? get(mx->data(), t, offset_at(x, p)) : 0.0);
    for (int64_t o = 0; o < outer; o++) for (int64_t j = 0; j < count; j++) for (int64_t i = 0; i < inner; i++) {
      const int64_t k = mi->as<int32_t>()[offset_at(index, j)];
      want[static_cast<size_t>(position(o, k, i, size))] += get(my->data(), t, offset_at(y, position(o, j, i, count)));
    }
    run::take_transpose({x, index, y, accumulate}, bindings, threads(2));
    for (size_t p = 0; p < want.size(); p++) same = same && get(mx->data(), t, offset_at(x, static_cast<int64_t>(p))) == want[p];  // integers: exact
    CHECK(same);
    if (count == 0) continue;
    mi->as<int32_t>()[offset_at(index, count / 2)] = pick(rng, 0, 1) ? -1 : static_cast<int32_t>(size);
    CHECK_THROWS(run::take({x, index, y}, bindings, threads(2)), ErrorCode::INVALID_INPUT);
    CHECK_THROWS(run::take_transpose({x, index, y, false}, bindings, threads(2)), ErrorCode::INVALID_INPUT);
  }
}

TEST(gather_elements_and_its_adjoint) {
  std::mt19937_64 rng(6);
  for (int trial = 0; trial < 400; trial++) {
    auto shape = random_shape(rng, 4, trial % 40 ? 1500 : 60000);
    if (shape.empty()) shape = {4};
    const int axis = static_cast<int>(pick(rng, 0, static_cast<int64_t>(shape.size()) - 1));
    auto source_shape = shape;
    source_shape[static_cast<size_t>(axis)] = pick(rng, 1, 12);
    const int64_t size = source_shape[static_cast<size_t>(axis)];
    const View x = random_view(rng, 0, DType::Float32, source_shape, false), index = random_view(rng, 1, DType::Int32, shape, true);
    const View y = random_view(rng, 2, DType::Float32, shape, false);
    auto mx = memory_for(x), mi = memory_for(index), my = memory_for(y);
    randomise(*mx, DType::Float32, rng);
    randomise(*my, DType::Float32, rng);
    random_indices(index, *mi, size, rng);
    void* bindings[] = {mx->data(), mi->data(), my->data()};
    // position in y with its axis coordinate replaced, as a position in x
    const auto source_of = [&](int64_t i) {
      int64_t at = x.offset;
      for (size_t d = shape.size(); d-- > 0;) {
        at += (static_cast<int>(d) == axis ? 0 : i % shape[d]) * x.strides[d];
        i /= shape[d];
      }
      return at;
    };
    std::vector<double> want(static_cast<size_t>(span_of(x)), 0.0);
    bool same = true;
    run::gather_elements({x, index, y, axis}, bindings, threads(2));
    for (int64_t i = 0; i < count_of(shape); i++) {
      const int64_t at = source_of(i) + mi->as<int32_t>()[offset_at(index, i)] * x.strides[static_cast<size_t>(axis)];
      same = same && my->as<float>()[offset_at(y, i)] == mx->as<float>()[at];
    }
    CHECK(same);
    randomise(*my, DType::Float32, rng);
    for (int64_t i = 0; i < count_of(shape); i++) {
      const int64_t at = source_of(i) + mi->as<int32_t>()[offset_at(index, i)] * x.strides[static_cast<size_t>(axis)];
      want[static_cast<size_t>(at)] += my->as<float>()[offset_at(y, i)];
    }
    run::scatter_elements({x, index, y, axis, false}, bindings, threads(2));
    for (int64_t p = 0; p < count_of(source_shape); p++) {
      const int64_t at = offset_at(x, p);
      same = same && mx->as<float>()[at] == static_cast<float>(want[static_cast<size_t>(at)]);
    }
    CHECK(same);
    mi->as<int32_t>()[offset_at(index, count_of(shape) / 2)] = static_cast<int32_t>(size);
    CHECK_THROWS(run::gather_elements({x, index, y, axis}, bindings, threads(2)), ErrorCode::INVALID_INPUT);
    CHECK_THROWS(run::scatter_elements({x, index, y, axis, false}, bindings, threads(2)), ErrorCode::INVALID_INPUT);
  }
}

TEST(scans_along_any_axis) {
  std::mt19937_64 rng(8);
  for (int trial = 0; trial < 400; trial++) {
    const DType t = static_cast<DType>(pick(rng, 0, 2));
    auto shape = random_shape(rng, 4, trial % 40 ? 1500 : 40000);
    if (shape.empty()) shape = {5};
    const int axis = static_cast<int>(pick(rng, 0, static_cast<int64_t>(shape.size()) - 1));
    const size_t a = static_cast<size_t>(axis);
    const int64_t length = shape[a], step = step_of(shape, axis);
    const View x = random_view(rng, 0, t, shape, true), y = random_view(rng, 1, t, shape, false), order = random_view(rng, 2, DType::Int32, shape, false);
    auto kept = shape;
    kept[a] = 1;
    const View best = random_view(rng, 3, DType::Int32, kept, false);
    auto mx = memory_for(x), my = memory_for(y), mo = memory_for(order), mb = memory_for(best);
    randomise(*mx, t, rng);
    if (t != DType::Int32 && pick(rng, 0, 1)) set(mx->data(), t, offset_at(x, pick(rng, 0, count_of(shape) - 1)), NAN);
    void* bindings[] = {mx->data(), my->data(), mo->data(), mb->data()};
    const bool flip = pick(rng, 0, 1), reverse = pick(rng, 0, 1), exclusive = pick(rng, 0, 1);
    run::arg_reduce({x, best, axis, flip}, bindings, threads(2));
    run::cumsum({x, y, axis, exclusive, reverse}, bindings, threads(2));
    run::argsort({x, order, axis, flip}, bindings, threads(2));
    const auto value = [&](int64_t i) { return get(mx->data(), t, offset_at(x, i)); };
    const auto above = [&](double p, double q) { return p > q || (std::isnan(p) && !std::isnan(q)); };
    bool same = true;
    int64_t line = 0;
    for (int64_t i = 0; i < count_of(shape); i++) {
      int64_t j;
      const int64_t start = line_of(shape, axis, i, j);
      double sum = 0;
      for (int64_t k = 0; k < length; k++) {
        if (reverse ? (exclusive ? k > j : k >= j) : (exclusive ? k < j : k <= j)) sum += value(start + k * step);
      }
      same = same && near(get(my->data(), t, offset_at(y, i)), sum, 0);
      if (j > 0) {
        const int32_t before = mo->as<int32_t>()[offset_at(order, i - step)], now = mo->as<int32_t>()[offset_at(order, i)];
        const double p = value(start + before * step), q = value(start + now * step);
        const bool wrong = flip ? above(q, p) : above(p, q);
        const bool equal = p == q || (std::isnan(p) && std::isnan(q));
        same = same && !wrong && (!equal || before < now);
      } else {
        int64_t want = 0;
        for (int64_t k = 1; k < length; k++) {
          const double p = value(start + want * step), q = value(start + k * step);
          if (std::isnan(p)) break;
          if (std::isnan(q) || (flip ? q > p : q < p)) want = k;
        }
        // the position of this line in `best`: drop the axis
        const int64_t inner = start % step, outer = start / (step * length);
        line = outer * step + inner;
        same = same && mb->as<int32_t>()[offset_at(best, line)] == want;
      }
    }
    CHECK(same);
  }
}
