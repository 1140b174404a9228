// Inner loops of gram and combine on a piece of the rows that fits the cache.
#include "kernels/gemm/vector.h"
#include "kernels/krylov/krylov.h"

namespace hessia {
namespace HESSIA_ISA_NS {
namespace {

constexpr int64_t kBlock = 512;   // terms summed in the storage type
constexpr int64_t kChunk = 2048;  // elements of four rows of a that stay in the first-level cache

// Lanes as float64: those of a float vector with its halves added, those of a double vector as they are.
typedef float HalfFloat __attribute__((vector_size(kVectorBytes / 2)));
HESSIA_INLINE Vector<double> widened(Vector<float> v) {
  HalfFloat low, high;
  __builtin_memcpy(&low, &v, sizeof low);
  __builtin_memcpy(&high, reinterpret_cast<const char*>(&v) + sizeof low, sizeof high);
  return __builtin_convertvector(low + high, Vector<double>);
}
HESSIA_INLINE Vector<double> widened(Vector<double> v) { return v; }

// out[i][j] += a_i · b_j for R x C rows: R·C chains of multiply-adds, R + C loads a step.
template <class T, int R, int C>
void tile(const T* a, int64_t lda, const T* b, int64_t ldb, int64_t n, double* out, int64_t ldo) {
  constexpr int L = kLanes<T>;
  Vector<double> wide[R][C];
  double rest[R][C];
#pragma GCC unroll 4
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < C; ++j) wide[i][j] = Vector<double>{}, rest[i][j] = 0;
  for (int64_t start = 0; start < n; start += kBlock) {
    const int64_t end = smaller(start + kBlock, n);
    Vector<T> sum[R][C];
#pragma GCC unroll 4
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
      for (int j = 0; j < C; ++j) sum[i][j] = Vector<T>{};
    int64_t e = start;
    for (; e + L <= end; e += L) {
      Vector<T> q[C];
#pragma GCC unroll 4
      for (int j = 0; j < C; ++j) q[j] = load(b + j * ldb + e);
#pragma GCC unroll 4
      for (int i = 0; i < R; ++i) {
        const Vector<T> p = load(a + i * lda + e);
#pragma GCC unroll 4
        for (int j = 0; j < C; ++j) sum[i][j] += p * q[j];
      }
    }
#pragma GCC unroll 4
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
      for (int j = 0; j < C; ++j) wide[i][j] += widened(sum[i][j]);
    for (; e < end; ++e) {
      for (int i = 0; i < R; ++i)
        for (int j = 0; j < C; ++j) rest[i][j] += static_cast<double>(a[i * lda + e]) * static_cast<double>(b[j * ldb + e]);
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
    for (int j = 0; j < C; ++j) out[i * ldo + j] += lane_sum<double>(wide[i][j]) + rest[i][j];
}

// Registers for the chains: 16 of 32 with AVX-512, 8 of 16 without.
constexpr int kColumns = kVectorBytes == 64 ? 4 : 2;

template <class T, int R>
void tile_row(const T* a, int64_t lda, const T* b, int64_t ldb, int64_t nb, int64_t n, double* out, int64_t ldo) {
  int64_t j = 0;
  for (; j + kColumns <= nb; j += kColumns) tile<T, R, kColumns>(a, lda, b + j * ldb, ldb, n, out + j, ldo);
  for (; j < nb; j++) tile<T, R, 1>(a, lda, b + j * ldb, ldb, n, out + j, ldo);
}

template <class T>
void gram(const T* a, int64_t lda, int64_t na, const T* b, int64_t ldb, int64_t nb, int64_t n, double* out, int64_t ldo,
          int64_t diagonal) {
  for (int64_t start = 0; start < n; start += kChunk) {
    const int64_t count = smaller(kChunk, n - start);
    int64_t i = 0;
    for (; i < na; i += i + 4 <= na ? 4 : 1) {
      const int64_t rows = i + 4 <= na ? 4 : 1;
      const int64_t columns = diagonal < 0 ? nb : smaller(nb, diagonal + i + rows);
      if (rows == 4) tile_row<T, 4>(a + i * lda + start, lda, b + start, ldb, columns, count, out + i * ldo, ldo);
      else tile_row<T, 1>(a + i * lda + start, lda, b + start, ldb, columns, count, out + i * ldo, ldo);
    }
  }
}

// Sums in float64 for kBlock elements at a time; rows of a four at once, so that the sums are loaded and
// stored a quarter as often. Rows whose coefficient is 0 are not read.
template <class T>
void combine_row_by_row(const double* c, const T* a, int64_t lda, int64_t na, double beta, T* b, int64_t ldb, int64_t nb, int64_t n) {
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

// sum[j] of J rows of b at once, V vectors wide, in registers; every element of a is widened once for J uses.
// `used` lists the rows of a that any of the J rows of b needs.
template <class T, int J, int V>
void strip(const double* c, int64_t ldc, const int32_t* used, int64_t count, const T* a, int64_t lda, double beta, T* b,
           int64_t ldb) {
  constexpr int D = kLanes<double>;
  Vector<double> sum[J][V];
  typedef T Narrow __attribute__((vector_size(D * sizeof(T)), aligned(sizeof(T)), may_alias));
#pragma GCC unroll 4
  for (int j = 0; j < J; ++j)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      sum[j][v] = Vector<double>{};
      if (beta != 0) {
        const Narrow old = *reinterpret_cast<const Narrow*>(b + j * ldb + v * D);
        sum[j][v] = beta * __builtin_convertvector(old, Vector<double>);
      }
    }
  for (int64_t k = 0; k < count; ++k) {
    const int64_t i = used[k];
    Vector<double> x[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      const Narrow in = *reinterpret_cast<const Narrow*>(a + i * lda + v * D);
      x[v] = __builtin_convertvector(in, Vector<double>);
    }
#pragma GCC unroll 4
    for (int j = 0; j < J; ++j)
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sum[j][v] += c[j * ldc + i] * x[v];
  }
#pragma GCC unroll 4
  for (int j = 0; j < J; ++j)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      *reinterpret_cast<Narrow*>(b + j * ldb + v * D) = __builtin_convertvector(sum[j][v], Narrow);
    }
}

template <class T>
void combine(const double* c, const T* a, int64_t lda, int64_t na, double beta, T* b, int64_t ldb, int64_t nb, int64_t n,
             int32_t* used) {
  constexpr int V = kVectorBytes == 64 ? 4 : 2;
  constexpr int64_t width = V * kLanes<double>;
  int64_t j = 0;
  if (used) {
    for (; j + 4 <= nb; j += 4) {
      const double* row = c + j * na;
      int64_t count = 0;
      for (int64_t i = 0; i < na; i++) {
        if (row[i] != 0 || row[na + i] != 0 || row[2 * na + i] != 0 || row[3 * na + i] != 0) used[count++] = static_cast<int32_t>(i);
      }
      int64_t e = 0;
      for (; e + width <= n; e += width) strip<T, 4, V>(row, na, used, count, a + e, lda, beta, b + j * ldb + e, ldb);
      if (e < n) combine_row_by_row(row, a + e, lda, na, beta, b + j * ldb + e, ldb, 4, n - e);
    }
  }
  if (j < nb) combine_row_by_row(c + j * na, a, lda, na, beta, b + j * ldb, ldb, nb - j, n);
}

}  // namespace

extern const KrylovTable krylov_table = {gram<float>, gram<double>, combine<float>, combine<double>};

}  // namespace HESSIA_ISA_NS
}  // namespace hessia
