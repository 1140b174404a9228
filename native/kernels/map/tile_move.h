// Between views and tiles: converting, strided, in runs along the innermost merged axis of the view.
// Included by the per-instruction-set code only; everything here is local to it.
//
// Conversions: truth values are 0 and 1 (anything not 0 is 1); numbers to int32 are truncated towards zero
// and saturate, NaN becomes 0.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/map/tile.h"

namespace hessia {
namespace HESSIA_ISA_NS {
namespace {

struct Bool { uint8_t value; };  // tells bool storage from other bytes

template <class To, class From> inline __attribute__((always_inline)) To convert(From x) { return static_cast<To>(x); }
template <> inline __attribute__((always_inline)) float convert<float, Bool>(Bool x) { return x.value ? 1.0f : 0.0f; }
template <> inline __attribute__((always_inline)) double convert<double, Bool>(Bool x) { return x.value ? 1.0 : 0.0; }
template <> inline __attribute__((always_inline)) Bool convert<Bool, float>(float x) { return {x != 0.0f}; }
template <> inline __attribute__((always_inline)) Bool convert<Bool, double>(double x) { return {x != 0.0}; }
template <> inline __attribute__((always_inline)) int32_t convert<int32_t, double>(double x) {
  x = x < -2147483648.0 ? -2147483648.0 : x;
  x = x > 2147483647.0 ? 2147483647.0 : x;
  return x == x ? static_cast<int32_t>(x) : 0;
}
template <> inline __attribute__((always_inline)) int32_t convert<int32_t, float>(float x) {
  return convert<int32_t, double>(x);
}

// The position of flattened index s in a view, and the walk from there.
struct Walk {
  int64_t index[kMaxRank];
  int64_t at;  // elements from the base

  Walk(const TileView& v, int64_t s) : at(v.offset) {
    for (int d = v.rank - 1; d > 0; d--) {
      index[d] = s % v.size[d];
      s /= v.size[d];
      at += index[d] * v.stride[d];
    }
    index[0] = s;
    if (v.rank > 0) at += s * v.stride[0];
  }
  // Past `count` elements along axis d, the ones inside it being at their beginning.
  inline __attribute__((always_inline)) void advance(const TileView& v, int d, int64_t count) {
    index[d] += count;
    at += count * v.stride[d];
    while (d > 0 && index[d] == v.size[d]) {
      at += v.stride[d - 1] - index[d] * v.stride[d];
      index[d] = 0;
      index[--d]++;
    }
  }
};

// Elements from the base to flattened index s.
inline int64_t position(const TileView& v, int64_t s) { return v.rank <= 1 ? v.offset + s : Walk(v, s).at; }

// Scalar on purpose: gather instructions are slower than the loads they replace.
template <class T, class From>
__attribute__((noinline, optimize("no-tree-vectorize"))) void load_strided(const From* from, int64_t stride, int64_t n, T* out) {
#pragma GCC unroll 8
  for (int64_t i = 0; i < n; i++) out[i] = convert<T>(from[i * stride]);
}

template <class T, class From> void load_as(const TileView& v, const From* base, int64_t s, int64_t n, T* out) {
  if (v.rank == 0) {
    for (int64_t i = 0; i < n; i++) out[i] = convert<T>(base[v.offset]);
    return;
  }
  Walk walk(v, s);
  const int last = v.rank - 1;
  const int64_t stride = v.stride[last], size = v.size[last];
  while (n > 0) {
    const From* from = base + walk.at;
    if (stride == 0 && last > 0 && walk.index[last] == 0 && n >= size) {  // rows of one value each
      const int64_t most = n / size, left = v.size[last - 1] - walk.index[last - 1], rows = left < most ? left : most;
      for (int64_t r = 0; r < rows; r++, from += v.stride[last - 1], out += size) {
        const T x = convert<T>(*from);
        for (int64_t i = 0; i < size; i++) out[i] = x;
      }
      n -= rows * size;
      walk.advance(v, last - 1, rows);
      continue;
    }
    const int64_t left = size - walk.index[last], run = left < n ? left : n;
    if (stride == 1) {
      for (int64_t i = 0; i < run; i++) out[i] = convert<T>(from[i]);
    } else if (stride == 0) {
      const T x = convert<T>(*from);
      for (int64_t i = 0; i < run; i++) out[i] = x;
    } else {
      load_strided(from, stride, run, out);
    }
    out += run;
    n -= run;
    walk.advance(v, last, run);
  }
}

template <class T> void load(const TileView& v, const void* base, int64_t s, int64_t n, T* out) {
  switch (v.dtype) {
    case DType::Float32: return load_as(v, static_cast<const float*>(base), s, n, out);
    case DType::Float64: return load_as(v, static_cast<const double*>(base), s, n, out);
    case DType::Int32: return load_as(v, static_cast<const int32_t*>(base), s, n, out);
    case DType::Bool: return load_as(v, static_cast<const Bool*>(base), s, n, out);
  }
}

template <class T, class To> void store_as(const TileView& v, To* base, int64_t s, int64_t n, const T* in, bool accumulate) {
  TileView flat;
  const TileView* view = &v;
  if (v.rank == 0) {  // one element
    flat.offset = v.offset;
    flat.rank = 1;
    flat.size[0] = 1;
    flat.stride[0] = 1;
    view = &flat;
  }
  Walk walk(*view, s);
  const int last = view->rank - 1;
  const int64_t stride = view->stride[last], size = view->size[last];
  while (n > 0) {
    const int64_t left = size - walk.index[last], run = left < n ? left : n;
    To* to = base + walk.at;
    if (accumulate) {
      for (int64_t i = 0; i < run; i++) to[i * stride] = convert<To>(convert<T>(to[i * stride]) + in[i]);
    } else if (stride == 1) {
      for (int64_t i = 0; i < run; i++) to[i] = convert<To>(in[i]);
    } else {
      for (int64_t i = 0; i < run; i++) to[i * stride] = convert<To>(in[i]);
    }
    in += run;
    n -= run;
    walk.advance(*view, last, run);
  }
}

template <class T> void store(const TileView& v, void* base, int64_t s, int64_t n, const T* in, bool accumulate) {
  switch (v.dtype) {
    case DType::Float32: return store_as(v, static_cast<float*>(base), s, n, in, accumulate);
    case DType::Float64: return store_as(v, static_cast<double*>(base), s, n, in, accumulate);
    case DType::Int32: return store_as(v, static_cast<int32_t*>(base), s, n, in, accumulate);
    case DType::Bool: return store_as(v, static_cast<Bool*>(base), s, n, in, accumulate);
  }
}

}  // namespace
}  // namespace HESSIA_ISA_NS
}  // namespace hessia
