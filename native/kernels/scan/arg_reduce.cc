#include "kernels/gather/indices.h"
#include "kernels/scan/lines.h"
#include "kernels/scan/scan.h"

namespace hessia::cpu {

void arg_reduce(const ArgReduceInstruction& a, Bindings bindings, Workspace& ws) {
  if (elements(a.y.shape) == 0) return;
  const int64_t length = a.x.shape[a.axis], step = a.x.strides[a.axis];
  int32_t* y = static_cast<int32_t*>(bindings[a.y.binding]);
  with_type(a.x.dtype, [&](auto zero) {
    using T = decltype(zero);
    const T* x = static_cast<const T*>(bindings[a.x.binding]);
    each_line(a.x, a.y, a.axis, 1, ws, [&](int, int64_t ax, int64_t ay) {
      const T* line = x + ax;
      int64_t best = 0;
      T value = line[0];
      for (int64_t j = 1; j < length && value == value; j++) {  // the first NaN ends the search
        const T next = line[j * step];
        if (next != next || (a.largest ? next > value : next < value)) {
          value = next;
          best = j;
        }
      }
      y[ay] = static_cast<int32_t>(best);
    });
  });
}

}  // namespace hessia::cpu
