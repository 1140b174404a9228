// One function per operation, operand form and compute type: d[i] = op(a[i], b[i], c[i]) for i < n, an operand
// whose bit is set in `variant` being one element. d may be exactly one of the operands.
#pragma once
#include "kernels/map/tile.h"

namespace hessia {
namespace HESSIA_ISA_NS {

template <class T> using TileFunction = void (*)(T* d, const T* a, const T* b, const T* c, int n);
// nullptr for an opcode or variant that does not exist.
TileFunction<float> tile_function_f32(MapOpcode opcode, int variant);
TileFunction<double> tile_function_f64(MapOpcode opcode, int variant);

inline __attribute__((always_inline)) TileFunction<float> tile_function(float, MapOpcode o, int v) { return tile_function_f32(o, v); }
inline __attribute__((always_inline)) TileFunction<double> tile_function(double, MapOpcode o, int v) { return tile_function_f64(o, v); }

}  // namespace HESSIA_ISA_NS
}  // namespace hessia
