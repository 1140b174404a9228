// c[i] (+)= alpha · a[i] · b[i]: contractions without a matrix in them.
#pragma once
#include <cstdint>

#include "base/isa.h"

namespace hessia::cpu {

template <class T>
struct ProductRow {
  int64_t count;
  const T *a, *b;
  T* c;
  int64_t stride_a, stride_b, stride_c;
  T alpha;
  bool accumulate;
};
struct RowTable {
  void (*f32)(const ProductRow<float>&);
  void (*f64)(const ProductRow<double>&);
};

}  // namespace hessia::cpu

namespace hessia {
HESSIA_DECLARE_ISA(cpu::RowTable, row_table)
}

namespace hessia::cpu {
inline void multiply(const ProductRow<float>& row) { HESSIA_PICK_ISA(row_table).f32(row); }
inline void multiply(const ProductRow<double>& row) { HESSIA_PICK_ISA(row_table).f64(row); }
}  // namespace hessia::cpu
