// The part of CUDA that the kernels use, for machines without it: the same sources compile as C++ and run.
//
// Streams are lazy: launches and copies wait in order until somebody synchronises (or 256 of them wait), so
// that reading a result too early, or freeing memory too soon, shows. New device memory and shared memory
// hold NaN. Kernels launched as flat (no barriers) are loops; in the others every thread of a block is a
// fiber, switched at barriers, in ascending order in even blocks and descending in odd ones, so that the
// result is the same every time and a missing barrier is likely to show. A barrier that some threads of a
// block never reach fails the launch. What this cannot show: speed, races within one instruction, what the
// hardware's memory model allows beyond a wrong order.
//
// HESSIA_EMULATED_MEMORY: bytes of the emulated GPU (8 GiB).
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>

#define __global__
#define __device__
#define __host__
#define __launch_bounds__(...)

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

namespace hessia::emulate {

struct Registers { dim3 thread, block, block_size, grid; size_t shared_used; int shuffles; };
extern thread_local Registers registers;

class Stream;
// Runs a launch when its turn comes. `body` is the kernel with its arguments; `barriers`: fibers.
void launch(Stream* stream, dim3 grid, unsigned threads, bool barriers, std::function<void()> body);

constexpr size_t kSharedBytes = 48 * 1024;
void* shared_bytes(size_t bytes);
template <class T> T* shared(size_t count) { return static_cast<T*>(shared_bytes(count * sizeof(T))); }

void block_barrier();
uint64_t exchange(uint64_t mine, unsigned source_lane);
unsigned lane();
template <class T> T shuffle(T value, unsigned source_lane) {
  static_assert(sizeof(T) <= 8, "one register pair");
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = exchange(bits, source_lane);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

}  // namespace hessia::emulate

#define threadIdx (::hessia::emulate::registers.thread)
#define blockIdx (::hessia::emulate::registers.block)
#define blockDim (::hessia::emulate::registers.block_size)
#define gridDim (::hessia::emulate::registers.grid)
inline void __syncthreads() { ::hessia::emulate::block_barrier(); }
// Full warps only.
template <class T> T __shfl_xor_sync(unsigned, T value, int mask) {
  return ::hessia::emulate::shuffle(value, ::hessia::emulate::lane() ^ static_cast<unsigned>(mask));
}

inline unsigned long long atomicMin(unsigned long long* at, unsigned long long value) {
  const unsigned long long old = *at;
  if (value < old) *at = value;
  return old;
}

// ---- runtime ------------------------------------------------------------------------------------------
enum cudaError_t : int {
  cudaSuccess = 0, cudaErrorInvalidValue = 1, cudaErrorMemoryAllocation = 2, cudaErrorInvalidConfiguration = 9,
  cudaErrorLaunchFailure = 719,
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2, cudaMemcpyDeviceToDevice = 3 };
using cudaStream_t = ::hessia::emulate::Stream*;
constexpr unsigned cudaStreamNonBlocking = 1;
struct cudaDeviceProp { char name[256]; size_t totalGlobalMem; int major, minor, multiProcessorCount; };

const char* cudaGetErrorString(cudaError_t error);
cudaError_t cudaGetLastError();
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
cudaError_t cudaDriverGetVersion(int* version);
cudaError_t cudaRuntimeGetVersion(int* version);
cudaError_t cudaMemGetInfo(size_t* free, size_t* total);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaMallocAsync(void** data, size_t bytes, cudaStream_t stream);
cudaError_t cudaFreeAsync(void* data, cudaStream_t stream);
cudaError_t cudaMallocManaged(void** data, size_t bytes);
cudaError_t cudaFree(void* data);
// From pageable host memory the source is taken at once; to pageable host memory the call waits.
cudaError_t cudaMemcpyAsync(void* target, const void* source, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaMemsetAsync(void* target, int value, size_t bytes, cudaStream_t stream);
