// Copies between strided views and fills. Source and target are disjoint. Bound by memory traffic;
// transposes go block by block through the cache.
#pragma once
#include "base/workspace.h"
#include "kernels/table.h"

namespace hessia::cpu {

void copy(const CopyInstruction& c, Bindings bindings, Workspace& ws);
void fill(const FillInstruction& f, Bindings bindings, Workspace& ws);

}  // namespace hessia::cpu
