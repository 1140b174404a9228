// y[o, j, i] = x[o, index[j], i] and its adjoint. Cost: one pass over y (and x for the adjoint).
#include <algorithm>
#include <cstring>

#include "base/numbers.h"
#include "base/parallel.h"
#include "kernels/gather/gather.h"
#include "kernels/gather/indices.h"
#include "kernels/move/move.h"

namespace hessia::cpu {
namespace {

constexpr int64_t kPiece = 4096;  // inner elements per unit of the adjoint

const int32_t* checked_indices(const View& index, int64_t size, Bindings bindings) {
  const int32_t* at = static_cast<const int32_t*>(bindings[index.binding]) + index.offset;
  for (int64_t j = 0; j < index.shape[0]; j++) {
    const int32_t value = at[j * index.strides[0]];
    if (value < 0 || value >= size) bad_index(value, size);
  }
  return at;
}

}  // namespace

void take(const TakeInstruction& t, Bindings bindings, Workspace& ws) {
  const int64_t outer = t.y.shape[0], count = t.y.shape[1], inner = t.y.shape[2], step = t.index.strides[0];
  if (outer * count * inner == 0) return;
  const int32_t* index = checked_indices(t.index, t.x.shape[1], bindings);
  with_type(t.x.dtype, [&](auto zero) {
    using T = decltype(zero);
    const T* x = static_cast<const T*>(bindings[t.x.binding]) + t.x.offset;
    T* y = static_cast<T*>(bindings[t.y.binding]) + t.y.offset;
    const auto &xs = t.x.strides, &ys = t.y.strides;
    const int threads = outer * count * inner < kSerialBelow ? 1 : ws.threads;
    parallel(threads, [&](int thread, int team) {
      for (int64_t u = outer * count * thread / team; u < outer * count * (thread + 1) / team; u++) {
        const int64_t o = u / count, j = u % count;
        const T* from = x + o * xs[0] + index[j * step] * xs[1];
        T* to = y + o * ys[0] + j * ys[1];
        if (xs[2] == 1 && ys[2] == 1) std::memcpy(to, from, static_cast<size_t>(inner) * sizeof(T));
        else for (int64_t i = 0; i < inner; i++) to[i * ys[2]] = from[i * xs[2]];
      }
    });
  });
}

void take_transpose(const TakeTransposeInstruction& t, Bindings bindings, Workspace& ws) {
  const int64_t outer = t.y.shape[0], count = t.y.shape[1], inner = t.y.shape[2], step = t.index.strides[0];
  const int32_t* index = checked_indices(t.index, t.x.shape[1], bindings);
  if (!t.accumulate) fill(FillInstruction{t.x, 0.0}, bindings, ws);
  if (outer * count * inner == 0) return;
  with_type(t.x.dtype, [&](auto zero) {
    using T = decltype(zero);
    T* x = static_cast<T*>(bindings[t.x.binding]) + t.x.offset;
    const T* y = static_cast<const T*>(bindings[t.y.binding]) + t.y.offset;
    const auto &xs = t.x.strides, &ys = t.y.strides;
    // Units are (outer, piece of inner): no two touch the same element of x. Short inner axes are cut finer.
    const int64_t piece = std::max<int64_t>(16, std::min(kPiece, ceil_div(inner * outer, 64)));
    const int64_t pieces = ceil_div(inner, piece), units = outer * pieces;
    const int threads = outer * count * inner < kSerialBelow ? 1 : static_cast<int>(std::min<int64_t>(ws.threads, units));
    parallel(threads, [&](int thread, int team) {
      for (int64_t u = units * thread / team; u < units * (thread + 1) / team; u++) {
        const int64_t o = u / pieces, start = u % pieces * piece, n = std::min(piece, inner - start);
        for (int64_t j = 0; j < count; j++) {
          T* to = x + o * xs[0] + index[j * step] * xs[1] + start * xs[2];
          const T* from = y + o * ys[0] + j * ys[1] + start * ys[2];
          if (xs[2] == 1 && ys[2] == 1) for (int64_t i = 0; i < n; i++) to[i] = static_cast<T>(to[i] + from[i]);
          else for (int64_t i = 0; i < n; i++) to[i * xs[2]] = static_cast<T>(to[i * xs[2]] + from[i * ys[2]]);
        }
      }
    });
  });
}

}  // namespace hessia::cpu
