#include "kernels/conv/conv.h"

#include <algorithm>

#include "base/workspace.h"
#include "kernels/conv/lower.h"

namespace hessia::cpu {
namespace {

// Zero for the positions that no tap reaches.
template <class T>
void clear(const ConvInstruction& i, Bindings bindings, Workspace& workspace) {
  const ConvShape s = conv_shape(i);
  T* x = static_cast<T*>(bindings[i.x.binding]) + i.x.offset;
  const int64_t k = s.k, k_stride = i.x.strides[0], size = s.n * s.groups * s.in * s.space_size;
  constexpr int64_t kPiece = 16384;
  const int64_t pieces = (size + kPiece - 1) / kPiece;
#pragma omp parallel for num_threads(workspace.threads) schedule(static) if (k * size > kSerialBelow)
  for (int64_t piece = 0; piece < k * pieces; ++piece) {
    const int64_t from = piece % pieces * kPiece;
    std::fill_n(x + piece / pieces * k_stride + from, std::min(kPiece, size - from), T(0));
  }
}

template <class T>
void input(const ConvInstruction& i, Bindings bindings, Workspace& workspace) {
  bool gaps;
  const std::vector<Correlate<T>> problems = input_problems<T>(i, bindings, gaps);
  if (gaps && !i.accumulate) clear<T>(i, bindings, workspace);
  for (const Correlate<T>& p : problems) correlate(p, workspace);
}

template <class T>
void run(const ConvInstruction& i, Bindings bindings, Workspace& workspace) {
  switch (i.mode) {
    case ConvMode::Forward: return correlate(forward_problem<T>(i, bindings), workspace);
    case ConvMode::Input: return input<T>(i, bindings, workspace);
    case ConvMode::Weight: return weight_gradient(weight_problem<T>(i, bindings), workspace);
  }
}

}  // namespace

void conv(const ConvInstruction& instruction, Bindings bindings, Workspace& workspace) {
  if (instruction.x.dtype == DType::Float64) run<double>(instruction, bindings, workspace);
  else run<float>(instruction, bindings, workspace);
}

}  // namespace hessia::cpu
