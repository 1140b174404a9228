#include "kernels/window/window.h"

#include "base/workspace.h"
#include "kernels/window/planes.h"

namespace hessia::cpu {
namespace {

template <class T> const WindowKernels<T>& kernels();
template <> const WindowKernels<float>& kernels<float>() { return HESSIA_PICK_ISA(window_table).f32; }
template <> const WindowKernels<double>& kernels<double>() { return HESSIA_PICK_ISA(window_table).f64; }

template <class T>
void run(const WindowInstruction& i, Bindings bindings, Workspace& workspace) {
  const WindowShape s = window_shape(i);
  const int64_t n = i.x.shape[0];
  const int64_t space = s.space[0] * s.space[1] * s.space[2];
  const int64_t positions = s.positions[0] * s.positions[1] * s.positions[2];
  const int64_t taps = s.window[0] * s.window[1] * s.window[2];
  const WindowKernels<T>& table = kernels<T>();
  T* x = static_cast<T*>(bindings[i.x.binding]) + i.x.offset;
  const bool serial = n * (positions * taps + space) < kSerialBelow;
#pragma omp parallel for num_threads(workspace.threads) schedule(static) if (!serial)
  for (int64_t plane = 0; plane < n; ++plane) {
    T* from = x + plane * space;
    if (i.mode == WindowMode::Argmax) {
      table.argmax(s, from, static_cast<int32_t*>(bindings[i.y.binding]) + i.y.offset + plane * positions);
      continue;
    }
    T* y = static_cast<T*>(bindings[i.y.binding]) + i.y.offset + plane * positions;
    if (i.mode == WindowMode::Sum) table.sum(s, from, y);
    else table.sum_transpose(s, from, y);
  }
}

}  // namespace

WindowShape window_shape(const WindowInstruction& i) {
  WindowShape s;
  const size_t spatial = i.window.size(), missing = 3 - spatial;
  for (size_t d = 0; d < 3; ++d) {
    const bool real = d >= missing;
    const size_t from = d - missing;
    s.space[d] = real ? i.x.shape[from + 1] : 1;
    s.positions[d] = real ? i.y.shape[from + 1] : 1;
    s.window[d] = real ? i.window[from] : 1;
    s.stride[d] = real ? i.strides[from] : 1;
    s.pad[d] = real ? i.pad_low[from] : 0;
    s.dilation[d] = real ? i.dilations[from] : 1;
  }
  return s;
}

void window(const WindowInstruction& instruction, Bindings bindings, Workspace& workspace) {
  if (instruction.x.dtype == DType::Float64) run<double>(instruction, bindings, workspace);
  else run<float>(instruction, bindings, workspace);
}

}  // namespace hessia::cpu
