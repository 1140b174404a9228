#include <cmath>
#include <cstring>

#include "kernels/map/math.h"
#include "kernels/map/tile_ops.h"

namespace hessia {
namespace HESSIA_ISA_NS {
namespace {

void sin_(double* d, const double* a, const double*, const double*, int n) {
  for (int i = 0; i < n; i++) d[i] = std::sin(a[i]);
}
void cos_(double* d, const double* a, const double*, const double*, int n) {
  for (int i = 0; i < n; i++) d[i] = std::cos(a[i]);
}

}  // namespace

#define HESSIA_T double
#include "kernels/map/tile_ops.inc"

TileFunction<double> tile_function_f64(MapOpcode opcode, int variant) { return find(opcode, variant); }

}  // namespace HESSIA_ISA_NS
}  // namespace hessia
