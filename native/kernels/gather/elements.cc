// y[..., j, ...] = x[..., index[..., j, ...], ...] along an axis, and its adjoint. The work is divided by lines
// along the axis: a line of index reads and writes one line of x, whatever the indices are.
#include <algorithm>

#include "base/parallel.h"
#include "kernels/gather/gather.h"
#include "kernels/gather/indices.h"
#include "kernels/move/move.h"
#include "kernels/odometer.h"

namespace hessia::cpu {
namespace {

// The positions other than along the axis, for three views.
struct Lines {
  std::vector<int64_t> size, x, index, y;
  int64_t count = 1;

  Lines(const View& vx, const View& vi, const View& vy, int axis) {
    for (int d = 0; d < static_cast<int>(vy.shape.size()); d++) {
      if (d == axis) continue;
      size.push_back(vy.shape[d]);
      x.push_back(vx.strides[d]);
      index.push_back(vi.strides[d]);
      y.push_back(vy.strides[d]);
      count *= vy.shape[d];
    }
  }
};

// f(offset in x, offset in index, offset in y) for every line, in parallel.
template <class F> void each_line(const Lines& lines, int64_t length, const View& x, const View& i, const View& y,
                                  Workspace& ws, F f) {
  const int threads = lines.count * length < kSerialBelow ? 1 : static_cast<int>(std::min<int64_t>(ws.threads, lines.count));
  parallel(threads, [&](int thread, int team) {
    const int64_t first = lines.count * thread / team, last = lines.count * (thread + 1) / team;
    Odometer<3> odometer(lines.size, {&lines.x, &lines.index, &lines.y}, static_cast<int>(lines.size.size()),
                         {x.offset, i.offset, y.offset});
    odometer.seek(first);
    for (int64_t l = first; l < last; l++, odometer.next()) f(odometer.at(0), odometer.at(1), odometer.at(2));
  });
}

void check(const Lines& lines, int64_t length, const View& x, const View& index, const View& y, int axis,
           Bindings bindings, Workspace& ws) {
  const int32_t* base = static_cast<const int32_t*>(bindings[index.binding]);
  const int64_t size = x.shape[axis], step = index.strides[axis];
  int64_t bad = -1;  // offset of an index out of range; the lowest, so that the message does not depend on timing
  each_line(lines, length, x, index, y, ws, [&](int64_t, int64_t i, int64_t) {
    for (int64_t j = 0; j < length; j++) {
      const int32_t value = base[i + j * step];
      if (value >= 0 && value < size) continue;
#pragma omp critical(hessia_bad_index)
      if (bad < 0 || i + j * step < bad) bad = i + j * step;
    }
  });
  if (bad >= 0) bad_index(base[bad], size);
}

}  // namespace

void gather_elements(const GatherElementsInstruction& g, Bindings bindings, Workspace& ws) {
  const Lines lines(g.x, g.index, g.y, g.axis);
  const int64_t length = g.y.shape[g.axis];
  if (lines.count * length == 0) return;
  check(lines, length, g.x, g.index, g.y, g.axis, bindings, ws);
  const int32_t* index = static_cast<const int32_t*>(bindings[g.index.binding]);
  const int64_t xs = g.x.strides[g.axis], is = g.index.strides[g.axis], ys = g.y.strides[g.axis];
  with_type(g.x.dtype, [&](auto zero) {
    using T = decltype(zero);
    const T* x = static_cast<const T*>(bindings[g.x.binding]);
    T* y = static_cast<T*>(bindings[g.y.binding]);
    each_line(lines, length, g.x, g.index, g.y, ws, [&](int64_t ax, int64_t ai, int64_t ay) {
      for (int64_t j = 0; j < length; j++) y[ay + j * ys] = x[ax + index[ai + j * is] * xs];
    });
  });
}

void scatter_elements(const ScatterElementsInstruction& s, Bindings bindings, Workspace& ws) {
  const Lines lines(s.x, s.index, s.y, s.axis);
  const int64_t length = s.y.shape[s.axis];
  if (lines.count * length != 0) check(lines, length, s.x, s.index, s.y, s.axis, bindings, ws);
  if (!s.accumulate) fill(FillInstruction{s.x, 0.0}, bindings, ws);
  if (lines.count * length == 0) return;
  const int32_t* index = static_cast<const int32_t*>(bindings[s.index.binding]);
  const int64_t xs = s.x.strides[s.axis], is = s.index.strides[s.axis], ys = s.y.strides[s.axis];
  with_type(s.x.dtype, [&](auto zero) {
    using T = decltype(zero);
    T* x = static_cast<T*>(bindings[s.x.binding]);
    const T* y = static_cast<const T*>(bindings[s.y.binding]);
    each_line(lines, length, s.x, s.index, s.y, ws, [&](int64_t ax, int64_t ai, int64_t ay) {
      for (int64_t j = 0; j < length; j++) {
        T& target = x[ax + index[ai + j * is] * xs];
        target = static_cast<T>(target + y[ay + j * ys]);
      }
    });
  });
}

}  // namespace hessia::cpu
