// Element-wise products, with loops for the strides that vectorise: 1 and 0.
#include "kernels/dot/rows.h"

namespace hessia::HESSIA_ISA_NS {
namespace {

template <class T, int StrideA, int StrideB>
void unit_strides(const cpu::ProductRow<T>& r) {
  const T* __restrict__ a = r.a;
  const T* __restrict__ b = r.b;
  T* __restrict__ c = r.c;
  const T alpha = r.alpha;
  if (r.accumulate) {
    for (int64_t i = 0; i < r.count; ++i) c[i] += alpha * a[i * StrideA] * b[i * StrideB];
  } else {
    for (int64_t i = 0; i < r.count; ++i) c[i] = alpha * a[i * StrideA] * b[i * StrideB];
  }
}

template <class T>
void multiply(const cpu::ProductRow<T>& r) {
  if (r.stride_c == 1 && r.stride_a == 1 && r.stride_b == 1) return unit_strides<T, 1, 1>(r);
  if (r.stride_c == 1 && r.stride_a == 0 && r.stride_b == 1) return unit_strides<T, 0, 1>(r);
  if (r.stride_c == 1 && r.stride_a == 1 && r.stride_b == 0) return unit_strides<T, 1, 0>(r);
  for (int64_t i = 0; i < r.count; ++i) {
    const T value = r.alpha * r.a[i * r.stride_a] * r.b[i * r.stride_b];
    T& c = r.c[i * r.stride_c];
    c = r.accumulate ? c + value : value;
  }
}

}  // namespace

extern const cpu::RowTable row_table;
const cpu::RowTable row_table = {multiply<float>, multiply<double>};

}  // namespace hessia::HESSIA_ISA_NS
