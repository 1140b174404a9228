#include "kernels/dot/dot.h"

#include "test/reference/dot.h"

namespace hessia::cpu {

void dot(const DotInstruction& instruction, Bindings bindings, Workspace&) { reference::dot(instruction, bindings); }

}  // namespace hessia::cpu
