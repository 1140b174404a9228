#pragma once
#include "kernels/table.h"

namespace hessia::cpu {

void conv(const ConvInstruction& instruction, Bindings bindings, Workspace& workspace);

}  // namespace hessia::cpu
