// Random rows, one thread a Philox block of four elements: the bits of the CPU (random.h). Products and sums
// must not be fused here: on nvcc a file cannot say so itself, CMakeLists.txt does (-fmad=false).
#if defined(__clang__)
#pragma clang fp contract(off)
#elif defined(__GNUC__) && !defined(__CUDACC__)
#pragma GCC optimize("fp-contract=off")
#endif
#include "device/cuda/context.h"
#include "device/cuda/kernels.h"
#include "kernels/random/philox.h"

namespace hessia::cuda {
namespace {

HESSIA_DEVICE void store(double* to, double x, Distribution) { *to = x; }
HESSIA_DEVICE void store(float* to, double x, Distribution distribution) {
  const float f = static_cast<float>(x);
  *to = distribution == Distribution::Uniform && f >= 1.0f ? 0.999999940395355224609375f : f;
}

template <class T>
__global__ void random_blocks(T* data, int64_t rows, int64_t stride, int64_t length, Distribution distribution, uint64_t seed,
                              uint64_t stream) {
  const int64_t pieces = (length + 3) / 4, e = flat_index();
  if (e >= rows * pieces) return;
  const int64_t row = e / pieces, block = e - row * pieces;
  const uint64_t s = stream + static_cast<uint64_t>(row);
  const Words words = philox_block(static_cast<uint32_t>(block), static_cast<uint32_t>(static_cast<uint64_t>(block) >> 32),
                                   static_cast<uint32_t>(s), static_cast<uint32_t>(s >> 32), static_cast<uint32_t>(seed),
                                   static_cast<uint32_t>(seed >> 32));
  double x[4];
  if (distribution == Distribution::Normal) {
    box_muller(words.w[0], words.w[1], x[0], x[1]);
    box_muller(words.w[2], words.w[3], x[2], x[3]);
  } else {
    for (int k = 0; k < 4; k++) {
      x[k] = distribution == Distribution::Uniform ? unit_interval(words.w[k]) : (words.w[k] >> 31) ? 1.0 : -1.0;
    }
  }
  T* to = data + row * stride + 4 * block;
  for (int k = 0; k < 4; k++) if (4 * block + k < length) store(to + k, x[k], distribution);
}

}  // namespace

void random(DType dtype, int64_t length, RowsRef target, Distribution distribution, uint64_t seed, uint64_t stream, Workspace& ws) {
  const int64_t count = target.rows * ceil_div(length, 4);
  if (dtype == DType::Float64) {
    launch(ws, random_blocks<double>, count, static_cast<double*>(target.data), target.rows, target.stride, length, distribution, seed, stream);
  } else {
    launch(ws, random_blocks<float>, count, static_cast<float*>(target.data), target.rows, target.stride, length, distribution, seed, stream);
  }
}

}  // namespace hessia::cuda
