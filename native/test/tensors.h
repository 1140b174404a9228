// Random operands for kernel tests: guarded buffers, views into them, comparison with a reference run.
#pragma once
#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "kernels/table.h"
#include "test/harness.h"

namespace hessia::test {

using Rng = std::mt19937_64;

inline double epsilon(DType t) { return t == DType::Float64 ? 2.3e-16 : 1.2e-7; }

// A view that owns its memory, exactly as large as the view reaches: reads outside hit NaN, writes outside
// the guard zones.
class Tensor {
 public:
  View view;

  Tensor(Rng& rng, int binding, DType dtype, std::vector<int64_t> shape, std::vector<int64_t> strides)
      : view{binding, dtype, 0, shape, strides} {
    int64_t low = 0, high = 0;
    for (size_t d = 0; d < shape.size(); ++d) {
      const int64_t reach = (shape[d] - 1) * strides[d];
      if (shape[d] > 0) (reach < 0 ? low : high) += reach;
    }
    view.offset = -low;
    const int64_t bytes = (high - low + 1) * bytes_per_element(dtype);
    memory_ = std::make_unique<Guarded>(static_cast<size_t>(bytes), static_cast<size_t>(bytes_per_element(dtype) * pick(rng, 0, 3)));
    elements_ = high - low + 1;
  }
  void* data() { return memory_->data(); }
  int64_t elements() const { return elements_; }

  // Every element of the memory, also between the elements of the view.
  void fill(Rng& rng) {
    std::uniform_real_distribution<double> uniform(-1, 1);
    for (int64_t i = 0; i < elements_; ++i) {
      if (view.dtype == DType::Float64) memory_->as<double>()[i] = uniform(rng);
      else memory_->as<float>()[i] = static_cast<float>(uniform(rng));
    }
  }
  std::vector<unsigned char> bytes() const {
    const unsigned char* from = static_cast<unsigned char*>(memory_->data());
    return {from, from + memory_->bytes()};
  }
  void set_bytes(const std::vector<unsigned char>& from) { std::memcpy(memory_->data(), from.data(), from.size()); }
  double at(int64_t i) const {
    return view.dtype == DType::Float64 ? memory_->as<double>()[i]
         : view.dtype == DType::Int32 ? memory_->as<int32_t>()[i] : memory_->as<float>()[i];
  }
  bool intact() const { return memory_->intact(); }

 private:
  std::unique_ptr<Guarded> memory_;
  int64_t elements_ = 0;
};

inline std::vector<int64_t> row_major(const std::vector<int64_t>& shape) {
  std::vector<int64_t> strides(shape.size());
  int64_t step = 1;
  for (size_t d = shape.size(); d-- > 0;) {
    strides[d] = step;
    step *= std::max<int64_t>(shape[d], 1);
  }
  return strides;
}

// Axes in random order in memory, sometimes with gaps, sometimes backwards.
inline std::vector<int64_t> random_strides(Rng& rng, const std::vector<int64_t>& shape, bool plain) {
  std::vector<size_t> order(shape.size());
  for (size_t d = 0; d < order.size(); ++d) order[d] = d;
  if (!plain) std::shuffle(order.begin(), order.end(), rng);
  std::vector<int64_t> strides(shape.size());
  int64_t step = 1;
  for (size_t i = order.size(); i-- > 0;) {
    const size_t d = order[i];
    if (!plain && pick(rng, 0, 5) == 0) step += pick(rng, 1, 3);
    strides[d] = step;
    step *= std::max<int64_t>(shape[d], 1);
    if (!plain && pick(rng, 0, 9) == 0) strides[d] = -strides[d];
  }
  return strides;
}

}  // namespace hessia::test
