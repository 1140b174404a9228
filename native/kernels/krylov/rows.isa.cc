// Inner loops of gram and combine on a piece of the rows that fits the cache.
#include "kernels/gemm/vector.h"
#include "kernels/krylov/krylov.h"

namespace hessia {
namespace HESSIA_ISA_NS {
// Elements of a vector of sums in float32 or float64, loaded from what is stored.
HESSIA_INLINE Vector<float> load(const BFloat16* p) {
  typedef uint16_t Short __attribute__((vector_size(kVectorBytes / 2), aligned(2), may_alias));
  typedef uint32_t Word __attribute__((vector_size(kVectorBytes)));
  return reinterpret_cast<Vector<float>>(__builtin_convertvector(*reinterpret_cast<const Short*>(p), Word) << 16);
}
namespace {

constexpr int64_t kBlock = 512;   // terms summed in the storage type
constexpr int64_t kChunk = 2048;  // elements of four rows of a that stay in the first-level cache
constexpr int kTogether = 8;      // rows in flight where each is read once

// As many as a vector of float64 has.
template <class T> HESSIA_INLINE Vector<double> load_wide(const T* p) {
  typedef T Narrow __attribute__((vector_size(kLanes<double> * sizeof(T)), aligned(sizeof(T)), may_alias));
  return __builtin_convertvector(*reinterpret_cast<const Narrow*>(p), Vector<double>);
}
HESSIA_INLINE Vector<double> load_wide(const BFloat16* p) {
  typedef uint16_t Short __attribute__((vector_size(kLanes<double> * 2), aligned(2), may_alias));
  typedef uint32_t Word __attribute__((vector_size(kLanes<double> * 4)));
  typedef float Single __attribute__((vector_size(kLanes<double> * 4)));
  const Word bits = __builtin_convertvector(*reinterpret_cast<const Short*>(p), Word) << 16;
  return __builtin_convertvector(reinterpret_cast<Single>(bits), Vector<double>);
}
template <class T> HESSIA_INLINE double widen(T x) { return static_cast<double>(x); }
HESSIA_INLINE double widen(BFloat16 x) {
  const uint32_t bits = static_cast<uint32_t>(x.bits) << 16;
  float f;
  __builtin_memcpy(&f, &bits, sizeof f);
  return static_cast<double>(f);
}

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
template <class T, class S, int R, int C>
void tile(const T* a, int64_t lda, const S* b, int64_t ldb, int64_t n, double* out, int64_t ldo) {
  constexpr int L = kLanes<T>;
  Vector<double> wide[R][C];
  double rest[R][C];
#pragma GCC unroll 4
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 8
    for (int j = 0; j < C; ++j) wide[i][j] = Vector<double>{}, rest[i][j] = 0;
  for (int64_t start = 0; start < n; start += kBlock) {
    const int64_t end = smaller(start + kBlock, n);
    Vector<T> sum[R][C];
#pragma GCC unroll 4
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 8
      for (int j = 0; j < C; ++j) sum[i][j] = Vector<T>{};
    int64_t e = start;
    for (; e + L <= end; e += L) {
      Vector<T> q[C];
#pragma GCC unroll 8
      for (int j = 0; j < C; ++j) q[j] = load(b + j * ldb + e);
#pragma GCC unroll 4
      for (int i = 0; i < R; ++i) {
        const Vector<T> p = load(a + i * lda + e);
#pragma GCC unroll 8
        for (int j = 0; j < C; ++j) sum[i][j] += p * q[j];
      }
    }
#pragma GCC unroll 4
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 8
      for (int j = 0; j < C; ++j) wide[i][j] += widened(sum[i][j]);
    for (; e < end; ++e) {
      for (int i = 0; i < R; ++i)
        for (int j = 0; j < C; ++j) rest[i][j] += widen(a[i * lda + e]) * widen(b[j * ldb + e]);
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < R; ++i)
#pragma GCC unroll 8
    for (int j = 0; j < C; ++j) out[i * ldo + j] += lane_sum<double>(wide[i][j]) + rest[i][j];
}

// Registers for the chains: 16 of 32 with AVX-512, 8 of 16 without.
constexpr int kColumns = kVectorBytes == 64 ? 4 : 2;

template <class T, class S, int R>
void tile_row(const T* a, int64_t lda, const S* b, int64_t ldb, int64_t nb, int64_t n, double* out, int64_t ldo) {
  int64_t j = 0;
  if (R == 1)  // many rows that are read once: more of them at a time keep more of the memory busy
    for (; j + kTogether <= nb; j += kTogether) tile<T, S, 1, kTogether>(a, lda, b + j * ldb, ldb, n, out + j, ldo);
  for (; j + kColumns <= nb; j += kColumns) tile<T, S, R, kColumns>(a, lda, b + j * ldb, ldb, n, out + j, ldo);
  for (; j < nb; j++) tile<T, S, R, 1>(a, lda, b + j * ldb, ldb, n, out + j, ldo);
}

template <class T, class S>
void gram(const T* a, int64_t lda, int64_t na, const S* b, int64_t ldb, int64_t nb, int64_t n, double* out, int64_t ldo,
          int64_t diagonal) {
  const int64_t chunk = na == 1 ? n : kChunk;
  for (int64_t start = 0; start < n; start += chunk) {
    const int64_t count = smaller(chunk, n - start);
    int64_t i = 0;
    for (; i < na; i += i + 4 <= na ? 4 : 1) {
      const int64_t rows = i + 4 <= na ? 4 : 1;
      const int64_t columns = diagonal < 0 ? nb : smaller(nb, diagonal + i + rows);
      if (rows == 4) tile_row<T, S, 4>(a + i * lda + start, lda, b + start, ldb, columns, count, out + i * ldo, ldo);
      else tile_row<T, S, 1>(a + i * lda + start, lda, b + start, ldb, columns, count, out + i * ldo, ldo);
    }
  }
}

// Rows of a whose coefficient is not 0, a few at a time.
template <class S> struct Group {
  int count;
  double c[kTogether];
  const S* row[kTogether];
};
template <class S>
HESSIA_INLINE Group<S> next_group(const double* c, const S* a, int64_t lda, int64_t na, int64_t* i) {
  Group<S> g;
  g.count = 0;
  for (; *i < na && g.count < kTogether; ++*i) {
    if (c[*i] == 0) continue;
    g.c[g.count] = c[*i];
    g.row[g.count++] = a + *i * lda;
  }
  return g;
}

// sum[e] += Σ c row[e] over R rows of a group from row `first` on. What comes is asked for a little ahead: of so many
// streams the machine does not see it coming by itself.
constexpr int64_t kAhead = 512;  // bytes
template <int R, class S>
HESSIA_INLINE void add_rows(const Group<S>& g, int first, double* sum, int64_t n) {
  constexpr int64_t D = kLanes<double>, step = 64 / static_cast<int64_t>(sizeof(S));
  Vector<double> c[R];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) c[r] = Vector<double>{} + g.c[first + r];
  int64_t e = 0;
  for (; e + step <= n; e += step) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) __builtin_prefetch(reinterpret_cast<const char*>(g.row[first + r] + e) + kAhead);
#pragma GCC unroll 16
    for (int64_t v = 0; v < step; v += D) {
      Vector<double> s = load(sum + e + v);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) s += c[r] * load_wide(g.row[first + r] + e + v);
      store(sum + e + v, s);
    }
  }
  for (; e < n; ++e)
    for (int r = 0; r < R; ++r) sum[e] += g.c[first + r] * widen(g.row[first + r][e]);
}

// Of bfloat16 rows: the R products of an element are summed in float32, with coefficients rounded to it, and their sum
// joins the others in float64. Widening every element to float64 would take longer than reading it.
template <int R>
HESSIA_INLINE void add_rows(const Group<BFloat16>& g, int first, double* sum, int64_t n) {
  constexpr int64_t D = kLanes<double>, F = kLanes<float>, step = 64 / static_cast<int64_t>(sizeof(BFloat16));
  Vector<float> c[R];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) c[r] = Vector<float>{} + static_cast<float>(g.c[first + r]);
  int64_t e = 0;
  for (; e + step <= n; e += step) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) __builtin_prefetch(reinterpret_cast<const char*>(g.row[first + r] + e) + kAhead);
#pragma GCC unroll 8
    for (int64_t v = 0; v < step; v += F) {
      Vector<float> t = c[0] * load(g.row[first] + e + v);
#pragma GCC unroll 8
      for (int r = 1; r < R; ++r) t += c[r] * load(g.row[first + r] + e + v);
      HalfFloat half[2];
      __builtin_memcpy(half, &t, sizeof half);
#pragma GCC unroll 2
      for (int h = 0; h < 2; ++h) {
        double* at = sum + e + v + h * D;
        store(at, load(at) + __builtin_convertvector(half[h], Vector<double>));
      }
    }
  }
  for (; e < n; ++e) {
    float t = 0;
    for (int r = 0; r < R; ++r) t += static_cast<float>(g.c[first + r]) * static_cast<float>(widen(g.row[first + r][e]));
    sum[e] += static_cast<double>(t);
  }
}

// One row of b at a time, sums in float64 for kStrip elements: they stay in the cache while the rows of a stream past.
// Longer strips would leave it, shorter ones read too little of each row at a time. Rows whose coefficient is 0 are not read.
constexpr int64_t kStrip = 8192;
template <class S, class T>
void combine_row_by_row(const double* c, const S* a, int64_t lda, int64_t na, double beta, T* b, int64_t ldb, int64_t nb, int64_t n) {
  alignas(64) double sum[kStrip];
  for (int64_t start = 0; start < n; start += kStrip) {
    const int64_t count = smaller(kStrip, n - start);
    for (int64_t j = 0; j < nb; j++) {
      T* target = b + j * ldb + start;
      if (beta == 0) for (int64_t e = 0; e < count; e++) sum[e] = 0;
      else for (int64_t e = 0; e < count; e++) sum[e] = beta * static_cast<double>(target[e]);
      int64_t i = 0;
      while (i < na) {
        const Group<S> group = next_group(c + j * na, a + start, lda, na, &i);
        if (group.count == kTogether) add_rows<kTogether>(group, 0, sum, count);
        else for (int r = 0; r < group.count; r++) add_rows<1>(group, r, sum, count);
      }
      for (int64_t e = 0; e < count; e++) target[e] = static_cast<T>(sum[e]);
    }
  }
}

// sum[j] of J rows of b at once, V vectors wide, in registers; every element of a is widened once for J uses.
// `used` lists the rows of a that any of the J rows of b needs.
template <class S, class T, int J, int V>
void strip(const double* c, int64_t ldc, const int32_t* used, int64_t count, const S* a, int64_t lda, double beta, T* b,
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
        sum[j][v] = beta * load_wide(b + j * ldb + v * D);
      }
    }
  for (int64_t k = 0; k < count; ++k) {
    const int64_t i = used[k];
    Vector<double> x[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      x[v] = load_wide(a + i * lda + v * D);
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

template <class S, class T>
void combine(const double* c, const S* a, int64_t lda, int64_t na, double beta, T* b, int64_t ldb, int64_t nb, int64_t n,
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
      for (; e + width <= n; e += width) strip<S, T, 4, V>(row, na, used, count, a + e, lda, beta, b + j * ldb + e, ldb);
      if (e < n) combine_row_by_row(row, a + e, lda, na, beta, b + j * ldb + e, ldb, 4, n - e);
    }
  }
  if (j < nb) combine_row_by_row(c + j * na, a, lda, na, beta, b + j * ldb, ldb, nb - j, n);
}

}  // namespace

extern const KrylovTable krylov_table = {
    gram<float, float>,    gram<double, double>,    gram<float, BFloat16>,
    combine<float, float>, combine<double, double>, combine<BFloat16, float>};

}  // namespace HESSIA_ISA_NS
}  // namespace hessia
