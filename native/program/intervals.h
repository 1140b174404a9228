// A set of integers as sorted, disjoint half-open intervals.
#pragma once
#include <cstdint>
#include <vector>

namespace hessia {

struct Interval { int64_t first, last; };

class Intervals {
 public:
  bool empty() const { return parts_.empty(); }
  const std::vector<Interval>& parts() const { return parts_; }
  void clear() { parts_.clear(); }

  void add(int64_t first, int64_t last);
  void remove(int64_t first, int64_t last);
  bool intersects(int64_t first, int64_t last) const;
  bool intersects(const Intervals& other, int64_t shift) const;  // other moved by shift
  bool contains(int64_t first, int64_t last) const;
  // How much of [first, last) is in the set.
  int64_t measure(int64_t first, int64_t last) const;

 private:
  std::vector<Interval>::const_iterator first_ending_after(int64_t position) const;
  std::vector<Interval> parts_;
};

}  // namespace hessia
