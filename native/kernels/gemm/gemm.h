// c ← alpha · a · b (+ c if accumulate), every operand addressed by one offset table or stride per dimension.
//
// Because an axis may be any list of offsets, one product serves every labelled contraction and every
// convolution: several labels merge into one M, N or K, and packing absorbs transposes, gaps and broadcasts.
//
//   element (i, j) of a = data[rows.at(i) + cols.at(j)],  a: M×K, b: K×N, c: M×N
//
// c must not overlap a or b. Float32 products are summed in float32 within blocks of K, and blocks in the
// type of c. Results depend on the instruction set and the thread count, not on timing.
// Cost: 2·M·N·K operations; packing touches a and b a constant number of times.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/isa.h"

namespace hessia {
struct Workspace;
}

namespace hessia::cpu {

// Offsets of the indices of one dimension, in elements.
struct Axis {
  int64_t count;
  const int64_t* table;  // null: stride · i
  int64_t stride;
  int64_t run = 0;       // of a table: offsets come in runs of this many consecutive ones; 0 if they do not

  __attribute__((always_inline)) int64_t at(int64_t i) const { return table ? table[i] : i * stride; }
  __attribute__((always_inline)) bool unit() const { return !table && (stride == 1 || count <= 1); }
};
inline Axis strided(int64_t count, int64_t stride) { return {count, nullptr, stride}; }
inline Axis listed(int64_t count, const int64_t* table, int64_t run = 0) { return {count, table, 0, run}; }

template <class T>
struct Gemm {
  int64_t m, n, k;
  const T* a;
  Axis a_rows, a_cols;
  const T* b;
  Axis b_rows, b_cols;
  T* c;
  Axis c_rows, c_cols;
  T alpha;
  bool accumulate;
  const T* packed_a = nullptr;  // optional: all of a, packed by GemmKernels::pack_a; a, a_rows, a_cols unused then
  bool b_in_place = false;      // b is in cache and its columns are consecutive: do not pack it
};

// Half-open rectangle of c and range of K.
struct GemmRange { int64_t m0, m1, n0, n1, k0, k1; };

// One thread's work, for one instruction set. `scratch` holds at least scratch_elements(problem) elements,
// aligned to 64 bytes.
template <class T>
struct GemmKernels {
  int64_t row_tile, column_tile, lanes;  // best multiples to cut M and N at, and elements of one vector
  int64_t (*scratch_elements)(const Gemm<T>&, const GemmRange&);
  void (*run)(const Gemm<T>&, const GemmRange&, T* scratch);
  // Packs all of a for Gemm::packed_a: m·k elements.
  void (*pack_a)(const Gemm<T>&, T* packed);
};
struct GemmTable {
  GemmKernels<float> f32;
  GemmKernels<double> f64;
};

}  // namespace hessia::cpu

namespace hessia {
HESSIA_DECLARE_ISA(cpu::GemmTable, gemm_table)
}

namespace hessia::cpu {

template <class T> const GemmKernels<T>& gemm_kernels();
template <> inline const GemmKernels<float>& gemm_kernels<float>() { return HESSIA_PICK_ISA(gemm_table).f32; }
template <> inline const GemmKernels<double>& gemm_kernels<double>() { return HESSIA_PICK_ISA(gemm_table).f64; }

// One product on all threads of the workspace. Uses its scratch memory.
template <class T>
void gemm(const Gemm<T>& problem, Workspace& workspace);

// `count` products of the same form, number i of them with a, b and c moved by the offsets at(i).
struct GemmShift { int64_t a, b, c; };
template <class T>
void gemm_batch(const Gemm<T>& problem, int64_t count, GemmShift (*at)(int64_t i, const void* context),
                const void* context, Workspace& workspace);

// The same product, turned so that vectors run along the better dimension of c.
template <class T>
Gemm<T> oriented(const Gemm<T>& g);

// The same with a and b exchanged: cᵀ = bᵀ · aᵀ.
template <class T>
Gemm<T> transposed(const Gemm<T>& g) {
  return {g.n, g.m, g.k, g.b, g.b_cols, g.b_rows, g.a, g.a_cols, g.a_rows,
          g.c, g.c_cols, g.c_rows, g.alpha, g.accumulate};
}

}  // namespace hessia::cpu
