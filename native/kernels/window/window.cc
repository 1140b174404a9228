#include "kernels/window/window.h"

#include "test/reference/window.h"

namespace hessia::cpu {

void window(const WindowInstruction& instruction, Bindings bindings, Workspace&) { reference::window(instruction, bindings); }

}  // namespace hessia::cpu
