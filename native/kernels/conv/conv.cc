#include "kernels/conv/conv.h"

#include "test/reference/conv.h"

namespace hessia::cpu {

void conv(const ConvInstruction& instruction, Bindings bindings, Workspace&) { reference::conv(instruction, bindings); }

}  // namespace hessia::cpu
