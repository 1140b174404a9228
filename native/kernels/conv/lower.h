// A convolution instruction as the correlations and products that every backend computes.
#pragma once
#include "kernels/conv/correlate.h"
#include "kernels/conv/weight.h"
#include "kernels/table.h"

namespace hessia::cpu {

template <class T> Correlate<T> forward_problem(const ConvInstruction& instruction, Bindings bindings);
// One per residue that some tap reaches; `gaps`: the other positions of x are zero.
template <class T>
std::vector<Correlate<T>> input_problems(const ConvInstruction& instruction, Bindings bindings, bool& gaps);
template <class T> WeightGradient<T> weight_problem(const ConvInstruction& instruction, Bindings bindings);

}  // namespace hessia::cpu
