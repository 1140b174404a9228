// Stable merge sort of positions, many lines at once: log2(length) passes, in each of which every element finds
// its place in the merged pair of runs by a binary search in the other one. Cost: length · log²(length) comparisons.
#pragma once
#include <utility>

#include "device/cuda/context.h"

namespace hessia::cuda {

template <class Less>
__global__ void merge_runs(Less less, const int32_t* from, int32_t* to, int64_t lines, int64_t length, int64_t width) {
  const int64_t e = flat_index();
  if (e >= lines * length) return;
  const int64_t line = e / length, p = e - line * length;
  const int64_t start = p / (2 * width) * (2 * width);
  const int64_t middle = start + width < length ? start + width : length;
  const int64_t end = start + 2 * width < length ? start + 2 * width : length;
  const int32_t* all = from + line * length;
  const int32_t mine = all[p];
  const bool left = p < middle;
  // How many of the other run come before: those that are less, and for the right run also those that are equal.
  int64_t low = left ? middle : start, high = left ? end : middle;
  const int64_t first = low;
  while (low < high) {
    const int64_t m = (low + high) / 2;
    const bool before = left ? less(line, all[m], mine) : !less(line, mine, all[m]);
    if (before) low = m + 1;
    else high = m;
  }
  to[line * length + start + (p - (left ? start : middle)) + (low - first)] = mine;
}

static __global__ void number_lines(int32_t* order, int64_t lines, int64_t length) {
  const int64_t e = flat_index();
  if (e < lines * length) order[e] = static_cast<int32_t>(e % length);
}

// order[line * length + r] = the position that is r-th by less(line, i, j); in scratch memory, on the GPU.
template <class Less> const int32_t* sorted_order(int64_t lines, int64_t length, const Less& less, Workspace& ws) {
  const int64_t count = lines * length;
  int32_t* order = static_cast<int32_t*>(gpu(ws).device_scratch(static_cast<size_t>(count) * 8));
  int32_t* spare = order + count;
  launch(ws, number_lines, count, order, lines, length);
  for (int64_t width = 1; width < length; width *= 2) {
    launch(ws, merge_runs<Less>, count, less, static_cast<const int32_t*>(order), spare, lines, length, width);
    std::swap(order, spare);
  }
  return order;
}

}  // namespace hessia::cuda
