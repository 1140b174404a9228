#include "device/cpu/cpu.h"

#include <algorithm>
#include <cstring>

#if defined(_OPENMP)
#include <omp.h>
#endif

#include "base/isa.h"
#include "base/memory.h"
#include "kernels/conv/conv.h"
#include "kernels/dot/dot.h"
#include "kernels/gather/gather.h"
#include "kernels/krylov/krylov.h"
#include "kernels/layerwise/layerwise.h"
#include "kernels/map/map.h"
#include "kernels/move/move.h"
#include "kernels/random/random.h"
#include "kernels/scan/scan.h"
#include "kernels/sparse/sparse.h"
#include "kernels/window/window.h"

namespace hessia {
namespace {

class CpuBackend : public Backend {
 public:
  CpuBackend(int threads, bool use_onednn) {
    workspace_.threads = threads > 0 ? std::min(threads, 1024) : cpu_cores();
    workspace_.use_onednn = use_onednn;
  }
  const KernelTable& kernels() const override { return cpu_kernel_table(); }
  Workspace& workspace() override { return workspace_; }
  void* allocate(size_t bytes) override { return allocate_aligned(bytes, "a buffer"); }
  void release(void* data) noexcept override { free_aligned(data); }
  void start() override {
#if defined(_OPENMP)
    omp_set_num_threads(workspace_.threads);  // for libraries that open their own parallel regions
#endif
  }
  void upload(void* target, const void* source, size_t bytes) override { std::memcpy(target, source, bytes); }
  void download(void* target, const void* source, size_t bytes) override { std::memcpy(target, source, bytes); }

 private:
  Workspace workspace_;
};

}  // namespace

// Subnormal numbers are computed as such: the mode registers are left at their defaults.
const KernelTable& cpu_kernel_table() {
  static const KernelTable table = {
      "cpu",
      cpu::map, cpu::copy, cpu::fill, cpu::dot, cpu::conv, cpu::window,
      cpu::take, cpu::take_transpose, cpu::gather_elements, cpu::scatter_elements,
      cpu::arg_reduce, cpu::cumsum, cpu::argsort,
      cpu::gram, cpu::combine, cpu::round_bfloat16, cpu::orthogonalize,
      cpu::sparse_select, cpu::sparse_copy, cpu::sparse_gram, cpu::sparse_combine, cpu::random,
      cpu::invert, cpu::eliminate, cpu::sweep,
  };
  return table;
}

std::unique_ptr<Backend> create_cpu_backend(int threads, bool use_onednn) {
  return std::make_unique<CpuBackend>(threads, use_onednn);
}

}  // namespace hessia
