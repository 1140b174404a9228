#pragma once
#include "kernels/table.h"

namespace hessia::cpu {

void dot(const DotInstruction& instruction, Bindings bindings, Workspace& workspace);

}  // namespace hessia::cpu
