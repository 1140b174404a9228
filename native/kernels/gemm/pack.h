// Packing: panel[k · width + j] = source[lanes.at(j0 + j) + depth.at(k0 + k)], for j < used; zero for
// used ≤ j < width. Contiguous runs along j are copied, runs along k transposed in registers, anything else
// is gathered element by element.
#pragma once
#include "kernels/gemm/gemm.h"
#include "kernels/gemm/vector.h"

namespace hessia::HESSIA_ISA_NS {

// Whether indices [i0, i0 + n) lie at consecutive offsets.
HESSIA_INLINE bool consecutive(const cpu::Axis& axis, int64_t i0, int64_t n) {
  if (!axis.table) return axis.stride == 1 || n <= 1;
  const int64_t* t = axis.table + i0;
  int64_t gaps = 0;
  for (int64_t i = 1; i < n; ++i) gaps |= t[i] - t[0] - i;
  return gaps == 0;
}

// Columns [j, j + R) of the panel from sources that run along k.
template <class T, int R>
static void pack_transposed(const T* const* row, int64_t k_count, T* panel, int64_t width) {
  constexpr int L = kLanes<T>;
  int64_t k = 0;
  for (; k + L <= k_count; k += L) {
    Vector<T> v[R];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) v[r] = load(row[r] + k);
    transpose<T, R>(v);
    T* out = panel + k * width;
    if constexpr (R >= L) {  // several vectors per k
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) store(out + (r / (R / L)) * width + (r % (R / L)) * L, v[r]);
    } else {  // several k per vector: only where the panel is exactly R wide
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) store(out + r * L, v[r]);
    }
  }
  for (; k < k_count; ++k)
    for (int r = 0; r < R; ++r) panel[k * width + r] = row[r][k];
}

template <class T>
static void pack_gathered(const T* source, const cpu::Axis& lanes, int64_t j0, int64_t used, const cpu::Axis& depth,
                          int64_t k0, int64_t k_count, T* panel, int64_t width) {
  for (int64_t j = 0; j < used; ++j) {
    const T* from = source + lanes.at(j0 + j);
    T* out = panel + j;
    if (depth.table) {
      const int64_t* offsets = depth.table + k0;
      for (int64_t k = 0; k < k_count; ++k) out[k * width] = from[offsets[k]];
    } else {
      from += k0 * depth.stride;
      for (int64_t k = 0; k < k_count; ++k) out[k * width] = from[k * depth.stride];
    }
  }
}

template <class T>
static void pack_copied(const T* source, int64_t used, const cpu::Axis& depth, int64_t k0, int64_t k_count, T* panel,
                        int64_t width) {
  constexpr int L = kLanes<T>;
  for (int64_t k = 0; k < k_count; ++k) {
    const T* from = source + depth.at(k0 + k);
    T* out = panel + k * width;
    int64_t j = 0;
    for (; j + L <= used; j += L) store(out + j, load(from + j));
    for (; j < used; ++j) out[j] = from[j];
  }
}

// Several panels of `Width` neighbouring lanes at once, so that whole cache lines are read. More of them would share
// sets of the first-level cache.
constexpr int kPanelsAtOnce = 4;
template <class T, int Width>
static void pack_panels(const T* source, const cpu::Axis& depth, int64_t k0, int64_t k_count, T* panels) {
  for (int64_t k = 0; k < k_count; ++k) {
    const T* from = source + depth.at(k0 + k);
#pragma GCC unroll 4
    for (int p = 0; p < kPanelsAtOnce; ++p)
      __builtin_memcpy(panels + (p * k_count + k) * Width, from + p * Width, Width * sizeof(T));
  }
}

// One group of at most `Group` columns.
template <class T, int Group>
static void pack_group(const T* source, const cpu::Axis& lanes, int64_t j0, int64_t used, const cpu::Axis& depth,
                       int64_t k0, int64_t k_count, T* panel, int64_t width) {
  const bool transposable = used == Group && (Group >= kLanes<T> || width == Group);
  if (used > 1 && consecutive(lanes, j0, used)) {
    pack_copied(source + lanes.at(j0), used, depth, k0, k_count, panel, width);
  } else if (transposable && consecutive(depth, k0, k_count)) {
    const T* row[Group];
    for (int r = 0; r < Group; ++r) row[r] = source + lanes.at(j0 + r) + depth.at(k0);
    pack_transposed<T, Group>(row, k_count, panel, width);
  } else {
    pack_gathered(source, lanes, j0, used, depth, k0, k_count, panel, width);
  }
}

template <class T, int Group>
static void pack_panel(const T* source, const cpu::Axis& lanes, int64_t j0, int64_t used, const cpu::Axis& depth,
                       int64_t k0, int64_t k_count, T* panel, int64_t width) {
  if (used > Group && consecutive(lanes, j0, used)) {
    pack_copied(source + lanes.at(j0), used, depth, k0, k_count, panel, width);
  } else {
    for (int64_t j = 0; j < used; j += Group)
      pack_group<T, Group>(source, lanes, j0 + j, smaller(Group, used - j), depth, k0, k_count, panel + j, width);
  }
  if (used < width)
    for (int64_t k = 0; k < k_count; ++k)
      for (int64_t j = used; j < width; ++j) panel[k * width + j] = T(0);
}

}  // namespace hessia::HESSIA_ISA_NS
