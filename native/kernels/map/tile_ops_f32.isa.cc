#include <cmath>
#include <cstring>

#include "kernels/map/math.h"
#include "kernels/map/tile_ops.h"

namespace hessia {
namespace HESSIA_ISA_NS {
namespace {

// Large arguments need more digits of pi than the fast form carries: the C library's serve the tile then.
bool all_small(const float* a, int n) {
  int small = 1;
  for (int i = 0; i < n; i++) small &= !(std::fabs(a[i]) > kTrigonometricLimit);
  return small;
}
void sin_(float* d, const float* a, const float*, const float*, int n) {
  if (all_small(a, n)) {
    for (int i = 0; i < n; i++) d[i] = sine_of_quarters(a[i], 0);
  } else {
    for (int i = 0; i < n; i++) d[i] = std::sin(a[i]);
  }
}
void cos_(float* d, const float* a, const float*, const float*, int n) {
  if (all_small(a, n)) {
    for (int i = 0; i < n; i++) d[i] = sine_of_quarters(a[i], 1);
  } else {
    for (int i = 0; i < n; i++) d[i] = std::cos(a[i]);
  }
}

}  // namespace

#define HESSIA_T float
#include "kernels/map/tile_ops.inc"

TileFunction<float> tile_function_f32(MapOpcode opcode, int variant) { return find(opcode, variant); }

}  // namespace HESSIA_ISA_NS
}  // namespace hessia
