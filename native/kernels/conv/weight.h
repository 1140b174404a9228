// The gradient with respect to the weights: out[o, (c,j)] (+)= Σ_(image, t) y[o][t] · in[c][t · step + offset_j].
#pragma once
#include <cstdint>
#include <vector>

#include "kernels/conv/geometry.h"

namespace hessia {
struct Workspace;
}

namespace hessia::cpu {

// Image i of x is at x[unit.x + image_x[i]], of y at y[unit.y + image_y[i] + y_rows[o] + position]; the result
// goes to out[unit.out + out_rows[o] + (c · taps + j)].
struct WeightUnit { int64_t x, y, out; };
template <class T>
struct WeightGradient {
  Correlation correlation;
  int64_t channels;
  const T *x, *y;
  T* out;
  std::vector<WeightUnit> units;
  std::vector<int64_t> y_rows, out_rows, image_x, image_y;
  bool accumulate;
};

template <class T>
void weight_gradient(const WeightGradient<T>& problem, Workspace& workspace);

}  // namespace hessia::cpu
