// Inner loops of gram and combine on a piece of the rows that fits the cache.
#include "kernels/krylov/krylov.h"

namespace hessia {
namespace HESSIA_ISA_NS {
namespace {

constexpr int64_t kBlock = 512;  // terms summed in the storage type

// Four rows of a against two of b: eight running sums, six loads a step.
template <class T>
void dot_4x2(const T* a, int64_t lda, const T* b, int64_t ldb, int64_t n, double* out, int64_t ldo) {
  const T *a0 = a, *a1 = a + lda, *a2 = a + 2 * lda, *a3 = a + 3 * lda, *b0 = b, *b1 = b + ldb;
  for (int64_t start = 0; start < n; start += kBlock) {
    const int64_t end = start + kBlock < n ? start + kBlock : n;
    T s00 = 0, s01 = 0, s10 = 0, s11 = 0, s20 = 0, s21 = 0, s30 = 0, s31 = 0;
#pragma omp simd reduction(+ : s00, s01, s10, s11, s20, s21, s30, s31)
    for (int64_t i = start; i < end; i++) {
      s00 += a0[i] * b0[i];
      s01 += a0[i] * b1[i];
      s10 += a1[i] * b0[i];
      s11 += a1[i] * b1[i];
      s20 += a2[i] * b0[i];
      s21 += a2[i] * b1[i];
      s30 += a3[i] * b0[i];
      s31 += a3[i] * b1[i];
    }
    out[0] += static_cast<double>(s00);
    out[1] += static_cast<double>(s01);
    out[ldo] += static_cast<double>(s10);
    out[ldo + 1] += static_cast<double>(s11);
    out[2 * ldo] += static_cast<double>(s20);
    out[2 * ldo + 1] += static_cast<double>(s21);
    out[3 * ldo] += static_cast<double>(s30);
    out[3 * ldo + 1] += static_cast<double>(s31);
  }
}
template <class T> void dot_4x1(const T* a, int64_t lda, const T* b, int64_t n, double* out, int64_t ldo) {
  const T *a0 = a, *a1 = a + lda, *a2 = a + 2 * lda, *a3 = a + 3 * lda;
  for (int64_t start = 0; start < n; start += kBlock) {
    const int64_t end = start + kBlock < n ? start + kBlock : n;
    T s0 = 0, s1 = 0, s2 = 0, s3 = 0;
#pragma omp simd reduction(+ : s0, s1, s2, s3)
    for (int64_t i = start; i < end; i++) {
      s0 += a0[i] * b[i];
      s1 += a1[i] * b[i];
      s2 += a2[i] * b[i];
      s3 += a3[i] * b[i];
    }
    out[0] += static_cast<double>(s0);
    out[ldo] += static_cast<double>(s1);
    out[2 * ldo] += static_cast<double>(s2);
    out[3 * ldo] += static_cast<double>(s3);
  }
}
template <class T> void dot_1x1(const T* a, const T* b, int64_t n, double* out) {
  for (int64_t start = 0; start < n; start += kBlock) {
    const int64_t count = start + kBlock < n ? kBlock : n - start, half = count / 2;
    const T *p = a + start, *q = b + start;
    T s0 = 0, s1 = 0;
#pragma omp simd reduction(+ : s0, s1)
    for (int64_t i = 0; i < half; i++) {
      s0 += p[i] * q[i];
      s1 += p[half + i] * q[half + i];
    }
    if (count % 2) s0 += p[count - 1] * q[count - 1];
    *out += static_cast<double>(s0) + static_cast<double>(s1);
  }
}

template <class T>
void gram(const T* a, int64_t lda, int64_t na, const T* b, int64_t ldb, int64_t nb, int64_t n, double* out, int64_t ldo) {
  int64_t i = 0;
  for (; i + 4 <= na; i += 4) {
    int64_t j = 0;
    for (; j + 2 <= nb; j += 2) dot_4x2(a + i * lda, lda, b + j * ldb, ldb, n, out + i * ldo + j, ldo);
    for (; j < nb; j++) dot_4x1(a + i * lda, lda, b + j * ldb, n, out + i * ldo + j, ldo);
  }
  for (; i < na; i++) {
    for (int64_t j = 0; j < nb; j++) dot_1x1(a + i * lda, b + j * ldb, n, out + i * ldo + j);
  }
}

// Sums in float64 for kBlock elements at a time; rows of a four at once, so that the sums are loaded and
// stored a quarter as often. Rows whose coefficient is 0 are not read.
template <class T>
void combine(const double* c, const T* a, int64_t lda, int64_t na, double beta, T* b, int64_t ldb, int64_t nb, int64_t n) {
  double sum[kBlock];
  for (int64_t start = 0; start < n; start += kBlock) {
    const int64_t count = start + kBlock < n ? kBlock : n - start;
    for (int64_t j = 0; j < nb; j++) {
      T* target = b + j * ldb + start;
      if (beta == 0) for (int64_t e = 0; e < count; e++) sum[e] = 0;
      else for (int64_t e = 0; e < count; e++) sum[e] = beta * static_cast<double>(target[e]);
      const double* row = c + j * na;
      int64_t i = 0;
      while (i < na) {
        if (row[i] == 0) {
          i++;
          continue;
        }
        const T* p = a + i * lda + start;
        if (i + 4 <= na && row[i + 1] != 0 && row[i + 2] != 0 && row[i + 3] != 0) {
          const double c0 = row[i], c1 = row[i + 1], c2 = row[i + 2], c3 = row[i + 3];
          const T *p1 = p + lda, *p2 = p1 + lda, *p3 = p2 + lda;
#pragma omp simd
          for (int64_t e = 0; e < count; e++) {
            sum[e] += c0 * static_cast<double>(p[e]) + c1 * static_cast<double>(p1[e]) +
                      (c2 * static_cast<double>(p2[e]) + c3 * static_cast<double>(p3[e]));
          }
          i += 4;
        } else {
          const double c0 = row[i];
#pragma omp simd
          for (int64_t e = 0; e < count; e++) sum[e] += c0 * static_cast<double>(p[e]);
          i++;
        }
      }
      for (int64_t e = 0; e < count; e++) target[e] = static_cast<T>(sum[e]);
    }
  }
}

}  // namespace

extern const KrylovTable krylov_table = {gram<float>, gram<double>, combine<float>, combine<double>};

}  // namespace HESSIA_ISA_NS
}  // namespace hessia
