// Correlations of images with weights: out[m][t] (+)= Σ_(c,j) w[m, (c,j)] · in[c][t · step + offset_j].
#pragma once
#include <cstdint>
#include <vector>

#include "kernels/conv/geometry.h"

namespace hessia {
struct Workspace;
}

namespace hessia::cpu {

// A weight element is w[unit.w + w_rows[m] + w_cols[(c, j)]]; image i is read at in[unit.in + image_in[i]] and
// written at out[unit.out + image_out[i] + out_rows[m] + position]. Units (groups, or several k) share the
// tables and differ by where they start.
struct CorrelateUnit { int64_t in, w, out; };
template <class T>
struct Correlate {
  Correlation correlation;
  int64_t channels;
  int64_t extent[kSpace];  // spatial sizes of the written array
  const T *in, *w;
  T* out;
  std::vector<CorrelateUnit> units;
  std::vector<int64_t> w_rows, w_cols, out_rows, image_in, image_out;
  bool accumulate;
};

template <class T>
void correlate(const Correlate<T>& problem, Workspace& workspace);

}  // namespace hessia::cpu
