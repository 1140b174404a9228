// The kernels under test. main.cc runs every test once per instruction set of the CPU, and those that are not
// CPU_TESTs once more on the CUDA plug-in: the emulated one, or the one that HESSIA_CUDA names.
#pragma once
#include <memory>
#include <vector>

#include "base/workspace.h"
#include "device/backend.h"

namespace hessia::test {

bool on_cpu();
// A backend of its own, of the kind under test.
std::unique_ptr<Backend> new_backend();
// The one that the calls below use and that Guarded memory belongs to.
Backend& backend();

// The thread counts to try: one where the CPU is not under test.
inline std::vector<int> thread_counts(std::vector<int> on_the_cpu) {
  if (!on_cpu()) on_the_cpu.resize(1);
  return on_the_cpu;
}

// A vector in memory that the kernels under test can reach.
template <class T> struct SharedAllocator {
  using value_type = T;
  SharedAllocator() = default;
  template <class U> SharedAllocator(const SharedAllocator<U>&) {}
  T* allocate(size_t n) { return static_cast<T*>(backend().allocate_shared(n * sizeof(T))); }
  void deallocate(T* data, size_t) { backend().release_shared(data); }
  bool operator==(const SharedAllocator&) const { return true; }
  bool operator!=(const SharedAllocator&) const { return false; }
};
template <class T> using Shared = std::vector<T, SharedAllocator<T>>;

// The kernels by name: table entries of the backend under test. Each returns when it is done. The threads of the
// workspace given count on the CPU only.
namespace run {

template <class... P, class... A> void call(void (*KernelTable::*entry)(P...), Workspace& ws, const A&... arguments) {
  (backend().kernels().*entry)(arguments..., on_cpu() ? ws : backend().workspace());
  backend().finish();
}

inline void map(const MapInstruction& i, Bindings b, Workspace& ws) { call(&KernelTable::map, ws, i, b); }
inline void copy(const CopyInstruction& i, Bindings b, Workspace& ws) { call(&KernelTable::copy, ws, i, b); }
inline void fill(const FillInstruction& i, Bindings b, Workspace& ws) { call(&KernelTable::fill, ws, i, b); }
inline void dot(const DotInstruction& i, Bindings b, Workspace& ws) { call(&KernelTable::dot, ws, i, b); }
inline void conv(const ConvInstruction& i, Bindings b, Workspace& ws) { call(&KernelTable::conv, ws, i, b); }
inline void window(const WindowInstruction& i, Bindings b, Workspace& ws) { call(&KernelTable::window, ws, i, b); }
inline void take(const TakeInstruction& i, Bindings b, Workspace& ws) { call(&KernelTable::take, ws, i, b); }
inline void take_transpose(const TakeTransposeInstruction& i, Bindings b, Workspace& ws) {
  call(&KernelTable::take_transpose, ws, i, b);
}
inline void gather_elements(const GatherElementsInstruction& i, Bindings b, Workspace& ws) {
  call(&KernelTable::gather_elements, ws, i, b);
}
inline void scatter_elements(const ScatterElementsInstruction& i, Bindings b, Workspace& ws) {
  call(&KernelTable::scatter_elements, ws, i, b);
}
inline void arg_reduce(const ArgReduceInstruction& i, Bindings b, Workspace& ws) { call(&KernelTable::arg_reduce, ws, i, b); }
inline void cumsum(const CumsumInstruction& i, Bindings b, Workspace& ws) { call(&KernelTable::cumsum, ws, i, b); }
inline void argsort(const ArgsortInstruction& i, Bindings b, Workspace& ws) { call(&KernelTable::argsort, ws, i, b); }
inline void gram(DType t, int64_t n, RowsRef a, RowsRef b, double* out, Workspace& ws) { call(&KernelTable::gram, ws, t, n, a, b, out); }
inline void combine(DType t, int64_t n, const double* c, RowsRef a, double beta, RowsRef b, Workspace& ws) {
  call(&KernelTable::combine, ws, t, n, c, a, beta, b);
}
inline void round_bfloat16(int64_t n, RowsRef a, RowsRef b, Workspace& ws) { call(&KernelTable::round_bfloat16, ws, n, a, b); }
inline void orthogonalize(DType t, int64_t n, RowsRef basis, RowsRef w, double* out, Workspace& ws) {
  call(&KernelTable::orthogonalize, ws, t, n, basis, w, out);
}
inline void random(DType t, int64_t n, RowsRef target, Distribution d, uint64_t seed, uint64_t stream, Workspace& ws) {
  call(&KernelTable::random, ws, t, n, target, d, seed, stream);
}

}  // namespace run
}  // namespace hessia::test
