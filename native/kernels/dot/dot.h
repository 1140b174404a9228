// c ← alpha · Σ a·b (+ c if accumulate), an einsum of two operands, as matrix products (see labels.h).
//
// Any strides, including 0 (broadcast) and negative; c must not overlap a or b, nor have stride 0 on a label
// larger than one. With nothing to sum, c ← 0 (or stays). float32 and float64, computed in that type; sums
// run in blocks of K. Same bits for the same thread count.
// Cost: 2 · (product of all label sizes) operations; tables of M + N + K offsets where labels do not nest.
#pragma once
#include "kernels/table.h"

namespace hessia::cpu {

void dot(const DotInstruction& instruction, Bindings bindings, Workspace& workspace);

}  // namespace hessia::cpu
