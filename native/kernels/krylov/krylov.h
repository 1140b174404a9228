// Vector operations of the solvers on rows of equal length. See src/device/native.ts.
//
// Numbers: products of float32 rows are summed in float32 over at most 512 terms (in 16 or more interleaved
// partial sums) and from there in float64; updates are computed in float64 and rounded once.
// Determinism: a row is cut into parts by its length and the row counts only; partial results are added in
// order. Cost: memory traffic. gram reads a and b once per 32 rows of a (once if they fit the cache
// together); combine reads a once per 4 rows of b; orthogonalize reads the basis three times.
// bfloat16 is a storage of many rows (b of gram, a of combine) beside float32: widened as it is read, exactly. Into fewer
// than four rows combine sums it in float32 over eight rows of a at a time: error 9·2⁻²⁴·Σ|c_i a_i| at most.
#pragma once
#include "base/isa.h"
#include "base/workspace.h"
#include "kernels/table.h"

namespace hessia {

struct BFloat16 { uint16_t bits; };  // the upper half of a float32

struct KrylovTable {
  // out[i * ldo + j] += a_i · b_j over n elements. diagonal >= 0: only j <= diagonal + i (rounded up) is needed.
  void (*gram_f32)(const float* a, int64_t lda, int64_t na, const float* b, int64_t ldb, int64_t nb, int64_t n, double* out,
                   int64_t ldo, int64_t diagonal);
  void (*gram_f64)(const double* a, int64_t lda, int64_t na, const double* b, int64_t ldb, int64_t nb, int64_t n, double* out,
                   int64_t ldo, int64_t diagonal);
  void (*gram_bf16)(const float* a, int64_t lda, int64_t na, const BFloat16* b, int64_t ldb, int64_t nb, int64_t n,
                    double* out, int64_t ldo, int64_t diagonal);
  // b_j ← beta b_j + Σ_i c[j * na + i] a_i over n elements. b is not read if beta is 0, nor a row of a where all
  // coefficients of a row of b (of four rows, if `used`, room for na indices, is given) are 0.
  void (*combine_f32)(const double* c, const float* a, int64_t lda, int64_t na, double beta, float* b, int64_t ldb,
                      int64_t nb, int64_t n, int32_t* used);
  void (*combine_f64)(const double* c, const double* a, int64_t lda, int64_t na, double beta, double* b, int64_t ldb,
                      int64_t nb, int64_t n, int32_t* used);
  void (*combine_bf16)(const double* c, const BFloat16* a, int64_t lda, int64_t na, double beta, float* b, int64_t ldb,
                       int64_t nb, int64_t n, int32_t* used);
};
HESSIA_DECLARE_ISA(KrylovTable, krylov_table)

namespace cpu {

void gram(DType dtype, int64_t length, RowsRef a, RowsRef b, double* out, Workspace& ws);
void combine(DType dtype, int64_t length, const double* c, RowsRef a, double beta, RowsRef b, Workspace& ws);
// b ← a (float32), rounded to nearest, ties to even; what is too large becomes infinite, NaN stays NaN.
void round_bfloat16(int64_t length, RowsRef a, RowsRef b, Workspace& ws);
// basis.rows coefficients, then the norm of w before and after.
void orthogonalize(DType dtype, int64_t length, RowsRef basis, RowsRef w, double* out, Workspace& ws);

}  // namespace cpu
}  // namespace hessia
