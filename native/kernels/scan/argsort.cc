#include <algorithm>

#include "kernels/gather/indices.h"
#include "kernels/scan/lines.h"
#include "kernels/scan/scan.h"

namespace hessia::cpu {
namespace {

// Merge sort of `order` by `less`, through `spare`; stable, and no memory of its own.
template <class Less> void stable_sort(int32_t* order, int32_t* spare, int64_t n, Less less) {
  for (int64_t width = 1; width < n; width *= 2) {
    for (int64_t low = 0; low < n; low += 2 * width) {
      const int64_t middle = std::min(low + width, n), high = std::min(low + 2 * width, n);
      std::merge(order + low, order + middle, order + middle, order + high, spare + low, less);
    }
    std::copy(spare, spare + n, order);
  }
}

}  // namespace

void argsort(const ArgsortInstruction& a, Bindings bindings, Workspace& ws) {
  if (elements(a.y.shape) == 0) return;
  const int64_t length = a.x.shape[a.axis], step = a.x.strides[a.axis], out_step = a.y.strides[a.axis];
  int32_t* y = static_cast<int32_t*>(bindings[a.y.binding]);
  const int64_t each = (length * 4 + 63) / 64 * 64;
  char* scratch = static_cast<char*>(ws.scratch(static_cast<size_t>(2 * each * ws.threads)));
  with_type(a.x.dtype, [&](auto zero) {
    using T = decltype(zero);
    const T* x = static_cast<const T*>(bindings[a.x.binding]);
    each_line(a.x, a.y, a.axis, 20, ws, [&](int thread, int64_t ax, int64_t ay) {
      int32_t* order = reinterpret_cast<int32_t*>(scratch + 2 * each * thread);
      int32_t* spare = reinterpret_cast<int32_t*>(scratch + 2 * each * thread + each);
      for (int64_t j = 0; j < length; j++) order[j] = static_cast<int32_t>(j);
      const T* line = x + ax;
      const auto below = [line, step](int32_t i, int32_t j) {
        const T p = line[i * step], q = line[j * step];
        return p < q || (q != q && p == p);
      };
      if (a.descending) stable_sort(order, spare, length, [&](int32_t i, int32_t j) { return below(j, i); });
      else stable_sort(order, spare, length, below);
      for (int64_t j = 0; j < length; j++) y[ay + j * out_step] = order[j];
    });
  });
}

}  // namespace hessia::cpu
