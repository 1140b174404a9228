// Sparse rows of vectors: per block of elements, the few largest of each row. See src/device/native.ts.
//
// Layout: block j covers elements j·block … of a row and has min(keep, its length) entries of every row. They lie
// block after block, in a block row after row: row r of block j starts at entry j·rows·keep + r·min(keep, length of
// the block). An entry is a 16-bit index into the block, ascending, and a value.
// Numbers: sums and products in float64, values rounded once. Determinism: parts depend on lengths and counts only.
// Cost: select 2 passes over the row and a partial sort of each block; gram and combine read every entry of the
// rows once, 6 bytes in float32, against pieces of x or y that stay in the cache.
#pragma once
#include "base/workspace.h"
#include "kernels/table.h"

namespace hessia::cpu {

// Entries of a row.
inline int64_t sparse_entries(int64_t length, int64_t block, int64_t keep) {
  const int64_t rest = length % block;
  return length / block * keep + (keep < rest ? keep : rest);
}

// Row `row` of s ← the largest entries of x in magnitude, of equals the first; they become 0 in x.
// What is not finite counts as largest.
void sparse_select(DType dtype, int64_t length, RowsRef x, SparseRef s, int64_t row, Workspace& ws);
void sparse_copy(DType dtype, int64_t length, SparseRef s, int64_t from, int64_t to, Workspace& ws);
// out[i · count + r] = x_i · s_(first + r)
void sparse_gram(DType dtype, int64_t length, RowsRef x, SparseRef s, int64_t first, int64_t count, double* out, Workspace& ws);
// y_j ← beta y_j + Σ_r c[j · count + r] s_(first + r); y is not read if beta is 0, nor a row whose coefficient is 0.
void sparse_combine(DType dtype, int64_t length, const double* c, SparseRef s, int64_t first, int64_t count, double beta,
                    RowsRef y, Workspace& ws);

}  // namespace hessia::cpu
