// Sliding windows over one to three trailing axes: sums, their adjoint, and positions of maxima; see
// WindowInstruction.
//
// sum writes y, sumTranspose writes x (every element), argmax writes y (int32): the flat index into the spatial
// axes of the first maximum, a NaN counting as largest. Positions outside x add nothing and are never chosen;
// a window entirely outside yields index 0. No overlap between x and y. Parallel over n; sums in the order of
// the window whatever the thread count. Cost: n · positions · window operations.
#pragma once
#include "kernels/table.h"
#include "kernels/window/planes.h"

namespace hessia::cpu {

WindowShape window_shape(const WindowInstruction& instruction);

void window(const WindowInstruction& instruction, Bindings bindings, Workspace& workspace);

}  // namespace hessia::cpu
