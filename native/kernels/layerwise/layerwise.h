// Pruning and quantisation of one layer against its Hessian, in float64: ExactOBS, OBQ, GPTQ, SparseGPT. See
// src/device/native.ts.
//
// W is rows × length, H length × length and symmetric; every row w has the loss ½ δw H δwᵀ, alone.
//
//   invert     H⁻¹ = Uᵀ U, U upper triangular, or H⁻¹ itself              ⅔ length³, or length³ multiply-adds
//   eliminate  greedy: argmin e²/[H⁻¹]_qq, e = w_q − target; w −= e h_q/[H⁻¹]_qq; H⁻¹ −= h_q h_qᵀ/[H⁻¹]_qq
//              rows · length³/6: a Cholesky factorisation of H⁻¹ with pivots, whose updates wait for kDepth columns
//   sweep      columns from left to right: e = (w_i − target)/U_ii, w −= e U_i    ½ rows · length²
//
// Sources: Frantar, Singh, Alistarh (2022); Frantar, Ashkboos, Hoefler, Alistarh (2023); Frantar, Alistarh (2023).
// Every result is overwritten, nothing aliases. Determinism: a row's result does not depend on the thread count or on
// the other rows, but for the thresholds of sweep, which are exact.
#pragma once
#include "base/workspace.h"
#include "kernels/table.h"

namespace hessia::cpu {

void invert(int64_t length, RowsRef h, bool factor, Workspace& ws);
void eliminate(int64_t length, RowsRef inverse, RowsRef w, const EliminateRule& rule, const QuantGrid& grid, RowsRef order,
               RowsRef losses, Workspace& ws);
void sweep(int64_t length, RowsRef factor, RowsRef w, const SweepRule& rule, const QuantGrid& grid, RowsRef losses, Workspace& ws);

// The grid of each group of columns of a row, from its weights now: 0 is always on it. Scales are float32 numbers, as
// they are stored.
void fit_grid(const QuantGrid& grid, const double* w, int64_t first, int64_t last, double* scales, double* zeros);
double on_grid(const QuantGrid& grid, double w, double scale, double zero);

}  // namespace hessia::cpu
