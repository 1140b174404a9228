// What a correlation reads, laid out so that every tap is a row whose positions are consecutive: the second
// operand of a matrix product that needs no further packing and no bounds checks.
//
//   element (channel c, tap j, position t) = buffer[row(c, j) + t]
//
// The outermost spatial axis, if its step is 1, is not unfolded: taps along it are the same rows moved by whole
// lines, so a 3×3 window costs three copies of the input, not nine. Larger steps, and several images laid
// side by side, unfold every axis. A buffer holds a chunk (some lines of one image, or some images) and stays
// in the second-level cache.
#pragma once
#include <cstdint>
#include <vector>

#include "base/isa.h"
#include "kernels/conv/geometry.h"

namespace hessia::cpu {

// to[c][t0][t1][t2] = from[c][t · step + base], zero outside: one tap of `channels` channels.
template <class T>
struct PatchCopy {
  const T* from;
  T* to;
  int64_t channels, from_stride, to_stride;
  int64_t in[kSpace], count[kSpace], step[kSpace], base[kSpace];
};
struct PatchTable {
  void (*f32)(const PatchCopy<float>&);
  void (*f64)(const PatchCopy<double>&);
};

struct Chunk { int64_t image, images, first, last; };  // lines [first, last) of the cut axis

class Patches {
 public:
  // For chunks of up to about `bytes` bytes per thread; at least `least_chunks` chunks if lines allow.
  Patches(const Correlation& correlation, int64_t channels, int64_t images, int64_t bytes_per_element, int64_t lanes,
          int64_t bytes, int64_t least_chunks);

  int64_t chunks() const { return image_chunks_ * line_chunks_; }
  Chunk chunk(int64_t i) const;
  int64_t positions(const Chunk& c) const { return c.images * (c.last - c.first) * line_; }
  int64_t first_position(const Chunk& c) const { return c.first * line_; }
  int64_t most_positions() const { return chunk_images_ * chunk_lines_ * line_; }

  // True if the input can be read where it is; there is no buffer then.
  bool in_place() const { return in_place_; }
  int64_t buffer_elements() const { return in_place_ ? 0 : channels_ * channel_stride_; }
  // Rows in the order (channel, tap), for `channels` channels from the first; in place: the input itself.
  const std::vector<int64_t>& rows() const { return rows_; }

  // Channels [0, channels) of image `image` of the chunk (counted from its first).
  template <class T>
  void fill(const Chunk& chunk, int64_t image, const T* from, int64_t channels, T* buffer) const;

 private:
  int64_t coordinate_count(int d, const Chunk& chunk) const;

  Correlation correlation_;
  int64_t channels_, images_;
  bool in_place_;
  int cut_, shared_;         // axis cut into lines; axis not unfolded, or -1
  int64_t line_;             // positions per line of the cut axis
  int64_t lowest_, reach_;   // along the shared axis: least offset, largest minus least
  int64_t chunk_images_, chunk_lines_, image_chunks_, line_chunks_;
  int64_t pitch_, channel_stride_;
  std::vector<int64_t> rows_;
};

}  // namespace hessia::cpu

namespace hessia {
HESSIA_DECLARE_ISA(cpu::PatchTable, patch_table)
}
