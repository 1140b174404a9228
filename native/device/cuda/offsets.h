// Operands of products addressed by a stride or a table of offsets per index, as gemm.h has them on the CPU.
#pragma once
#include "device/cuda/context.h"

namespace hessia::cuda {

struct Offsets {
  const int64_t* table;  // null: stride · i
  int64_t stride;
  __device__ int64_t at(int64_t i) const { return table ? table[i] : i * stride; }
};

// What a plan keeps of one index.
class OffsetTable {
 public:
  OffsetTable() = default;
  OffsetTable(const std::shared_ptr<Context>& context, int64_t stride, const std::vector<int64_t>& table)
      : table_(context, table), stride_(stride) {}
  OffsetTable(const std::shared_ptr<Context>& context, const std::vector<int64_t>& table) : OffsetTable(context, 0, table) {}
  Offsets get() const { return {table_.data(), stride_}; }
  bool unit() const { return !table_.data() && stride_ == 1; }

 private:
  DeviceArray<int64_t> table_;
  int64_t stride_ = 0;
};

// a, b and c of product.h.
template <class T> struct Left {
  const T* data;
  Offsets units, rows, columns;
  bool k_fastest;
  __device__ T at(int64_t unit, int64_t i, int64_t k) const { return data[units.at(unit) + rows.at(i) + columns.at(k)]; }
};
template <class T> struct Right {
  const T* data;
  Offsets units, rows, columns;
  bool j_fastest;
  __device__ T at(int64_t unit, int64_t k, int64_t j) const { return data[units.at(unit) + rows.at(k) + columns.at(j)]; }
};
template <class T> struct Result {
  T* data;
  Offsets units, rows, columns;
  T alpha;
  bool accumulate;
  __device__ void put(int64_t unit, int64_t i, int64_t j, T x) const {
    T& to = data[units.at(unit) + rows.at(i) + columns.at(j)];
    to = accumulate ? to + alpha * x : alpha * x;
  }
};

}  // namespace hessia::cuda
