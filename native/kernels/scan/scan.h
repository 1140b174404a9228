// Work along one axis: position of an extreme, running sums, sorting. Parallel over the other axes only, so
// deterministic for any thread count. NaN counts as larger than everything (argReduce: as the extreme).
#pragma once
#include "base/workspace.h"
#include "kernels/table.h"

namespace hessia::cpu {

void arg_reduce(const ArgReduceInstruction& a, Bindings bindings, Workspace& ws);
void cumsum(const CumsumInstruction& c, Bindings bindings, Workspace& ws);
void argsort(const ArgsortInstruction& a, Bindings bindings, Workspace& ws);

}  // namespace hessia::cpu
