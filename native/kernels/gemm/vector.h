// Vectors of the instruction set a *.isa.cc file is compiled for, as compiler extensions (no intrinsics).
#pragma once
#include <cstdint>

namespace hessia::HESSIA_ISA_NS {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif

#define HESSIA_INLINE static inline __attribute__((always_inline))

template <class T> constexpr int kLanes = kVectorBytes / static_cast<int>(sizeof(T));

template <class T> struct VectorOf;
template <> struct VectorOf<float> {
  typedef float type __attribute__((vector_size(kVectorBytes)));
  typedef float loose __attribute__((vector_size(kVectorBytes), aligned(4), may_alias));
};
template <> struct VectorOf<double> {
  typedef double type __attribute__((vector_size(kVectorBytes)));
  typedef double loose __attribute__((vector_size(kVectorBytes), aligned(8), may_alias));
};
template <class T> using Vector = typename VectorOf<T>::type;

template <class T>
HESSIA_INLINE Vector<T> load(const T* p) { return *reinterpret_cast<const typename VectorOf<T>::loose*>(p); }
template <class T>
HESSIA_INLINE void store(T* p, Vector<T> v) { *reinterpret_cast<typename VectorOf<T>::loose*>(p) = v; }

// Interleaves two vectors: a0 b0 a1 b1 ..., lower and upper half.
HESSIA_INLINE void zip(Vector<float> a, Vector<float> b, Vector<float>& low, Vector<float>& high) {
#if defined(__AVX512F__)
  low = __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  high = __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
#elif defined(__AVX2__)
  low = __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
  high = __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
#else
  low = __builtin_shufflevector(a, b, 0, 4, 1, 5);
  high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
#endif
}
HESSIA_INLINE void zip(Vector<double> a, Vector<double> b, Vector<double>& low, Vector<double>& high) {
#if defined(__AVX512F__)
  low = __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
  high = __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
#elif defined(__AVX2__)
  low = __builtin_shufflevector(a, b, 0, 4, 1, 5);
  high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
#else
  low = __builtin_shufflevector(a, b, 0, 2);
  high = __builtin_shufflevector(a, b, 1, 3);
#endif
}

// Transposes R vectors (R a power of two), read as an R × lanes matrix in row-major order, into the
// lanes × R matrix: perfect shuffles of the whole list, one per bit of the row number.
template <class T, int R>
HESSIA_INLINE void transpose(Vector<T> (&v)[R]) {
#pragma GCC unroll 5
  for (int step = 1; step < R; step *= 2) {
    Vector<T> next[R];
#pragma GCC unroll 16
    for (int i = 0; i < R / 2; ++i) zip(v[i], v[i + R / 2], next[2 * i], next[2 * i + 1]);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) v[i] = next[i];
  }
}

// Sum of the lanes, halves first.
template <class T>
HESSIA_INLINE T lane_sum(Vector<T> v) {
  T lanes[kLanes<T>];
  store(lanes, v);
#pragma GCC unroll 5
  for (int half = kLanes<T> / 2; half > 0; half /= 2)
#pragma GCC unroll 8
    for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  return lanes[0];
}

HESSIA_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
HESSIA_INLINE int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace hessia::HESSIA_ISA_NS
