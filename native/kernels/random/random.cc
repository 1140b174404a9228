#include "kernels/random/random.h"

#include <algorithm>

#include "base/numbers.h"
#include "base/parallel.h"

namespace hessia::cpu {
namespace {

constexpr int kBlocks = 256;  // blocks of four per unit of work

float rounded(double x, Distribution distribution) {
  const float f = static_cast<float>(x);
  return distribution == Distribution::Uniform && f >= 1.0f ? 0x1.fffffep-1f : f;
}

}  // namespace

void random(DType dtype, int64_t length, RowsRef target, Distribution distribution, uint64_t seed, uint64_t stream,
            Workspace& ws) {
  const RandomTable& table = HESSIA_PICK_ISA(random_table);
  const int64_t pieces = ceil_div(length, 4 * kBlocks), units = pieces * target.rows;
  const int threads = length * target.rows * 4 < kSerialBelow ? 1 : static_cast<int>(std::min<int64_t>(ws.threads, units));
  parallel(threads, [&](int thread, int team) {
    double numbers[4 * kBlocks];
    for (int64_t u = units * thread / team; u < units * (thread + 1) / team; u++) {
      const int64_t row = u / pieces, start = u % pieces * 4 * kBlocks, n = std::min<int64_t>(4 * kBlocks, length - start);
      table.blocks(distribution, seed, stream + static_cast<uint64_t>(row), static_cast<uint64_t>(start / 4),
                   static_cast<int>(ceil_div(n, 4)), numbers);
      if (dtype == DType::Float32) {
        float* out = static_cast<float*>(target.data) + row * target.stride + start;
        for (int64_t i = 0; i < n; i++) out[i] = rounded(numbers[i], distribution);
      } else {
        std::copy(numbers, numbers + n, static_cast<double*>(target.data) + row * target.stride + start);
      }
    }
  });
}

}  // namespace hessia::cpu
