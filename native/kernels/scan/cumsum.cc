// Running sums; float types are summed in float64, int32 wraps around.
#include <cstdint>
#include <type_traits>

#include "kernels/gather/indices.h"
#include "kernels/scan/lines.h"
#include "kernels/scan/scan.h"

namespace hessia::cpu {

void cumsum(const CumsumInstruction& c, Bindings bindings, Workspace& ws) {
  if (elements(c.y.shape) == 0) return;
  const int64_t length = c.x.shape[c.axis];
  int64_t xs = c.x.strides[c.axis], ys = c.y.strides[c.axis];
  const int64_t start_x = c.reverse ? (length - 1) * xs : 0, start_y = c.reverse ? (length - 1) * ys : 0;
  if (c.reverse) {
    xs = -xs;
    ys = -ys;
  }
  with_type(c.x.dtype, [&](auto zero) {
    using T = decltype(zero);
    using Sum = std::conditional_t<std::is_floating_point_v<T>, double, uint32_t>;
    const T* x = static_cast<const T*>(bindings[c.x.binding]);
    T* y = static_cast<T*>(bindings[c.y.binding]);
    each_line(c.x, c.y, c.axis, 2, ws, [&](int, int64_t ax, int64_t ay) {
      const T* from = x + ax + start_x;
      T* to = y + ay + start_y;
      Sum sum = 0;
      for (int64_t j = 0; j < length; j++) {
        const Sum before = sum;
        sum += static_cast<Sum>(from[j * xs]);
        to[j * ys] = static_cast<T>(c.exclusive ? before : sum);
      }
    });
  });
}

}  // namespace hessia::cpu
