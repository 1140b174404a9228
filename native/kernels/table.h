// One function table per device: everything the executor and the vector operations call. A second device
// fills the same table; the executor does not change.
//
// Kernels get the decoded instruction and the address of each binding for this run. Contract: views have
// been checked against the bindings when the program was loaded; outputs do not overlap inputs unless a
// view is exactly equal (element-wise in place, accumulate); a kernel may throw hessia::Error only for bad
// *values* (an index out of range) or memory. Results depend on the build, the CPU and the thread count,
// never on timing.
#pragma once
#include <cstdint>

#include "program/instruction.h"

namespace hessia {

struct Workspace;  // per-device scratch memory and thread count (device/<kind>/)

// bindings[v.binding] is the base address that v.offset counts from.
using Bindings = void* const*;

// Rows of vectors: row r starts at data + r * stride elements.
struct RowsRef { void* data; int64_t rows, stride; };
// Sparse rows (kernels/sparse): capacity `rows`, entries per row and block of elements `keep`.
struct SparseRef { uint16_t* indices; void* values; int64_t rows, block, keep; };

// The numbers scale · (q − zero), q in low … high, of each row and group of columns (kernels/layerwise).
struct QuantGrid {
  int low = 0, high = -1;  // high < low: no grid
  bool symmetric = false;  // zero is 0
  bool later = false;      // sweep: a group's grid is fitted when its first column is reached
  int64_t groups = 0;
  const int32_t* group = nullptr;           // of each column; columns of a group need not be neighbours unless `later`
  RowsRef scales{nullptr, 0, 0}, zeros{nullptr, 0, 0};  // rows × groups, written

  bool present() const { return high >= low; }
};
// `prune[r]` weights of row r become 0 in whole blocks of `block` columns, at most of − keep in each `of` columns
// (of = 0: anywhere), or those that `order` lists, if it is given; then, where there is a grid, all others are quantised.
struct EliminateRule { int64_t block, keep, of; bool given; const double* prune; };
// Of each `block` columns the share `sparsity` of all rows' weights becomes 0, or all but `keep` of each `of` columns.
struct SweepRule { int64_t block, keep, of; double sparsity; };

enum class Distribution : int { Normal = 0, Rademacher = 1, Uniform = 2 };

struct KernelTable {
  const char* name;
  void (*map)(const MapInstruction&, Bindings, Workspace&);
  void (*copy)(const CopyInstruction&, Bindings, Workspace&);
  void (*fill)(const FillInstruction&, Bindings, Workspace&);
  void (*dot)(const DotInstruction&, Bindings, Workspace&);
  void (*conv)(const ConvInstruction&, Bindings, Workspace&);
  void (*window)(const WindowInstruction&, Bindings, Workspace&);
  void (*take)(const TakeInstruction&, Bindings, Workspace&);
  void (*take_transpose)(const TakeTransposeInstruction&, Bindings, Workspace&);
  void (*gather_elements)(const GatherElementsInstruction&, Bindings, Workspace&);
  void (*scatter_elements)(const ScatterElementsInstruction&, Bindings, Workspace&);
  void (*arg_reduce)(const ArgReduceInstruction&, Bindings, Workspace&);
  void (*cumsum)(const CumsumInstruction&, Bindings, Workspace&);
  void (*argsort)(const ArgsortInstruction&, Bindings, Workspace&);

  // Vector operations of the solvers; see src/device/native.ts for what each means.
  void (*gram)(DType, int64_t length, RowsRef a, RowsRef b, double* out, Workspace&);
  void (*combine)(DType, int64_t length, const double* c, RowsRef a, double beta, RowsRef b, Workspace&);
  void (*round_bfloat16)(int64_t length, RowsRef a, RowsRef b, Workspace&);
  void (*orthogonalize)(DType, int64_t length, RowsRef basis, RowsRef w, double* out, Workspace&);
  void (*sparse_select)(DType, int64_t length, RowsRef x, SparseRef s, int64_t row, Workspace&);
  void (*sparse_copy)(DType, int64_t length, SparseRef s, int64_t from, int64_t to, Workspace&);
  void (*sparse_gram)(DType, int64_t length, RowsRef x, SparseRef s, int64_t first, int64_t count, double* out, Workspace&);
  void (*sparse_combine)(DType, int64_t length, const double* c, SparseRef s, int64_t first, int64_t count, double beta,
                         RowsRef y, Workspace&);
  void (*random)(DType, int64_t length, RowsRef target, Distribution, uint64_t seed, uint64_t stream, Workspace&);

  // Layers, in float64 (kernels/layerwise).
  void (*invert)(int64_t length, RowsRef h, bool factor, Workspace&);
  void (*eliminate)(int64_t length, RowsRef inverse, RowsRef w, const EliminateRule&, const QuantGrid&, RowsRef order,
                    RowsRef losses, Workspace&);
  void (*sweep)(int64_t length, RowsRef factor, RowsRef w, const SweepRule&, const QuantGrid&, RowsRef losses, Workspace&);
};

}  // namespace hessia
