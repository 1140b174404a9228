// CUDA for the kernels: NVIDIA's headers under nvcc, the emulation elsewhere, and the words both need.
#pragma once
#include <cstdint>

#if defined(__CUDACC__)
#include <cuda_runtime.h>
// Shared memory of a block: `count` elements, uninitialised. Every thread runs the declaration.
#define HESSIA_SHARED(T, name, count) __shared__ T name[count]
#else
#include "device/cuda/emulate/runtime.h"
#define HESSIA_SHARED(T, name, count) T* const name = ::hessia::emulate::shared<T>(count)
#endif
#define HESSIA_DEVICE static __device__ inline

namespace hessia::cuda {

constexpr unsigned kThreads = 256;  // of every block

// Which element a thread of a flat launch has.
HESSIA_DEVICE int64_t flat_index() { return static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; }

}  // namespace hessia::cuda
