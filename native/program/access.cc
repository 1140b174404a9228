// Which bytes of each binding a program needs from before, which it may change, and which it certainly
// replaces. This is what decides what a failed run poisons and what a later run heals.
#include <algorithm>
#include <cstdlib>

#include "program/program.h"

namespace hessia {
namespace {

// The bytes between the first and the last element of a view, and how many of them are its elements.
struct Extent { int64_t first, last, bytes; };

Extent extent_of(const View& v, const std::vector<int>* reduced) {
  int64_t low = v.offset, high = v.offset, count = 1;
  for (size_t d = 0; d < v.shape.size(); d++) {
    if (v.shape[d] == 0) return {0, 0, 0};
    const bool gone = reduced && std::find(reduced->begin(), reduced->end(), static_cast<int>(d)) != reduced->end();
    if (gone || v.shape[d] == 1 || v.strides[d] == 0) continue;
    (v.strides[d] > 0 ? high : low) += (v.shape[d] - 1) * v.strides[d];
    count *= v.shape[d];
  }
  const int64_t size = bytes_per_element(v.dtype);
  return {low * size, (high + 1) * size, count * size};
}

// What has been written so far. Views with gaps (a slice of a concatenation) are kept aside until those that
// interleave with them fill the gaps: a range counts as written when as many bytes in it have been written as
// are read (or, to count as replaced, as it is long).
struct Written {
  Intervals dense;
  std::vector<Extent> loose;

  void add(const Extent& e) {
    if (e.bytes == e.last - e.first) dense.add(e.first, e.last);
    else if (!dense.contains(e.first, e.last)) loose.push_back(e);
  }
  bool covers(const Extent& wanted) {
    const int64_t first = wanted.first, last = wanted.last;
    if (dense.contains(first, last)) return true;
    int64_t bytes = dense.measure(first, last);
    for (const Extent& e : loose) {
      if (e.first < last && e.last > first) bytes += std::min(e.bytes, std::min(e.last, last) - std::max(e.first, first));
    }
    if (bytes >= last - first) dense.add(first, last);
    return bytes >= wanted.bytes;
  }
  void settle() {
    std::sort(loose.begin(), loose.end(), [](const Extent& a, const Extent& b) { return a.first < b.first; });
    for (size_t i = 0; i < loose.size();) {
      int64_t last = loose[i].last;
      size_t j = i + 1;
      while (j < loose.size() && loose[j].first < last) last = std::max(last, loose[j++].last);
      covers({loose[i].first, last, last - loose[i].first});
      i = j;
    }
  }
};

}  // namespace

void analyse_access(Program& program) {
  std::vector<Written> written(program.bindings.size());
  for (const Instruction& instruction : program.instructions) {
    for_each_view(instruction, [&](const View& v, bool reads, bool writes, const std::vector<int>* reduced) {
      const size_t b = static_cast<size_t>(v.binding);
      Binding& binding = program.bindings[b];
      binding.alignment = std::max(binding.alignment, bytes_per_element(v.dtype));
      const Extent e = extent_of(v, reduced);
      if (e.bytes == 0) return;
      if (reads && !written[b].covers(e)) binding.inputs.add(e.first, e.last);
      if (writes) {
        binding.outputs.add(e.first, e.last);
        written[b].add(e);
      }
    });
  }
  for (size_t b = 0; b < written.size(); b++) {
    written[b].settle();
    program.bindings[b].overwritten = std::move(written[b].dense);
  }
}

}  // namespace hessia
