// Convolution with one to three spatial axes, and its adjoints with respect to x and w; see ConvInstruction.
//
// forward writes y, input writes x, weight writes w; each adds to what is there if `accumulate`. The written
// operand overlaps none of the others. float32 and float64, summed in that type. Same bits for the same
// thread count; the weight gradient sums images per thread, so it depends on the thread count.
//
// forward and input: correlations (geometry.h), each a matrix product over patches (patches.h) with w packed
// once. weight: products of patches with gradients. The leading axis k becomes output channels where only w
// (or, for the weight gradient, only y) carries it, images where only x (y) carries it, and a loop otherwise.
// Cost: 2 · k · n · out · channels/groups · window · positions operations, plus copies of the input, at most
// one per tap and one per tap of the inner axes where the outermost stride is 1.
#pragma once
#include "kernels/table.h"

namespace hessia::cpu {

void conv(const ConvInstruction& instruction, Bindings bindings, Workspace& workspace);

}  // namespace hessia::cpu
