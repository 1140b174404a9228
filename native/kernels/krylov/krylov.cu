// Vector operations of the solvers on rows of equal length; contracts as krylov.h.
//
// gram: a block takes up to 4 x 4 pairs of rows over one segment of the length; its threads sum at most
// kSegment / 256 = 32 products in the storage type, everything from there is float64: shuffles within a warp,
// one sum per warp in shared memory, and the segments in order. combine: a thread takes one element of up to
// 8 rows of b, in float64. orthogonalize: three sweeps, each over segments: update w by the coefficients of
// the sweep before, then project what is left; the basis is read once per sweep from memory, and the
// projection finds its segment in the cache. Nothing is read back in between. Deterministic.
#include <cmath>
#include <cstring>

#include "device/cuda/context.h"
#include "device/cuda/kernels.h"
#include "kernels/krylov/krylov.h"

namespace hessia::cuda {
namespace {

constexpr int64_t kSegment = 8192;  // elements of a row that one block sums
constexpr int kRows = 4;            // rows of a and of b in one block of gram
constexpr int kTargets = 8;         // rows of b that one thread of combine keeps
constexpr int kWarps = kThreads / 32;

template <class T> struct Rows {
  T* data;
  int64_t rows, stride;
  __device__ T* row(int64_t i) const { return data + i * stride; }
};
template <class T> Rows<T> rows_of(RowsRef r) { return {static_cast<T*>(r.data), r.rows, r.stride}; }

HESSIA_DEVICE float from_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, 4);
  return x;
}
HESSIA_DEVICE float widened(BFloat16 x) { return from_bits(static_cast<uint32_t>(x.bits) << 16); }
HESSIA_DEVICE float widened(float x) { return x; }
HESSIA_DEVICE double widened(double x) { return x; }

// The sum over the block, for thread 0; `space` has kWarps elements. All threads call it.
HESSIA_DEVICE double block_sum(double x, double* space) {
  for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(0xffffffffu, x, step);
  const int thread = static_cast<int>(threadIdx.x);
  __syncthreads();
  if (thread % 32 == 0) space[thread / 32] = x;
  __syncthreads();
  double sum = 0;
  if (thread == 0) for (int w = 0; w < kWarps; w++) sum += space[w];
  return sum;
}

// partials[segment][i][j] for rows i = 4 blockIdx.y + …, j = 4 blockIdx.z + …; only j <= i + 3 if symmetric.
template <class T, class B, int NA, int NB>
__global__ void gram_segments(Rows<const T> a, Rows<const B> b, int64_t length, int64_t row_blocks, bool symmetric, double* partials) {
  HESSIA_SHARED(double, space, kWarps);
  const int64_t segment = blockIdx.x / row_blocks, i0 = blockIdx.x % row_blocks * NA, j0 = static_cast<int64_t>(blockIdx.y) * NB;
  if (symmetric && j0 > i0 + NA - 1) return;
  const int64_t first = segment * kSegment, last = first + kSegment < length ? first + kSegment : length;
  T sum[NA][NB];
  for (int r = 0; r < NA; r++) for (int s = 0; s < NB; s++) sum[r][s] = T(0);
  for (int64_t e = first + threadIdx.x; e < last; e += kThreads) {
    T x[NA], y[NB];
    for (int r = 0; r < NA; r++) x[r] = i0 + r < a.rows ? a.row(i0 + r)[e] : T(0);
    for (int s = 0; s < NB; s++) y[s] = j0 + s < b.rows ? widened(b.row(j0 + s)[e]) : T(0);
    for (int r = 0; r < NA; r++) for (int s = 0; s < NB; s++) sum[r][s] += x[r] * y[s];
  }
  for (int r = 0; r < NA; r++) {
    for (int s = 0; s < NB; s++) {
      const double whole = block_sum(static_cast<double>(sum[r][s]), space);
      if (threadIdx.x == 0 && i0 + r < a.rows && j0 + s < b.rows) partials[(segment * a.rows + i0 + r) * b.rows + j0 + s] = whole;
    }
  }
}
// out[e] = Σ_segments partials[segment][e], above the diagonal from its mirror image if symmetric (b.rows = a.rows = n).
__global__ void sum_segments(int64_t entries, int64_t segments, int64_t n, bool symmetric, const double* partials, double* out) {
  const int64_t e = flat_index();
  if (e >= entries) return;
  int64_t from = e;
  if (symmetric) {
    const int64_t i = e / n, j = e - i * n;
    if (j > i) from = j * n + i;
  }
  double sum = 0;
  for (int64_t s = 0; s < segments; s++) sum += partials[s * entries + from];
  out[e] = sum;
}

template <class T, class B> void gram_rows(int64_t length, RowsRef ra, RowsRef rb, double* out, Workspace& ws) {
  const int64_t entries = ra.rows * rb.rows;
  if (entries == 0) return;
  if (length == 0) {
    std::fill(out, out + entries, 0.0);
    return;
  }
  const bool symmetric = ra.data == rb.data && ra.rows == rb.rows && ra.stride == rb.stride && ra.rows > 1;
  const Rows<const T> a = rows_of<const T>(ra);
  const Rows<const B> b = rows_of<const B>(rb);
  const int64_t segments = ceil_div(length, kSegment);
  double* partials = static_cast<double*>(gpu(ws).device_scratch(static_cast<size_t>((segments + 1) * entries * 8)));
  double* total = partials + segments * entries;
  const auto go = [&](auto kernel, int64_t na, int64_t nb) {
    const int64_t row_blocks = ceil_div(ra.rows, na);
    launch_blocks(ws, kernel, dim3(static_cast<unsigned>(segments * row_blocks), static_cast<unsigned>(ceil_div(rb.rows, nb))), a, b,
                  length, row_blocks, symmetric, partials);
  };
  if (ra.rows == 1) go(gram_segments<T, B, 1, kRows>, 1, kRows);
  else if (rb.rows == 1) go(gram_segments<T, B, kRows, 1>, kRows, 1);
  else go(gram_segments<T, B, kRows, kRows>, kRows, kRows);
  launch(ws, sum_segments, entries, entries, segments, rb.rows, symmetric, static_cast<const double*>(partials), total);
  gpu(ws).context->download(out, total, static_cast<size_t>(entries * 8));
}

// b_j[e] ← beta b_j[e] + Σ_i c[j, i] a_i[e] for rows j of one group of kTargets. Rows of a whose coefficient is 0
// add nothing, not even NaN; in place (a is b, c diagonal) a thread reads before it writes.
template <class A, class T>
__global__ void combine_elements(const double* c, Rows<const A> a, double beta, Rows<T> b, int64_t length) {
  const int64_t all = flat_index(), e = all % length, j0 = all / length * kTargets;
  if (j0 >= b.rows) return;
  const int count = b.rows - j0 < kTargets ? static_cast<int>(b.rows - j0) : kTargets;
  double sum[kTargets];
  for (int j = 0; j < count; j++) sum[j] = beta == 0 ? 0.0 : beta * static_cast<double>(b.row(j0 + j)[e]);
  for (int64_t i = 0; i < a.rows; i++) {
    bool needed = false;
    for (int j = 0; j < count; j++) needed = needed || c[(j0 + j) * a.rows + i] != 0;
    if (!needed) continue;
    const double x = static_cast<double>(widened(a.row(i)[e]));
    for (int j = 0; j < count; j++) {
      const double f = c[(j0 + j) * a.rows + i];
      if (f != 0) sum[j] += f * x;
    }
  }
  for (int j = 0; j < count; j++) b.row(j0 + j)[e] = static_cast<T>(sum[j]);
}

template <class A, class T> void combine_rows(int64_t length, const double* c, RowsRef ra, double beta, RowsRef rb, Workspace& ws) {
  if (length == 0 || rb.rows == 0) return;
  const size_t bytes = static_cast<size_t>(ra.rows * rb.rows) * 8;
  double* coefficients = static_cast<double*>(gpu(ws).device_scratch(bytes));
  gpu(ws).context->upload(coefficients, c, bytes);
  launch(ws, combine_elements<A, T>, length * ceil_div(rb.rows, kTargets), static_cast<const double*>(coefficients), rows_of<const A>(ra),
         beta, rows_of<T>(rb), length);
}

// Rounded to nearest, ties to even; NaN keeps its upper bits and stays one.
__global__ void round_elements(Rows<const float> a, Rows<BFloat16> b, int64_t length) {
  const int64_t all = flat_index();
  if (all >= length * a.rows) return;
  const int64_t row = all / length, e = all - row * length;
  const float x = a.row(row)[e];
  uint32_t bits;
  memcpy(&bits, &x, 4);
  if (x != x) bits |= 0x400000u;
  else bits += 0x7fffu + (bits >> 16 & 1u);
  b.row(row)[e] = BFloat16{static_cast<uint16_t>(bits >> 16)};
}

// One sweep over one segment: w ← w - Σ minus_i basis_i (if update), then partials[segment] = basis · w (if project)
// and |w|² (if square).
template <class T>
__global__ void sweep_segments(Rows<const T> basis, T* w, int64_t length, const double* minus, bool update, bool project, bool square,
                               double* partials) {
  HESSIA_SHARED(double, space, kWarps);
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kSegment, last = first + kSegment < length ? first + kSegment : length;
  double* sums = partials + static_cast<int64_t>(blockIdx.x) * (basis.rows + 1);
  T own = T(0);  // |w|² of this thread's elements; every thread keeps to its own, so no barrier is needed
  for (int64_t e = first + threadIdx.x; e < last; e += kThreads) {
    if (update) {
      double x = static_cast<double>(w[e]);
      for (int64_t i = 0; i < basis.rows; i++) x -= minus[i] * static_cast<double>(basis.row(i)[e]);
      w[e] = static_cast<T>(x);
    }
    own += w[e] * w[e];
  }
  if (project) {
    for (int64_t i = 0; i < basis.rows; i++) {
      T sum = T(0);
      for (int64_t e = first + threadIdx.x; e < last; e += kThreads) sum += basis.row(i)[e] * w[e];
      const double whole = block_sum(static_cast<double>(sum), space);
      if (threadIdx.x == 0) sums[i] = whole;
    }
  }
  if (square) {
    const double whole = block_sum(static_cast<double>(own), space);
    if (threadIdx.x == 0) sums[basis.rows] = whole;
  }
}
// minus[i] = Σ_segments; out[i] (+)= it; the norm to out[norm_at].
__global__ void end_of_sweep(int64_t m, int64_t segments, bool first, bool project, int64_t norm_at, const double* partials,
                             double* minus, double* out) {
  const int64_t i = flat_index();
  if (i > m || (i < m && !project) || (i == m && norm_at < 0)) return;
  double sum = 0;
  for (int64_t s = 0; s < segments; s++) sum += partials[s * (m + 1) + i];
  if (i == m) {
    out[norm_at] = sqrt(sum);
  } else {
    minus[i] = sum;
    out[i] = first ? sum : out[i] + sum;
  }
}

template <class T> void orthogonalize_row(int64_t length, RowsRef rb, RowsRef rw, double* out, Workspace& ws) {
  const int64_t m = rb.rows, segments = ceil_div(length, kSegment);
  double* partials = static_cast<double*>(gpu(ws).device_scratch(static_cast<size_t>((segments * (m + 1) + m + m + 2) * 8)));
  double* minus = partials + segments * (m + 1);
  double* result = minus + m;
  for (int sweep = 0; sweep < 3; sweep++) {
    const bool update = sweep > 0, project = sweep < 2, square = sweep != 1;
    if (segments > 0) {
      launch_blocks(ws, sweep_segments<T>, dim3(static_cast<unsigned>(segments)), rows_of<const T>(rb), static_cast<T*>(rw.data), length,
                    static_cast<const double*>(minus), update, project, square, partials);
    }
    const int64_t norm_at = !square ? -1 : sweep == 0 ? m : m + 1;
    launch(ws, end_of_sweep, m + 1, m, segments, sweep == 0, project, norm_at, static_cast<const double*>(partials), minus, result);
  }
  gpu(ws).context->download(out, result, static_cast<size_t>((m + 2) * 8));
}

}  // namespace

void gram(DType dtype, int64_t length, RowsRef a, RowsRef b, double* out, Workspace& ws) {
  if (dtype == kBFloat16) gram_rows<float, BFloat16>(length, a, b, out, ws);
  else if (dtype == DType::Float32) gram_rows<float, float>(length, a, b, out, ws);
  else gram_rows<double, double>(length, a, b, out, ws);
}
void combine(DType dtype, int64_t length, const double* c, RowsRef a, double beta, RowsRef b, Workspace& ws) {
  if (dtype == kBFloat16) combine_rows<BFloat16, float>(length, c, a, beta, b, ws);
  else if (dtype == DType::Float32) combine_rows<float, float>(length, c, a, beta, b, ws);
  else combine_rows<double, double>(length, c, a, beta, b, ws);
}
void round_bfloat16(int64_t length, RowsRef a, RowsRef b, Workspace& ws) {
  launch(ws, round_elements, length * a.rows, rows_of<const float>(a), rows_of<BFloat16>(b), length);
}
void orthogonalize(DType dtype, int64_t length, RowsRef basis, RowsRef w, double* out, Workspace& ws) {
  if (dtype == DType::Float32) orthogonalize_row<float>(length, basis, w, out, ws);
  else orthogonalize_row<double>(length, basis, w, out, ws);
}

}  // namespace hessia::cuda
