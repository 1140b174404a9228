// Windows row by row: for every tap, one pass over a piece of the innermost axis, where loads are consecutive
// (stride 1) or evenly spaced.
#include "kernels/window/planes.h"

namespace hessia::HESSIA_ISA_NS {
namespace {

using cpu::WindowShape;

constexpr int64_t kPiece = 256;

// Positions [first, last) of a piece that lie inside for one tap, and where position 0 of the piece reads.
struct Run { int64_t first, last, base; };
inline __attribute__((always_inline)) Run inner_run(const WindowShape& s, int64_t q, int64_t p0, int64_t count) {
  const int64_t step = s.stride[2], base = p0 * step + q * s.dilation[2] - s.pad[2], room = s.space[2] - base;
  int64_t first = base >= 0 ? 0 : (-base + step - 1) / step;
  int64_t last = room <= 0 ? 0 : (room + step - 1) / step;
  if (last > count) last = count;
  if (first > last) first = last;
  return {first, last, base};
}

// Calls body(p, count, at, run) for every piece of every row and every tap inside: `p` the flat first position
// of the piece, `at` the flat index in space that position 0 of the piece reads; begin(p, count) and
// end(p, count) around the taps of a piece.
template <class Begin, class Body, class End>
inline __attribute__((always_inline)) void pieces(const WindowShape& s, Begin begin, Body body, End end) {
  for (int64_t i = 0; i < s.positions[0]; ++i)
    for (int64_t j = 0; j < s.positions[1]; ++j)
      for (int64_t l = 0; l < s.positions[2]; l += kPiece) {
        const int64_t p = (i * s.positions[1] + j) * s.positions[2] + l;
        const int64_t count = s.positions[2] - l < kPiece ? s.positions[2] - l : kPiece;
        begin(p, count);
        for (int64_t q0 = 0; q0 < s.window[0]; ++q0) {
          const int64_t s0 = i * s.stride[0] + q0 * s.dilation[0] - s.pad[0];
          if (s0 < 0 || s0 >= s.space[0]) continue;
          for (int64_t q1 = 0; q1 < s.window[1]; ++q1) {
            const int64_t s1 = j * s.stride[1] + q1 * s.dilation[1] - s.pad[1];
            if (s1 < 0 || s1 >= s.space[1]) continue;
            for (int64_t q2 = 0; q2 < s.window[2]; ++q2) {
              const Run run = inner_run(s, q2, l, count);
              if (run.first < run.last) body(p, (s0 * s.space[1] + s1) * s.space[2] + run.base, run);
            }
          }
        }
        end(p, count);
      }
}

template <class T>
void sum(const WindowShape& s, const T* __restrict__ x, T* __restrict__ y) {
  const int64_t step = s.stride[2];
  pieces(
      s,
      [&](int64_t p, int64_t count) {
        for (int64_t t = 0; t < count; ++t) y[p + t] = T(0);
      },
      [&](int64_t p, int64_t at, Run r) {
        if (step == 1) {
          for (int64_t t = r.first; t < r.last; ++t) y[p + t] += x[at + t];
        } else if (step == 2) {
          for (int64_t t = r.first; t < r.last; ++t) y[p + t] += x[at + 2 * t];
        } else {
          for (int64_t t = r.first; t < r.last; ++t) y[p + t] += x[at + step * t];
        }
      },
      [](int64_t, int64_t) {});
}

template <class T>
void sum_transpose(const WindowShape& s, T* __restrict__ x, const T* __restrict__ y) {
  const int64_t step = s.stride[2], size = s.space[0] * s.space[1] * s.space[2];
  for (int64_t e = 0; e < size; ++e) x[e] = T(0);
  pieces(
      s, [](int64_t, int64_t) {},
      [&](int64_t p, int64_t at, Run r) {
        if (step == 1) {
          for (int64_t t = r.first; t < r.last; ++t) x[at + t] += y[p + t];
        } else {
          for (int64_t t = r.first; t < r.last; ++t) x[at + step * t] += y[p + t];
        }
      },
      [](int64_t, int64_t) {});
}

template <class T>
void argmax(const WindowShape& s, const T* __restrict__ x, int32_t* __restrict__ y) {
  T best[kPiece];
  int32_t index[kPiece];
  const int64_t step = s.stride[2];
  pieces(
      s,
      [&](int64_t, int64_t count) {
        for (int64_t t = 0; t < count; ++t) {
          best[t] = T(0);
          index[t] = -1;
        }
      },
      [&](int64_t, int64_t at, Run r) {
        for (int64_t t = r.first; t < r.last; ++t) {
          const T value = x[at + step * t], old = best[t];
          const bool better = (index[t] < 0) | (value > old) | ((value != value) & (old == old));
          best[t] = better ? value : old;
          index[t] = better ? static_cast<int32_t>(at + step * t) : index[t];
        }
      },
      [&](int64_t p, int64_t count) {
        for (int64_t t = 0; t < count; ++t) y[p + t] = index[t] < 0 ? 0 : index[t];
      });
}

template <class T>
constexpr cpu::WindowKernels<T> kernels() { return {sum<T>, sum_transpose<T>, argmax<T>}; }

}  // namespace

extern const cpu::WindowTable window_table;
const cpu::WindowTable window_table = {kernels<float>(), kernels<double>()};

}  // namespace hessia::HESSIA_ISA_NS
