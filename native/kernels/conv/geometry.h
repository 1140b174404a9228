// A convolution as correlations: out[t] = Σ_j w[j] · in[t · step + offset_j], zero outside.
//
// The forward pass is one of them (offset = q · dilation − padLow). So is the gradient with respect to x,
// position by position of the stride: the positions s ≡ r modulo the stride see only the taps q with
// q · dilation ≡ s + padLow, and those at consecutive positions of y. Each residue is a correlation of step 1
// that writes every stride-th position; nothing is scattered or summed twice.
#pragma once
#include <cstdint>
#include <vector>

#include "program/instruction.h"

namespace hessia::cpu {

// Convolutions have three spatial axes; missing ones lead, with size 1.
constexpr int kSpace = 3;

struct Taps {
  int64_t in = 1, out = 1, step = 1;        // sizes read and produced, distance of neighbours in `in`
  std::vector<int64_t> offset{0}, index{0};  // per tap: where it reads, and its place in the window
  int64_t start = 0, spacing = 1;           // position t is written at start + t · spacing
};
struct Correlation {
  Taps axis[kSpace];
  int64_t taps() const;
  int64_t positions() const;
  bool untouched() const;  // one tap that reads position t for position t: a matrix product
};

// Sizes of the instruction, with the leading k.
struct ConvShape {
  int64_t k, n, groups, in, out;  // channels in and out of one group
  int64_t space[kSpace], window[kSpace], positions[kSpace];
  int64_t space_size, window_size, positions_size;
  int64_t k_x, k_w, k_y;          // strides of the leading axis, 0 where shared
};
ConvShape conv_shape(const ConvInstruction& instruction);

Correlation forward_correlation(const ConvInstruction& instruction);
// One per residue; those without taps (the result there is zero) included.
std::vector<Correlation> input_correlations(const ConvInstruction& instruction);

// Flat window index of every tap, row-major over the axes' taps.
std::vector<int64_t> tap_indices(const Correlation& correlation, const int64_t (&window)[kSpace]);
// Flat place in the written array of every position.
std::vector<int64_t> position_offsets(const Correlation& correlation, const int64_t (&extent)[kSpace]);

}  // namespace hessia::cpu
