#pragma once
#include "kernels/table.h"

namespace hessia::cpu {

void window(const WindowInstruction& instruction, Bindings bindings, Workspace& workspace);

}  // namespace hessia::cpu
