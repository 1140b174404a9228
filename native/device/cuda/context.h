// One GPU as the kernels see it: a stream, memory in the order of that stream, and launches.
//
// Everything happens in the order of one stream, also freeing: memory whose owner goes away while kernels
// that use it still wait is freed after them. Failures of a call throw at once; those of a kernel throw at
// the next synchronisation.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/numbers.h"
#include "base/workspace.h"
#include "device/cuda/runtime.h"

namespace hessia::cuda {

class Context {
 public:
  // The first GPU that is visible. Throws Error(ENVIRONMENT) where there is none.
  Context();
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  cudaStream_t stream() const { return stream_; }
  // Any thread.
  void* allocate(size_t bytes, const char* what);
  void release(void* data) noexcept;
  void upload(void* target, const void* source, size_t bytes);
  void download(void* target, const void* source, size_t bytes);  // waits
  void synchronize();
  // Makes this GPU the one that calls from this thread mean.
  void use() const;

 private:
  cudaStream_t stream_ = nullptr;
  std::string name_;
};

// Throws Error(INTERNAL) unless `error` is success.
void check(cudaError_t error, const char* what);

// An array on the GPU that a plan keeps; it keeps the context.
template <class T> class DeviceArray {
 public:
  DeviceArray() = default;
  DeviceArray(const std::shared_ptr<Context>& context, const std::vector<T>& values) {
    if (values.empty()) return;
    const size_t bytes = values.size() * sizeof(T);
    data_ = std::shared_ptr<T>(static_cast<T*>(context->allocate(bytes, "a table")), [context](T* p) { context->release(p); });
    context->upload(data_.get(), values.data(), bytes);
  }
  const T* data() const { return data_.get(); }

 private:
  std::shared_ptr<T> data_;
};

struct CudaWorkspace : Workspace {
  std::shared_ptr<Context> context;
  // As Workspace::scratch, on the GPU.
  void* device_scratch(size_t bytes) {
    if (bytes > capacity_) {
      context->release(scratch_);
      scratch_ = nullptr;
      capacity_ = 0;
      scratch_ = context->allocate(bytes, "scratch memory");
      capacity_ = bytes;
    }
    return scratch_;
  }
  ~CudaWorkspace() {
    if (context) context->release(scratch_);
  }

 private:
  void* scratch_ = nullptr;
  size_t capacity_ = 0;
};
inline CudaWorkspace& gpu(Workspace& workspace) { return static_cast<CudaWorkspace&>(workspace); }

// A kernel with barriers: `grid` blocks of kThreads.
template <class... P, class... A>
void launch_blocks(Workspace& workspace, void (*kernel)(P...), dim3 grid, const A&... arguments) {
#if defined(__CUDACC__)
  kernel<<<grid, kThreads, 0, gpu(workspace).context->stream()>>>(arguments...);
#else
  emulate::launch(gpu(workspace).context->stream(), grid, kThreads, true, [=] { kernel(arguments...); });
#endif
  check(cudaGetLastError(), "a launch");
}
// A kernel without barriers: one thread for each of `count` elements, see flat_index; the last block has spare ones.
template <class... P, class... A>
void launch(Workspace& workspace, void (*kernel)(P...), int64_t count, const A&... arguments) {
  if (count <= 0) return;
  const dim3 grid(static_cast<unsigned>(ceil_div(count, kThreads)));
#if defined(__CUDACC__)
  kernel<<<grid, kThreads, 0, gpu(workspace).context->stream()>>>(arguments...);
#else
  emulate::launch(gpu(workspace).context->stream(), grid, kThreads, false, [=] { kernel(arguments...); });
#endif
  check(cudaGetLastError(), "a launch");
}

}  // namespace hessia::cuda
