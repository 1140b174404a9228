// From labelled axes to one matrix product.
//
// Every label becomes part of one of four groups: batch (in a, b and c), M (a and c), N (b and c) or K (summed).
// An operand with stride 0 on a label does not vary along it and counts as lacking it, so a broadcast operand
// is packed once and not once per copy. Groups are flattened to one index each: by a stride where the labels
// nest, by a table of offsets where they do not.
#pragma once
#include <cstdint>
#include <vector>

#include "kernels/gemm/gemm.h"
#include "program/instruction.h"

namespace hessia::cpu {

struct Label { int64_t size, a, b, c; };
using Stride = int64_t Label::*;
using Labels = std::vector<Label>;

struct Groups {
  Labels batch, m, n, k;  // outermost first
  double repeats;         // product of summed labels along which neither a nor b varies
  bool empty_c;           // nothing to write
  bool empty_sum;         // a summed label has size 0
};
Groups group(const DotInstruction& instruction);

int64_t size_of(const Labels& labels);

// Offset of flat index i of the group in one operand.
int64_t offset_at(const Labels& labels, Stride stride, int64_t i);

// The group as one axis of an operand. `storage` keeps the table, if one is needed.
Axis flatten(const Labels& labels, Stride stride, std::vector<int64_t>& storage);

}  // namespace hessia::cpu
