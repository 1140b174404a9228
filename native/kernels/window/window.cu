// Windows, one thread an element of what is written; meanings as window.h. The adjoint of the sum gathers, for
// every element, the windows that contain it: nothing is added twice, same bits every time.
#include "device/cuda/context.h"
#include "device/cuda/element.h"
#include "device/cuda/kernels.h"
#include "kernels/window/window.h"

namespace hessia::cuda {
namespace {

using cpu::WindowShape;

struct Place { int64_t plane, at[3]; };
HESSIA_DEVICE Place place_of(int64_t e, const int64_t (&size)[3]) {
  Place p;
  p.at[2] = e % size[2];
  e /= size[2];
  p.at[1] = e % size[1];
  e /= size[1];
  p.at[0] = e % size[0];
  p.plane = e / size[0];
  return p;
}
HESSIA_DEVICE int64_t flat(const Place& p, const int64_t (&size)[3]) {
  return ((p.plane * size[0] + p.at[0]) * size[1] + p.at[1]) * size[2] + p.at[2];
}

// Calls f(position in space) for every tap of the window at `p` that lies inside, in the order of the window.
template <class F> HESSIA_DEVICE void each_inside(const WindowShape& s, const Place& p, F f) {
  Place from = p;
  for (int64_t a = 0; a < s.window[0]; a++) {
    from.at[0] = p.at[0] * s.stride[0] + a * s.dilation[0] - s.pad[0];
    if (from.at[0] < 0 || from.at[0] >= s.space[0]) continue;
    for (int64_t b = 0; b < s.window[1]; b++) {
      from.at[1] = p.at[1] * s.stride[1] + b * s.dilation[1] - s.pad[1];
      if (from.at[1] < 0 || from.at[1] >= s.space[1]) continue;
      for (int64_t c = 0; c < s.window[2]; c++) {
        from.at[2] = p.at[2] * s.stride[2] + c * s.dilation[2] - s.pad[2];
        if (from.at[2] >= 0 && from.at[2] < s.space[2]) f(from);
      }
    }
  }
}
// The position along one axis whose tap `q` reads `at`, or -1.
HESSIA_DEVICE int64_t reader(const WindowShape& s, int d, int64_t at, int64_t q) {
  const int64_t from = at + s.pad[d] - q * s.dilation[d];
  if (from < 0 || from % s.stride[d] != 0) return -1;
  const int64_t p = from / s.stride[d];
  return p < s.positions[d] ? p : -1;
}

template <class T> __global__ void window_sums(WindowShape s, int64_t count, const T* x, T* y) {
  const int64_t e = flat_index();
  if (e >= count) return;
  T sum = T(0);
  each_inside(s, place_of(e, s.positions), [&](const Place& from) { sum += x[flat(from, s.space)]; });
  y[e] = sum;
}
template <class T> __global__ void window_sums_transposed(WindowShape s, int64_t count, T* x, const T* y) {
  const int64_t e = flat_index();
  if (e >= count) return;
  const Place p = place_of(e, s.space);
  Place from = p;
  T sum = T(0);
  for (int64_t a = 0; a < s.window[0]; a++) {
    if ((from.at[0] = reader(s, 0, p.at[0], a)) < 0) continue;
    for (int64_t b = 0; b < s.window[1]; b++) {
      if ((from.at[1] = reader(s, 1, p.at[1], b)) < 0) continue;
      for (int64_t c = 0; c < s.window[2]; c++) {
        if ((from.at[2] = reader(s, 2, p.at[2], c)) >= 0) sum += y[flat(from, s.positions)];
      }
    }
  }
  x[e] = sum;
}
template <class T> __global__ void window_argmax(WindowShape s, int64_t count, const T* x, int32_t* y) {
  const int64_t e = flat_index();
  if (e >= count) return;
  T best = T(0);
  int64_t best_at = -1;
  each_inside(s, place_of(e, s.positions), [&](const Place& from) {
    const T value = x[flat(from, s.space)];
    if (best_at >= 0 && !(value > best) && !(value != value && best == best)) return;
    best = value;
    best_at = (from.at[0] * s.space[1] + from.at[1]) * s.space[2] + from.at[2];
  });
  y[e] = best_at < 0 ? 0 : static_cast<int32_t>(best_at);
}

template <class T> void run(const WindowInstruction& i, Bindings bindings, Workspace& ws) {
  const WindowShape s = cpu::window_shape(i);
  T* x = base_of<T>(i.x, bindings) + i.x.offset;
  const int64_t positions = elements(i.y.shape), space = elements(i.x.shape);
  if (i.mode == WindowMode::Argmax) {
    launch(ws, window_argmax<T>, positions, s, positions, static_cast<const T*>(x), base_of<int32_t>(i.y, bindings) + i.y.offset);
    return;
  }
  T* y = base_of<T>(i.y, bindings) + i.y.offset;
  if (i.mode == WindowMode::Sum) launch(ws, window_sums<T>, positions, s, positions, static_cast<const T*>(x), y);
  else launch(ws, window_sums_transposed<T>, space, s, space, x, static_cast<const T*>(y));
}

}  // namespace

void window(const WindowInstruction& i, Bindings bindings, Workspace& ws) {
  if (i.x.dtype == DType::Float64) run<double>(i, bindings, ws);
  else run<float>(i, bindings, ws);
}

}  // namespace hessia::cuda
