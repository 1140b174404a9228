#include "program/intervals.h"

#include <algorithm>

namespace hessia {

std::vector<Interval>::const_iterator Intervals::first_ending_after(int64_t position) const {
  return std::upper_bound(parts_.begin(), parts_.end(), position,
                          [](int64_t p, const Interval& i) { return p < i.last; });
}

void Intervals::add(int64_t first, int64_t last) {
  if (first >= last) return;
  // Neighbours that touch are joined: start at the first part that ends at `first` or later.
  auto from = parts_.begin() + (first_ending_after(first - 1) - parts_.cbegin());
  auto to = from;
  while (to != parts_.end() && to->first <= last) {
    first = std::min(first, to->first);
    last = std::max(last, to->last);
    ++to;
  }
  if (from == to) {
    parts_.insert(from, {first, last});
  } else {
    *from = {first, last};
    parts_.erase(from + 1, to);
  }
}

void Intervals::remove(int64_t first, int64_t last) {
  if (first >= last) return;
  std::vector<Interval> left;
  left.reserve(parts_.size() + 1);
  for (const Interval& part : parts_) {
    if (part.first < std::min(part.last, first)) left.push_back({part.first, std::min(part.last, first)});
    if (std::max(part.first, last) < part.last) left.push_back({std::max(part.first, last), part.last});
  }
  parts_ = std::move(left);
}

bool Intervals::intersects(int64_t first, int64_t last) const {
  const auto part = first_ending_after(first);
  return first < last && part != parts_.end() && part->first < last;
}

bool Intervals::intersects(const Intervals& other, int64_t shift) const {
  if (parts_.empty()) return false;
  for (const Interval& part : other.parts_) if (intersects(part.first + shift, part.last + shift)) return true;
  return false;
}

bool Intervals::contains(int64_t first, int64_t last) const {
  if (first >= last) return true;
  const auto part = first_ending_after(first);
  return part != parts_.end() && part->first <= first && part->last >= last;
}

int64_t Intervals::measure(int64_t first, int64_t last) const {
  int64_t sum = 0;
  for (auto part = first_ending_after(first); part != parts_.end() && part->first < last; ++part) {
    sum += std::min(part->last, last) - std::max(part->first, first);
  }
  return sum;
}

}  // namespace hessia
