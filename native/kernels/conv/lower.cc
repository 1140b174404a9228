#include "kernels/conv/lower.h"

namespace hessia::cpu {
namespace {

// Where the leading axis k goes: into rows (of w, or of y for the weight gradient), into images, or into a
// loop around everything.
struct Spread { int64_t rows, images, loops; };
Spread spread(int64_t k, bool rows_vary, bool images_vary) {
  if (rows_vary && !images_vary) return {k, 1, 1};
  if (images_vary && !rows_vary) return {1, k, 1};
  return {1, 1, k};
}

// i · inner + j offsets, for i < outer_count steps of `outer`, j < inner_count steps of `inner`.
std::vector<int64_t> offsets(int64_t outer_count, int64_t outer, int64_t inner_count, int64_t inner) {
  std::vector<int64_t> all;
  for (int64_t i = 0; i < outer_count; ++i)
    for (int64_t j = 0; j < inner_count; ++j) all.push_back(i * outer + j * inner);
  return all;
}

template <class T> T* base(const View& v, Bindings bindings) { return static_cast<T*>(bindings[v.binding]) + v.offset; }

}  // namespace

template <class T>
Correlate<T> forward_problem(const ConvInstruction& i, Bindings bindings) {
  const ConvShape s = conv_shape(i);
  const Spread k = spread(s.k, s.k_w != 0, s.k_x != 0);
  const int64_t k_y = i.y.strides[0], filter = s.in * s.window_size;
  Correlate<T> p{};
  p.correlation = forward_correlation(i);
  p.channels = s.in;
  for (int d = 0; d < kSpace; ++d) p.extent[d] = s.positions[d];
  p.in = base<T>(i.x, bindings);
  p.w = base<T>(i.w, bindings);
  p.out = base<T>(i.y, bindings);
  p.accumulate = i.accumulate;
  for (int64_t loop = 0; loop < k.loops; ++loop)
    for (int64_t g = 0; g < s.groups; ++g)
      p.units.push_back({loop * s.k_x + g * s.in * s.space_size, loop * s.k_w + g * s.out * filter,
                         loop * k_y + g * s.out * s.positions_size});
  p.w_rows = offsets(k.rows, s.k_w, s.out, filter);
  p.w_cols = offsets(1, 0, filter, 1);
  p.out_rows = offsets(k.rows, k_y, s.out, s.positions_size);
  p.image_in = offsets(k.images, s.k_x, s.n, s.groups * s.in * s.space_size);
  p.image_out = offsets(k.images, k_y, s.n, s.groups * s.out * s.positions_size);
  return p;
}

template <class T>
std::vector<Correlate<T>> input_problems(const ConvInstruction& i, Bindings bindings, bool& gaps) {
  const ConvShape s = conv_shape(i);
  const Spread k = spread(s.k, s.k_w != 0, s.k_y != 0);
  const int64_t k_x = i.x.strides[0], filter = s.in * s.window_size;
  Correlate<T> p{};
  p.channels = s.out;
  for (int d = 0; d < kSpace; ++d) p.extent[d] = s.space[d];
  p.in = base<T>(i.y, bindings);
  p.w = base<T>(i.w, bindings);
  p.out = base<T>(i.x, bindings);
  p.accumulate = i.accumulate;
  for (int64_t loop = 0; loop < k.loops; ++loop)
    for (int64_t g = 0; g < s.groups; ++g)
      p.units.push_back({loop * s.k_y + g * s.out * s.positions_size, loop * s.k_w + g * s.out * filter,
                         loop * k_x + g * s.in * s.space_size});
  p.w_rows = offsets(k.rows, s.k_w, s.in, s.window_size);
  p.out_rows = offsets(k.rows, k_x, s.in, s.space_size);
  p.image_in = offsets(k.images, s.k_y, s.n, s.groups * s.out * s.positions_size);
  p.image_out = offsets(k.images, k_x, s.n, s.groups * s.in * s.space_size);
  std::vector<Correlate<T>> problems;
  gaps = false;
  for (const Correlation& correlation : input_correlations(i)) {
    if (correlation.taps() == 0) {
      gaps = true;
      continue;
    }
    p.correlation = correlation;
    p.w_cols.clear();
    const std::vector<int64_t> taps = tap_indices(correlation, s.window);
    if (s.positions_size > 0)  // else there is nothing to read
      for (int64_t o = 0; o < s.out; ++o)
        for (int64_t tap : taps) p.w_cols.push_back(o * filter + tap);
    problems.push_back(p);
  }
  return problems;
}

template <class T>
WeightGradient<T> weight_problem(const ConvInstruction& i, Bindings bindings) {
  const ConvShape s = conv_shape(i);
  const Spread k = spread(s.k, s.k_y != 0, false);
  const bool loops = s.k_x != 0;
  const int64_t rows = loops ? 1 : k.rows, k_w = i.w.strides[0], filter = s.in * s.window_size;
  WeightGradient<T> p{};
  p.correlation = forward_correlation(i);
  p.channels = s.in;
  p.x = base<T>(i.x, bindings);
  p.y = base<T>(i.y, bindings);
  p.out = base<T>(i.w, bindings);
  p.accumulate = i.accumulate;
  for (int64_t loop = 0; loop < s.k / rows; ++loop)
    for (int64_t g = 0; g < s.groups; ++g)
      p.units.push_back({loop * s.k_x + g * s.in * s.space_size, loop * s.k_y + g * s.out * s.positions_size,
                         loop * k_w + g * s.out * filter});
  p.y_rows = offsets(rows, s.k_y, s.out, s.positions_size);
  p.out_rows = offsets(rows, k_w, s.out, filter);
  p.image_x = offsets(1, 0, s.n, s.groups * s.in * s.space_size);
  p.image_y = offsets(1, 0, s.n, s.groups * s.out * s.positions_size);
  return p;
}

#define HESSIA_LOWER(T)                                                                                      \
  template Correlate<T> forward_problem<T>(const ConvInstruction&, Bindings);                               \
  template std::vector<Correlate<T>> input_problems<T>(const ConvInstruction&, Bindings, bool&);            \
  template WeightGradient<T> weight_problem<T>(const ConvInstruction&, Bindings);
HESSIA_LOWER(float)
HESSIA_LOWER(double)

}  // namespace hessia::cpu
