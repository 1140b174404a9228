// target ← value, converted to the target's type (int32 truncates and saturates, bool is value ≠ 0).
#include <algorithm>

#include "base/numbers.h"
#include "base/parallel.h"
#include "kernels/map/axes.h"
#include "kernels/move/move.h"
#include "kernels/odometer.h"

namespace hessia::cpu {
namespace {

constexpr int64_t kPiece = 16384;

template <class T> void fill_as(const Axes& axes, T* base, int64_t offset, T value, Workspace& ws) {
  const int last = axes.rank() - 1;
  const int64_t length = axes.size[last], stride = axes.strides[0][last], pieces = ceil_div(length, kPiece);
  const int64_t units = axes.count() / length * pieces;
  const int threads = axes.count() < kSerialBelow ? 1 : static_cast<int>(std::min<int64_t>(ws.threads, units));
  parallel(threads, [&](int thread, int team) {
    const int64_t first = units * thread / team, end = units * (thread + 1) / team;
    Odometer<1> odometer(axes.size, {&axes.strides[0]}, last, {offset});
    odometer.seek(first / pieces);
    int64_t piece = first % pieces;
    for (int64_t u = first; u < end; u++) {
      const int64_t start = piece * kPiece, n = std::min(kPiece, length - start);
      T* to = base + odometer.at(0) + start * stride;
      if (stride == 1) std::fill(to, to + n, value);
      else for (int64_t i = 0; i < n; i++) to[i * stride] = value;
      if (++piece == pieces) {
        piece = 0;
        odometer.next();
      }
    }
  });
}

}  // namespace

void fill(const FillInstruction& f, Bindings bindings, Workspace& ws) {
  Axes axes;
  axes.size = f.target.shape;
  axes.reduced.assign(axes.size.size(), false);
  axes.strides = {f.target.strides};
  if (axes.count() == 0) return;
  drop_unit_axes(axes);
  sort_axes(axes, 1);
  merge_axes(axes);
  if (axes.rank() == 0) {
    axes.size = {1};
    axes.reduced = {false};
    axes.strides = {{1}};
  }
  void* base = bindings[f.target.binding];
  switch (f.target.dtype) {
    case DType::Float32: return fill_as(axes, static_cast<float*>(base), f.target.offset, static_cast<float>(f.value), ws);
    case DType::Float64: return fill_as(axes, static_cast<double*>(base), f.target.offset, f.value, ws);
    case DType::Int32: return fill_as(axes, static_cast<int32_t*>(base), f.target.offset, to_int32(f.value), ws);
    case DType::Bool: return fill_as(axes, static_cast<uint8_t*>(base), f.target.offset, static_cast<uint8_t>(f.value != 0), ws);
  }
}

}  // namespace hessia::cpu
