// The lines of two views along an axis, visited in parallel.
#pragma once
#include <algorithm>
#include <vector>

#include "base/parallel.h"
#include "base/workspace.h"
#include "kernels/odometer.h"
#include "program/instruction.h"

namespace hessia::cpu {

// f(offset in x, offset in y) for each position of all axes but `axis`, in any order. `scale`: cost per
// element compared with an addition.
template <class F> void each_line(const View& x, const View& y, int axis, int64_t scale, Workspace& ws, F f) {
  std::vector<int64_t> size, xs, ys;
  int64_t lines = 1;
  for (int d = 0; d < static_cast<int>(x.shape.size()); d++) {
    if (d == axis) continue;
    size.push_back(x.shape[d]);
    xs.push_back(x.strides[d]);
    ys.push_back(y.strides[d]);
    lines *= x.shape[d];
  }
  const int64_t work = lines * x.shape[axis] * scale;
  const int threads = work < kSerialBelow ? 1 : static_cast<int>(std::min<int64_t>(ws.threads, lines));
  parallel(threads, [&](int thread, int team) {
    const int64_t first = lines * thread / team, last = lines * (thread + 1) / team;
    Odometer<2> odometer(size, {&xs, &ys}, static_cast<int>(size.size()), {x.offset, y.offset});
    odometer.seek(first);
    for (int64_t l = first; l < last; l++, odometer.next()) f(thread, odometer.at(0), odometer.at(1));
  });
}

}  // namespace hessia::cpu
