// The meaning of a map, one element at a time.
#pragma once
#include "kernels/table.h"

namespace hessia::reference {

// Sums are accumulated in long double; everything else in the compute type, with the C library's functions.
void map(const MapInstruction& m, Bindings bindings);
// One operation on scalars, for float and double.
template <class T> T scalar_op(MapOpcode opcode, T a, T b, T c);
extern template float scalar_op<float>(MapOpcode, float, float, float);
extern template double scalar_op<double>(MapOpcode, double, double, double);
extern template long double scalar_op<long double>(MapOpcode, long double, long double, long double);

}  // namespace hessia::reference
