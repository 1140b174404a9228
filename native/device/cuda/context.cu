#include "device/cuda/context.h"

#include <cstdlib>

namespace hessia::cuda {
namespace {

std::string megabytes(size_t bytes) { return std::to_string(bytes / 1000000) + " MB"; }

}  // namespace

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  throw Error(ErrorCode::INTERNAL, std::string("CUDA: ") + what + ": " + cudaGetErrorString(error));
}

Context::Context() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess || count == 0) {
    cudaGetLastError();
    throw Error(ErrorCode::ENVIRONMENT,
                error == cudaSuccess ? std::string("no GPU is visible") : std::string("no GPU: ") + cudaGetErrorString(error));
  }
  use();
  cudaDeviceProp properties;
  check(cudaGetDeviceProperties(&properties, 0), "properties");
  name_ = properties.name;
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "a stream");
#if defined(__CUDACC__)
  // Freed memory stays with us for the next request.
  cudaMemPool_t pool;
  uint64_t threshold = UINT64_MAX;
  check(cudaDeviceGetDefaultMemPool(&pool, 0), "the memory pool");
  check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &threshold), "the memory pool");
#endif
}

Context::~Context() { cudaStreamDestroy(stream_); }

void Context::use() const { check(cudaSetDevice(0), "choosing the GPU"); }

void* Context::allocate(size_t bytes, const char* what) {
  use();
  void* data = nullptr;
  const size_t asked = bytes > 0 ? bytes : 1;
  if (cudaMallocAsync(&data, asked, stream_) == cudaSuccess) return data;
  cudaGetLastError();
  synchronize();  // memory that waits to be freed is free afterwards
  if (cudaMallocAsync(&data, asked, stream_) == cudaSuccess) return data;
  cudaGetLastError();
  size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "memory");
  throw Error(ErrorCode::OUT_OF_MEMORY, "out of GPU memory: " + megabytes(bytes) + " asked for " + what + ", " + megabytes(free) +
                                            " free of " + megabytes(total) + " on " + name_ +
                                            "; a smaller --batch-size, --memory or --dtype float32 needs less");
}

void Context::release(void* data) noexcept {
  if (data) cudaFreeAsync(data, stream_);
}

void Context::upload(void* target, const void* source, size_t bytes) {
  if (bytes > 0) check(cudaMemcpyAsync(target, source, bytes, cudaMemcpyHostToDevice, stream_), "a copy to the GPU");
}

void Context::download(void* target, const void* source, size_t bytes) {
  if (bytes > 0) check(cudaMemcpyAsync(target, source, bytes, cudaMemcpyDeviceToHost, stream_), "a copy from the GPU");
  synchronize();
}

void Context::synchronize() { check(cudaStreamSynchronize(stream_), "the GPU"); }

}  // namespace hessia::cuda
