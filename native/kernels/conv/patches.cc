#include "kernels/conv/patches.h"

#include <algorithm>

namespace hessia::cpu {
namespace {

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

void copy(const PatchCopy<float>& c) { HESSIA_PICK_ISA(patch_table).f32(c); }
void copy(const PatchCopy<double>& c) { HESSIA_PICK_ISA(patch_table).f64(c); }

}  // namespace

Patches::Patches(const Correlation& correlation, int64_t channels, int64_t images, int64_t bytes_per_element,
                 int64_t lanes, int64_t bytes, int64_t least_chunks)
    : correlation_(correlation), channels_(channels), images_(images), in_place_(correlation.untouched()) {
  const Taps(&axis)[kSpace] = correlation_.axis;
  cut_ = kSpace - 1;
  for (int d = kSpace - 1; d >= 0; --d)
    if (axis[d].out > 1 || axis[d].in > 1 || axis[d].offset.size() > 1) cut_ = d;
  const int64_t lines = axis[cut_].out, positions = correlation_.positions();
  line_ = lines > 0 ? positions / lines : 0;

  // Short rows waste vector lanes: several small images side by side.
  const bool small = positions < 3 * lanes && images > 1;
  shared_ = axis[cut_].step == 1 && !small ? cut_ : -1;
  lowest_ = *std::min_element(axis[cut_].offset.begin(), axis[cut_].offset.end());
  reach_ = *std::max_element(axis[cut_].offset.begin(), axis[cut_].offset.end()) - lowest_;
  int64_t copies = 1;
  for (int d = 0; d < kSpace; ++d)
    if (d != shared_) copies *= static_cast<int64_t>(axis[d].offset.size());

  const int64_t fitting = std::max<int64_t>(1, bytes / (bytes_per_element * std::max<int64_t>(1, channels * copies)));
  chunk_images_ = 1;
  chunk_lines_ = std::max<int64_t>(1, std::min(lines, in_place_ ? lines : fitting / std::max<int64_t>(1, line_)));
  if (small) {
    chunk_lines_ = lines;
    chunk_images_ = std::clamp<int64_t>(std::min(fitting, 12 * lanes) / std::max<int64_t>(1, positions), 1,
                                        ceil_div(images, least_chunks));
  } else if (images < least_chunks) {
    chunk_lines_ = std::min(chunk_lines_, ceil_div(lines, ceil_div(least_chunks, images)));
  }
  chunk_lines_ = std::max<int64_t>(1, chunk_lines_);
  line_chunks_ = ceil_div(lines, chunk_lines_);
  image_chunks_ = ceil_div(images, chunk_images_);

  if (in_place_) {
    pitch_ = axis[0].in * axis[1].in * axis[2].in;
  } else {
    // An odd number of cache lines: rows of a tile must not all fall into the same set.
    const int64_t unit = 64 / bytes_per_element;
    const int64_t kept = shared_ >= 0 ? (chunk_lines_ + reach_) * line_ : most_positions();
    pitch_ = (ceil_div(kept, unit) | 1) * unit;
  }
  channel_stride_ = copies * pitch_;

  std::vector<int64_t> taps;  // offset of each tap's row within its channel
  for (size_t j0 = 0; j0 < axis[0].offset.size(); ++j0)
    for (size_t j1 = 0; j1 < axis[1].offset.size(); ++j1)
      for (size_t j2 = 0; j2 < axis[2].offset.size(); ++j2) {
        const size_t j[kSpace] = {j0, j1, j2};
        int64_t copy_number = 0, moved = 0;
        for (int d = 0; d < kSpace; ++d) {
          if (d == shared_) moved = (axis[d].offset[j[d]] - lowest_) * line_;
          else copy_number = copy_number * static_cast<int64_t>(axis[d].offset.size()) + static_cast<int64_t>(j[d]);
        }
        taps.push_back(copy_number * pitch_ + moved);
      }
  rows_.reserve(static_cast<size_t>(channels) * taps.size());
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t tap : taps) rows_.push_back(c * channel_stride_ + tap);
}

Chunk Patches::chunk(int64_t i) const {
  const int64_t image = i / line_chunks_ * chunk_images_, part = i % line_chunks_;
  const int64_t lines = correlation_.axis[cut_].out;
  return {image, std::min(chunk_images_, images_ - image), lines * part / line_chunks_, lines * (part + 1) / line_chunks_};
}

template <class T>
void Patches::fill(const Chunk& chunk, int64_t image, const T* from, int64_t channels, T* buffer) const {
  const Taps(&axis)[kSpace] = correlation_.axis;
  PatchCopy<T> c{};
  c.from = from;
  c.channels = channels;
  c.from_stride = axis[0].in * axis[1].in * axis[2].in;
  c.to_stride = channel_stride_;
  size_t tap_count[kSpace];
  for (int d = 0; d < kSpace; ++d) {
    c.in[d] = axis[d].in;
    c.count[d] = d == cut_ ? chunk.last - chunk.first : axis[d].out;
    if (d == shared_) c.count[d] += reach_;
    c.step[d] = axis[d].step;
    tap_count[d] = d == shared_ ? 1 : axis[d].offset.size();
  }
  T* to = buffer + image * (chunk.last - chunk.first) * line_;
  for (size_t j0 = 0; j0 < tap_count[0]; ++j0)
    for (size_t j1 = 0; j1 < tap_count[1]; ++j1)
      for (size_t j2 = 0; j2 < tap_count[2]; ++j2) {
        const size_t j[kSpace] = {j0, j1, j2};
        for (int d = 0; d < kSpace; ++d) {
          c.base[d] = d == shared_ ? lowest_ : axis[d].offset[j[d]];
          if (d == cut_) c.base[d] += chunk.first * axis[d].step;
        }
        c.to = to;
        copy(c);
        to += pitch_;
      }
}

template void Patches::fill<float>(const Chunk&, int64_t, const float*, int64_t, float*) const;
template void Patches::fill<double>(const Chunk&, int64_t, const double*, int64_t, double*) const;

}  // namespace hessia::cpu
