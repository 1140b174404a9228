// The plug-in: the CUDA backend behind the interface every device has, and the entry point of the library.
#include <algorithm>

#include "device/cuda/context.h"
#include "device/cuda/kernels.h"
#include "device/plugin.h"

namespace hessia::cuda {
namespace {

const KernelTable& kernel_table() {
  static const KernelTable table = {
      "cuda",
      map, copy, fill, dot, conv, window,
      take, take_transpose, gather_elements, scatter_elements,
      arg_reduce, cumsum, argsort,
      gram, combine, round_bfloat16, orthogonalize,
      nullptr, nullptr, nullptr, nullptr,  // sparse rows
      random,
      nullptr, nullptr, nullptr,  // layers: small, and serial in many steps
  };
  return table;
}

class CudaBackend : public Backend {
 public:
  CudaBackend() {
    workspace_.threads = 0;
    workspace_.context = std::make_shared<Context>();
  }
  ~CudaBackend() override {
    try {
      context().synchronize();
    } catch (const Error&) {  // what failed has been reported by those who waited for it
    }
  }
  const KernelTable& kernels() const override { return kernel_table(); }
  Workspace& workspace() override { return workspace_; }
  void* allocate(size_t bytes) override { return context().allocate(bytes, "a buffer"); }
  void release(void* data) noexcept override { context().release(data); }
  void start() override { context().use(); }
  void upload(void* target, const void* source, size_t bytes) override { context().upload(target, source, bytes); }
  void download(void* target, const void* source, size_t bytes) override { context().download(target, source, bytes); }
  void finish() override { context().synchronize(); }

  void* allocate_shared(size_t bytes) override {
    void* data = nullptr;
    check(cudaMallocManaged(&data, std::max<size_t>(bytes, 1)), "shared memory");
    return data;
  }
  void release_shared(void* data) noexcept override { cudaFree(data); }

 private:
  Context& context() { return *workspace_.context; }
  CudaWorkspace workspace_;
};

#if defined(__CUDACC__)
std::string dotted(int version) { return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10); }
#endif

PluginInfo info() {
  const Context context;  // throws where there is no GPU
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, 0), "properties");
  int driver = 0, runtime = 0;
  check(cudaDriverGetVersion(&driver), "the driver's version");
  check(cudaRuntimeGetVersion(&runtime), "the runtime's version");
#if defined(__CUDACC__)
  const std::string detail = "compute capability " + std::to_string(properties.major) + "." + std::to_string(properties.minor) +
                             ", CUDA " + dotted(runtime) + ", driver for " + dotted(driver) + ", built-in kernels";
#else
  const std::string detail = "on the processor, for tests";
#endif
  return {properties.name, detail, properties.totalGlobalMem};
}

std::unique_ptr<Backend> create() { return std::make_unique<CudaBackend>(); }

}  // namespace
}  // namespace hessia::cuda

extern "C"
#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
const hessia::Plugin* hessia_plugin() {
  using namespace hessia;
  static const Plugin plugin = {kPluginAbi, kVersion, kPluginLayout, cuda::info, cuda::create};
  return &plugin;
}
