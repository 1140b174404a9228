// The kernels of the CUDA plug-in; contracts as kernels/table.h and the CPU's kernels state them. A kernel
// that is not declared here does not exist yet: the executor names it in an error.
#pragma once
#include "kernels/table.h"

namespace hessia::cuda {

void map(const MapInstruction&, Bindings, Workspace&);
void copy(const CopyInstruction&, Bindings, Workspace&);
void fill(const FillInstruction&, Bindings, Workspace&);
void dot(const DotInstruction&, Bindings, Workspace&);
void conv(const ConvInstruction&, Bindings, Workspace&);
void window(const WindowInstruction&, Bindings, Workspace&);
void take(const TakeInstruction&, Bindings, Workspace&);
void take_transpose(const TakeTransposeInstruction&, Bindings, Workspace&);
void gather_elements(const GatherElementsInstruction&, Bindings, Workspace&);
void scatter_elements(const ScatterElementsInstruction&, Bindings, Workspace&);
void arg_reduce(const ArgReduceInstruction&, Bindings, Workspace&);
void cumsum(const CumsumInstruction&, Bindings, Workspace&);
void argsort(const ArgsortInstruction&, Bindings, Workspace&);

void gram(DType, int64_t length, RowsRef a, RowsRef b, double* out, Workspace&);
void combine(DType, int64_t length, const double* c, RowsRef a, double beta, RowsRef b, Workspace&);
void round_bfloat16(int64_t length, RowsRef a, RowsRef b, Workspace&);
void orthogonalize(DType, int64_t length, RowsRef basis, RowsRef w, double* out, Workspace&);
void random(DType, int64_t length, RowsRef target, Distribution, uint64_t seed, uint64_t stream, Workspace&);

}  // namespace hessia::cuda
