// Reading and adding through index arrays. Every index is checked before anything is written; one out of
// range throws INVALID_INPUT. The adjoints add in the order of the indices and never split one target among
// threads, so they are deterministic for any thread count.
#pragma once
#include "base/workspace.h"
#include "kernels/table.h"

namespace hessia::cpu {

void take(const TakeInstruction& t, Bindings bindings, Workspace& ws);
void take_transpose(const TakeTransposeInstruction& t, Bindings bindings, Workspace& ws);
void gather_elements(const GatherElementsInstruction& g, Bindings bindings, Workspace& ws);
void scatter_elements(const ScatterElementsInstruction& s, Bindings bindings, Workspace& ws);

}  // namespace hessia::cpu
