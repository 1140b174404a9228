// Copying one tap of an image: moved, strided, zero outside.
#include <type_traits>
#include <utility>

#include "kernels/conv/patches.h"
#include "kernels/gemm/vector.h"

namespace hessia::HESSIA_ISA_NS {
namespace {

using cpu::PatchCopy;

template <class T>
HESSIA_INLINE void copy_run(T* __restrict__ to, const T* __restrict__ from, int64_t n) {
  constexpr int L = kLanes<T>;
  int64_t i = 0;
  for (; i + L <= n; i += L) store(to + i, load(from + i));
  if (i == n) return;
  if (n >= L) {
    store(to + n - L, load(from + n - L));
  } else {
    for (; i < n; ++i) to[i] = from[i];
  }
}
template <class T>
HESSIA_INLINE void zero_run(T* to, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = T(0);
}

// Vectors of N lanes: a register, or half of one for short rows.
template <class T, int N>
struct Lanes {
  typedef T type __attribute__((vector_size(N * sizeof(T))));
  typedef T loose __attribute__((vector_size(N * sizeof(T)), aligned(sizeof(T)), may_alias));
  using Int = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;
  typedef Int index __attribute__((vector_size(N * sizeof(T))));
};

// line[2 t] for t of [0, N), read as two overlapping vectors: nothing behind the last element is touched.
template <class T, int N, int... I>
HESSIA_INLINE typename Lanes<T, N>::type every_second(const T* line, std::integer_sequence<int, I...>) {
  using Loose = typename Lanes<T, N>::loose;
  const typename Lanes<T, N>::type low = *reinterpret_cast<const Loose*>(line);
  const typename Lanes<T, N>::type high = *reinterpret_cast<const Loose*>(line + N - 1);
  return __builtin_shufflevector(low, high, (I < N / 2 ? 2 * I : 2 * I + 1)...);
}
template <class T, int N, int... I>
HESSIA_INLINE typename Lanes<T, N>::index counting(std::integer_sequence<int, I...>) { return typename Lanes<T, N>::index{I...}; }

// One row of `width` ≥ N positions of step 2; zero outside [first, last). False if it would read outside
// [begin, end).
template <class T, int N>
HESSIA_INLINE bool second_elements(T* to, const T* line, int64_t width, int64_t first, int64_t last, const T* begin,
                                   const T* end) {
  using Index = typename Lanes<T, N>::index;
  if (line < begin || line + 2 * (width - 1) >= end) return false;
  constexpr auto all = std::make_integer_sequence<int, N>();
  const Index lane = counting<T, N>(all);
  for (int64_t t = 0; t < width; t += N) {
    if (t + N > width) t = width - N;
    const auto from = static_cast<typename Lanes<T, N>::Int>(first - t), until = static_cast<typename Lanes<T, N>::Int>(last - t);
    const typename Lanes<T, N>::type value = every_second<T, N>(line + 2 * t, all), zero{};
    *reinterpret_cast<typename Lanes<T, N>::loose*>(to + t) = (lane >= from) & (lane < until) ? value : zero;
  }
  return true;
}

// Indices t of [0, count) with 0 ≤ t · step + base < in.
struct Inside { int64_t first, last; };
HESSIA_INLINE Inside inside(int64_t in, int64_t count, int64_t step, int64_t base) {
  int64_t first = base >= 0 ? 0 : (-base + step - 1) / step;
  int64_t last = in - base <= 0 ? 0 : (in - base + step - 1) / step;
  if (last > count) last = count;
  if (first > last) first = last;
  return {first, last};
}

// Whole lines that stay lines: one long copy, moved by a few elements, and zeros where it wrapped around.
template <class T>
HESSIA_INLINE void moved_lines(T* to, const T* from, int64_t lines, int64_t width, int64_t move) {
  const int64_t left = move < 0 ? -move : 0, right = move > 0 ? move : 0;
  copy_run(to + left, from + right, lines * width - left - right);
  if (left == 1) {
    for (int64_t r = 0; r < lines; ++r) to[r * width] = T(0);
  } else if (right == 1) {
    for (int64_t r = 1; r <= lines; ++r) to[r * width - 1] = T(0);
  } else {
    for (int64_t r = 0; r < lines; ++r) {
      zero_run(to + r * width, left);
      zero_run(to + (r + 1) * width - right, right);
    }
  }
}

template <class T>
HESSIA_INLINE void plane(const PatchCopy<T>& c, const T* from, T* to, Inside rows, Inside columns) {
  const int64_t width = c.count[2], lines = rows.last - rows.first;
  zero_run(to, rows.first * width);
  zero_run(to + rows.last * width, (c.count[1] - rows.last) * width);
  T* out = to + rows.first * width;
  const T* in = from + (rows.first * c.step[1] + c.base[1]) * c.in[2];
  const int64_t move = c.base[2];
  if (lines > 0 && c.step[1] == 1 && c.step[2] == 1 && c.in[2] == width && move < width && -move < width) {
    return moved_lines(out, in, lines, width, move);
  }
  constexpr int L = kLanes<T>;
  const T* end = from + c.in[1] * c.in[2];
  for (int64_t r = 0; r < lines; ++r, out += width, in += c.step[1] * c.in[2]) {
    const T* line = in + move;
    if (c.step[2] == 2 && width >= L / 2) {
      if (width >= L ? second_elements<T, L>(out, line, width, columns.first, columns.last, from, end)
                     : second_elements<T, L / 2>(out, line, width, columns.first, columns.last, from, end)) {
        continue;
      }
    }
    zero_run(out, columns.first);
    if (c.step[2] == 1) {
      copy_run(out + columns.first, line + columns.first, columns.last - columns.first);
    } else {
      for (int64_t t = columns.first; t < columns.last; ++t) out[t] = line[t * c.step[2]];
    }
    zero_run(out + columns.last, width - columns.last);
  }
}

template <class T>
void copy(const PatchCopy<T>& c) {
  const Inside rows = inside(c.in[1], c.count[1], c.step[1], c.base[1]);
  const Inside columns = inside(c.in[2], c.count[2], c.step[2], c.base[2]);
  const int64_t plane_in = c.in[1] * c.in[2], plane_out = c.count[1] * c.count[2];
  for (int64_t channel = 0; channel < c.channels; ++channel) {
    const T* from = c.from + channel * c.from_stride;
    T* to = c.to + channel * c.to_stride;
    for (int64_t t = 0; t < c.count[0]; ++t, to += plane_out) {
      const int64_t s = t * c.step[0] + c.base[0];
      if (s < 0 || s >= c.in[0]) zero_run(to, plane_out);
      else plane(c, from + s * plane_in, to, rows, columns);
    }
  }
}

}  // namespace

extern const cpu::PatchTable patch_table;
const cpu::PatchTable patch_table = {copy<float>, copy<double>};

}  // namespace hessia::HESSIA_ISA_NS
