// Random rows: Philox4x32-10 as src/base/philox.ts has it. The key is the seed (low, high); the counter is
// (block low, block high, stream low, stream high); block b gives elements 4b … 4b+3, one word each:
//   uniform     (word + ½) / 2³², in (0, 1)
//   rademacher  −1 or 1 by the word's top bit
//   normal      Box–Muller of words (0, 1) and of words (2, 3), in float64
// float32 rows hold the float64 numbers rounded (uniform stays below 1). The bits are the same for every
// thread count and instruction set: no fused operations, nothing but + − × ÷ √.
#pragma once
#include "base/isa.h"
#include "base/workspace.h"
#include "kernels/table.h"

namespace hessia {

struct RandomTable {
  // Blocks [first, first + count) as 4 * count numbers.
  void (*blocks)(Distribution, uint64_t seed, uint64_t stream, uint64_t first, int count, double* out);
  void (*philox)(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);
};
HESSIA_DECLARE_ISA(RandomTable, random_table)

namespace cpu {

void random(DType dtype, int64_t length, RowsRef target, Distribution distribution, uint64_t seed, uint64_t stream,
            Workspace& ws);

}  // namespace cpu
}  // namespace hessia
