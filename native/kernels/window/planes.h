// One window plane: the spatial axes of one n, always three of them (missing ones lead, with size 1).
#pragma once
#include <cstdint>

#include "base/isa.h"

namespace hessia::cpu {

struct WindowShape {
  int64_t space[3], positions[3], window[3], stride[3], pad[3], dilation[3];
};
template <class T>
struct WindowKernels {
  void (*sum)(const WindowShape&, const T* x, T* y);
  void (*sum_transpose)(const WindowShape&, T* x, const T* y);
  void (*argmax)(const WindowShape&, const T* x, int32_t* y);
};
struct WindowTable {
  WindowKernels<float> f32;
  WindowKernels<double> f64;
};

}  // namespace hessia::cpu

namespace hessia {
HESSIA_DECLARE_ISA(cpu::WindowTable, window_table)
}
