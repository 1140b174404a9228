// Counts through the positions of an iteration space, last axis fastest, keeping the offset of each of
// N views up to date without divisions.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

namespace hessia::cpu {

template <int N> class Odometer {
 public:
  // strides[v][axis]; only the first `rank` axes are counted.
  Odometer(const std::vector<int64_t>& size, std::array<const std::vector<int64_t>*, N> strides, int rank,
           std::array<int64_t, N> start)
      : size_(size), strides_(strides), rank_(rank), at_(start), index_(static_cast<size_t>(rank), 0) {}

  void seek(int64_t position) {
    for (int d = rank_ - 1; d >= 0; d--) {
      const int64_t wanted = position % size_[d];
      position /= size_[d];
      move(d, wanted - index_[d]);
      index_[d] = wanted;
    }
  }
  void next() {
    for (int d = rank_ - 1; d >= 0; d--) {
      if (++index_[d] < size_[d]) {
        move(d, 1);
        return;
      }
      move(d, 1 - size_[d]);
      index_[d] = 0;
    }
  }
  int64_t at(int view) const { return at_[view]; }

 private:
  void move(int axis, int64_t by) {
    for (int v = 0; v < N; v++) at_[v] += by * (*strides_[v])[axis];
  }
  const std::vector<int64_t>& size_;
  std::array<const std::vector<int64_t>*, N> strides_;
  int rank_;
  std::array<int64_t, N> at_;
  std::vector<int64_t> index_;
};

}  // namespace hessia::cpu
