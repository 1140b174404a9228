// Blocks of random numbers. Fused multiply-add is off: the same bits on every machine.
#if defined(__clang__)
#pragma clang fp contract(off)
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif
#include <cmath>

#include "kernels/random/philox.h"
#include "kernels/random/random.h"

namespace hessia {
namespace HESSIA_ISA_NS {
namespace {

constexpr int kBatch = 64;

void blocks(Distribution distribution, uint64_t seed, uint64_t stream, uint64_t first, int count, double* out) {
  const uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  const uint32_t s0 = static_cast<uint32_t>(stream), s1 = static_cast<uint32_t>(stream >> 32);
  uint32_t w[4][kBatch];
  double x[4][kBatch];
  for (int start = 0; start < count; start += kBatch) {
    const int n = count - start < kBatch ? count - start : kBatch;
    for (int i = 0; i < n; i++) {
      const uint64_t block = first + static_cast<uint64_t>(start + i);
      const Words words = philox_block(static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), s0, s1, k0, k1);
      for (int k = 0; k < 4; k++) w[k][i] = words.w[k];
    }
    if (distribution == Distribution::Normal) {
      for (int i = 0; i < n; i++) box_muller(w[0][i], w[1][i], x[0][i], x[1][i]);
      for (int i = 0; i < n; i++) box_muller(w[2][i], w[3][i], x[2][i], x[3][i]);
    } else if (distribution == Distribution::Uniform) {
      for (int k = 0; k < 4; k++) for (int i = 0; i < n; i++) x[k][i] = unit_interval(w[k][i]);
    } else {
      for (int k = 0; k < 4; k++) for (int i = 0; i < n; i++) x[k][i] = (w[k][i] >> 31) ? 1.0 : -1.0;
    }
    for (int i = 0; i < n; i++) for (int k = 0; k < 4; k++) out[4 * (start + i) + k] = x[k][i];
  }
}

void philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
  const Words words = philox_block(counter[0], counter[1], counter[2], counter[3], key[0], key[1]);
  for (int k = 0; k < 4; k++) out[k] = words.w[k];
}

}  // namespace

extern const RandomTable random_table = {blocks, philox};

}  // namespace HESSIA_ISA_NS
}  // namespace hessia
