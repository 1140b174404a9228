// With P the reversal of an index, P H P = L Lᵀ gives H = R Rᵀ with R = P L P upper triangular, so that H⁻¹ = Uᵀ U with
// U = R⁻¹ = P L⁻¹ P: one factorisation and one triangular inverse, and H⁻¹ is never factored.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/numbers.h"
#include "base/parallel.h"
#include "kernels/gemm/gemm.h"
#include "kernels/layerwise/layerwise.h"

namespace hessia::cpu {
namespace {

constexpr int64_t kPanel = 64;    // columns factored between two products
constexpr int64_t kStrip = 256;   // rows of a symmetric result computed at a time, up to the diagonal
constexpr int64_t kChunk = 32;    // columns of a triangular solve that one thread takes

struct Matrix {
  double* data;
  int64_t n;
  double* row(int64_t i) const { return data + i * n; }
};

// c ← c − a · b, all inside matrices of row length n.
void subtract(int64_t m, int64_t columns, int64_t k, const double* a, Axis a_rows, Axis a_cols, const double* b, Axis b_rows,
              Axis b_cols, double* c, int64_t n, Workspace& ws) {
  gemm(Gemm<double>{m, columns, k, a, a_rows, a_cols, b, b_rows, b_cols, c, strided(m, n), strided(columns, 1), -1.0, true}, ws);
}

// Lower triangle of a ← its Cholesky factor. False where a pivot is not above `floor`.
bool factor_lower(Matrix a, double floor, Workspace& ws) {
  const int64_t n = a.n;
  for (int64_t k = 0; k < n; k += kPanel) {
    const int64_t end = std::min(n, k + kPanel);
    for (int64_t i = k; i < end; i++) {
      for (int64_t j = k; j <= i; j++) {
        double sum = a.row(i)[j];
        for (int64_t t = k; t < j; t++) sum -= a.row(i)[t] * a.row(j)[t];
        if (j < i) a.row(i)[j] = sum / a.row(j)[j];
        else if (!(sum > floor && std::isfinite(sum))) return false;
        else a.row(i)[i] = std::sqrt(sum);
      }
    }
    const int threads = (n - end) * kPanel * kPanel < kSerialBelow ? 1 : ws.threads;
    parallel(threads, [&](int thread, int team) {
      for (int64_t i = end + (n - end) * thread / team; i < end + (n - end) * (thread + 1) / team; i++) {
        for (int64_t j = k; j < end; j++) {
          double sum = a.row(i)[j];
          for (int64_t t = k; t < j; t++) sum -= a.row(i)[t] * a.row(j)[t];
          a.row(i)[j] = sum / a.row(j)[j];
        }
      }
    });
    for (int64_t i = end; i < n; i += kStrip) {
      const int64_t rows = std::min(kStrip, n - i), columns = i + rows - end;
      subtract(rows, columns, end - k, a.row(i) + k, strided(rows, n), strided(end - k, 1), a.row(end) + k, strided(end - k, 1),
               strided(columns, n), a.row(i) + end, n, ws);
    }
  }
  return true;
}

// x ← L⁻¹, lower triangular.
void invert_lower(Matrix l, Matrix x, Workspace& ws) {
  const int64_t n = l.n;
  std::fill(x.data, x.data + n * n, 0.0);
  for (int64_t k = 0; k < n; k += kPanel) {
    const int64_t end = std::min(n, k + kPanel);
    for (int64_t i = k; i < end; i++) x.row(i)[i] = 1;
    if (k > 0)
      subtract(end - k, k, k, l.row(k), strided(end - k, n), strided(k, 1), x.data, strided(k, n), strided(k, 1), x.row(k), n, ws);
    const int64_t chunks = ceil_div(end, kChunk);
    const int threads = end * kPanel * kPanel < kSerialBelow ? 1 : ws.threads;
    parallel(threads, [&](int thread, int team) {
      for (int64_t chunk = chunks * thread / team; chunk < chunks * (thread + 1) / team; chunk++) {
        const int64_t first = chunk * kChunk, last = std::min(end, first + kChunk);
        for (int64_t i = k; i < end; i++) {
          double* to = x.row(i);
          for (int64_t t = k; t < i; t++) {
            const double by = l.row(i)[t];
            const double* from = x.row(t);
            for (int64_t j = first; j < last; j++) to[j] -= by * from[j];
          }
          const double pivot = l.row(i)[i];
          for (int64_t j = first; j < last; j++) to[j] /= pivot;
        }
      }
    });
  }
}

}  // namespace

void invert(int64_t n, RowsRef h, bool factor, Workspace& ws) {
  if (n == 0) return;
  double* data = static_cast<double*>(h.data);
  Arena memory;  // the products use the workspace's
  const size_t bytes = static_cast<size_t>(n * n) * sizeof(double);
  double* both = static_cast<double*>(memory.reserve(2 * bytes, "the inverse of a layer's Hessian"));
  const Matrix l{both, n}, x{both + n * n, n};
  double largest = 0;
  for (int64_t i = 0; i < n; i++) {
    for (int64_t j = 0; j < n; j++) l.row(i)[j] = data[(n - 1 - i) * h.stride + n - 1 - j];
    largest = std::max(largest, l.row(i)[i]);
  }
  // below it a pivot is rounding error of the sums before it
  const double floor = static_cast<double>(n) * 2.220446049250313e-16 * largest;
  if (!factor_lower(l, floor, ws))
    throw Error(ErrorCode::INVALID_INPUT, "the Hessian of a layer of " + std::to_string(n) +
                                              " inputs is singular or not finite; use more samples or a damping above 0");
  invert_lower(l, x, ws);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < n; j++) data[i * h.stride + j] = x.row(n - 1 - i)[n - 1 - j];
  if (factor) return;
  // U into l, then UᵀU; rows up to the diagonal, and those above it mirrored
  for (int64_t i = 0; i < n; i++) std::copy(data + i * h.stride, data + i * h.stride + n, l.row(i));
  for (int64_t i = 0; i < n; i += kStrip) {
    const int64_t rows = std::min(kStrip, n - i), columns = i + rows;
    gemm(Gemm<double>{rows, columns, columns, l.data + i, strided(rows, 1), strided(columns, n), l.data, strided(columns, n),
                      strided(columns, 1), data + i * h.stride, strided(rows, h.stride), strided(columns, 1), 1.0, false}, ws);
  }
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = i + 1; j < n; j++) data[i * h.stride + j] = data[j * h.stride + i];
}

}  // namespace hessia::cpu
