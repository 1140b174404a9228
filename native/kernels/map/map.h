// Fused element-wise work with optional reductions. See MapInstruction in src/program/format.ts.
//
// Aliasing: an output may be exactly an input; otherwise they are disjoint. Determinism: every sum is cut
// into parts by sizes only, so the bits do not depend on the thread count. Cost: memory traffic of each view
// once, plus the arithmetic; about 0.3 µs per call for a handful of elements.
#pragma once
#include "base/workspace.h"
#include "kernels/table.h"

namespace hessia::cpu {

void map(const MapInstruction& m, Bindings bindings, Workspace& ws);

}  // namespace hessia::cpu
