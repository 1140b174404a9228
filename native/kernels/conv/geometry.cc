#include "kernels/conv/geometry.h"

namespace hessia::cpu {
namespace {

int64_t modulo(int64_t a, int64_t b) { return (a % b + b) % b; }

// Axis d of three for spatial axis d - lead of the instruction; -1 for those that do not exist.
int source_axis(const ConvInstruction& i, int d) { return d - (kSpace - static_cast<int>(i.strides.size())); }

int64_t product(const int64_t (&sizes)[kSpace]) { return sizes[0] * sizes[1] * sizes[2]; }

}  // namespace

int64_t Correlation::taps() const {
  return static_cast<int64_t>(axis[0].offset.size() * axis[1].offset.size() * axis[2].offset.size());
}
int64_t Correlation::positions() const { return axis[0].out * axis[1].out * axis[2].out; }
bool Correlation::untouched() const {
  bool same = taps() == 1;
  for (const Taps& t : axis)
    same = same && t.step == 1 && t.in == t.out && t.offset[0] == 0 && t.start == 0 && t.spacing == 1;
  return same;
}

ConvShape conv_shape(const ConvInstruction& i) {
  ConvShape s{};
  const View& target = i.mode == ConvMode::Forward ? i.y : i.mode == ConvMode::Input ? i.x : i.w;
  s.k = target.shape[0];
  s.n = i.x.shape[1];
  s.groups = i.groups;
  s.in = i.w.shape[2];
  s.out = i.w.shape[1] / i.groups;
  for (int d = 0; d < kSpace; ++d) {
    const int from = source_axis(i, d);
    s.space[d] = from < 0 ? 1 : i.x.shape[static_cast<size_t>(from + 3)];
    s.window[d] = from < 0 ? 1 : i.w.shape[static_cast<size_t>(from + 3)];
    s.positions[d] = from < 0 ? 1 : i.y.shape[static_cast<size_t>(from + 3)];
  }
  s.space_size = product(s.space);
  s.window_size = product(s.window);
  s.positions_size = product(s.positions);
  const auto k_stride = [](const View& v) { return v.shape[0] > 1 ? v.strides[0] : 0; };
  s.k_x = k_stride(i.x);
  s.k_w = k_stride(i.w);
  s.k_y = k_stride(i.y);
  return s;
}

Correlation forward_correlation(const ConvInstruction& i) {
  const ConvShape s = conv_shape(i);
  Correlation c;
  for (int d = 0; d < kSpace; ++d) {
    const int from = source_axis(i, d);
    if (from < 0) continue;
    const size_t at = static_cast<size_t>(from);
    Taps& t = c.axis[d];
    t = {s.space[d], s.positions[d], i.strides[at], {}, {}, 0, 1};
    for (int64_t q = 0; q < s.window[d]; ++q) {
      t.offset.push_back(q * i.dilations[at] - i.pad_low[at]);
      t.index.push_back(q);
    }
  }
  return c;
}

std::vector<Correlation> input_correlations(const ConvInstruction& i) {
  const ConvShape s = conv_shape(i);
  std::vector<Correlation> all{Correlation{}};
  for (int d = 0; d < kSpace; ++d) {
    const int from = source_axis(i, d);
    if (from < 0) continue;
    const size_t at = static_cast<size_t>(from);
    const int64_t stride = i.strides[at], dilation = i.dilations[at], pad = i.pad_low[at];
    std::vector<Correlation> next;
    for (int64_t start = 0; start < stride && start < s.space[d]; ++start) {
      Taps t{s.positions[d], (s.space[d] - start + stride - 1) / stride, 1, {}, {}, start, stride};
      for (int64_t q = 0; q < s.window[d]; ++q) {
        if (modulo(start + pad - q * dilation, stride) != 0) continue;
        t.offset.push_back((start + pad - q * dilation) / stride);
        t.index.push_back(q);
      }
      for (const Correlation& c : all) {
        next.push_back(c);
        next.back().axis[d] = t;
      }
    }
    all = next;
  }
  return all;
}

std::vector<int64_t> tap_indices(const Correlation& c, const int64_t (&window)[kSpace]) {
  std::vector<int64_t> indices;
  for (int64_t q0 : c.axis[0].index)
    for (int64_t q1 : c.axis[1].index)
      for (int64_t q2 : c.axis[2].index) indices.push_back((q0 * window[1] + q1) * window[2] + q2);
  return indices;
}

std::vector<int64_t> position_offsets(const Correlation& c, const int64_t (&extent)[kSpace]) {
  std::vector<int64_t> offsets;
  offsets.reserve(static_cast<size_t>(c.positions()));
  const auto place = [](const Taps& t, int64_t i) { return t.start + i * t.spacing; };
  for (int64_t i = 0; i < c.axis[0].out; ++i)
    for (int64_t j = 0; j < c.axis[1].out; ++j)
      for (int64_t l = 0; l < c.axis[2].out; ++l)
        offsets.push_back((place(c.axis[0], i) * extent[1] + place(c.axis[1], j)) * extent[2] + place(c.axis[2], l));
  return offsets;
}

}  // namespace hessia::cpu
