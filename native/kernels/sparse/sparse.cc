#include "kernels/sparse/sparse.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <type_traits>

#include "base/error.h"
#include "base/numbers.h"
#include "base/parallel.h"

namespace hessia::cpu {
namespace {

constexpr int64_t kMostGroups = 64;  // parts the blocks are cut into

// Entries of one block: count of every row, row after row.
template <class T> struct Entries {
  uint16_t* indices;
  T* values;
  int64_t length, count;
  Entries(const SparseRef& s, int64_t length_of_row, int64_t j)
      : indices(s.indices + j * s.rows * s.keep), values(static_cast<T*>(s.values) + j * s.rows * s.keep),
        length(std::min(s.block, length_of_row - j * s.block)), count(std::min(s.keep, length)) {}
};

int team_size(int64_t work, int64_t units, const Workspace& ws) {
  return work < kSerialBelow ? 1 : static_cast<int>(std::min<int64_t>(ws.threads, units));
}

void refuse_indices() { throw Error(ErrorCode::INVALID_INPUT, "an index of a sparse row is outside its block"); }

// The order of magnitudes is that of the bits without the sign; NaN comes last.
template <class T> auto magnitude(T x) {
  using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  Bits bits;
  std::memcpy(&bits, &x, sizeof bits);
  return static_cast<Bits>(bits & ~(Bits{1} << (sizeof(T) * 8 - 1)));
}

template <class T> void select(int64_t length, RowsRef rx, SparseRef s, int64_t row, Workspace& ws) {
  using Bits = decltype(magnitude(T{}));
  T* x = static_cast<T*>(rx.data);
  const int64_t blocks = ceil_div(length, s.block);
  const int threads = team_size(4 * length, blocks, ws);
  Bits* all = static_cast<Bits*>(ws.scratch(static_cast<size_t>(threads * s.block) * sizeof(Bits)));
  parallel(threads, [&](int thread, int team) {
    Bits* keys = all + thread * s.block;
    for (int64_t j = blocks * thread / team; j < blocks * (thread + 1) / team; j++) {
      const Entries<T> to(s, length, j);
      T* piece = x + j * s.block;
      for (int64_t e = 0; e < to.length; e++) keys[e] = magnitude(piece[e]);
      Bits* least = keys + (to.length - to.count);
      std::nth_element(keys, least, keys + to.length);
      int64_t ties = to.count;
      for (const Bits* k = least; k < keys + to.length; k++) ties -= *k > *least;
      const Bits threshold = *least;
      int64_t at = row * to.count;
      for (int64_t e = 0; e < to.length; e++) {
        const Bits key = magnitude(piece[e]);
        if (key < threshold || (key == threshold && ties-- <= 0)) continue;
        to.indices[at] = static_cast<uint16_t>(e);
        to.values[at++] = piece[e];
        piece[e] = 0;
      }
    }
  });
}

template <class T> void copy(int64_t length, SparseRef s, int64_t from, int64_t to) {
  for (int64_t j = 0; j < ceil_div(length, s.block); j++) {
    const Entries<T> e(s, length, j);
    std::memmove(e.indices + to * e.count, e.indices + from * e.count, static_cast<size_t>(e.count) * sizeof(uint16_t));
    std::memmove(e.values + to * e.count, e.values + from * e.count, static_cast<size_t>(e.count) * sizeof(T));
  }
}

template <class T>
void gram(int64_t length, RowsRef rx, SparseRef s, int64_t first, int64_t count, double* out, Workspace& ws) {
  const int64_t blocks = ceil_div(length, s.block), entries = rx.rows * count, groups = std::min(blocks, kMostGroups);
  std::fill(out, out + entries, 0.0);
  if (entries == 0 || length == 0) return;
  double* partial = static_cast<double*>(ws.scratch(static_cast<size_t>(groups * entries * 8)));
  std::fill(partial, partial + groups * entries, 0.0);
  std::atomic<bool> outside{false};
  parallel(team_size(blocks * s.keep * entries, groups, ws), [&](int thread, int team) {
    for (int64_t g = groups * thread / team; g < groups * (thread + 1) / team; g++) {
      bool wrong = false;
      for (int64_t j = blocks * g / groups; j < blocks * (g + 1) / groups; j++) {
        const Entries<T> e(s, length, j);
        for (int64_t i = 0; i < rx.rows; i++) {
          const T* x = static_cast<const T*>(rx.data) + i * rx.stride + j * s.block;
          double* sums = partial + g * entries + i * count;
          for (int64_t r = 0; r < count; r++) {
            const uint16_t* index = e.indices + (first + r) * e.count;
            const T* value = e.values + (first + r) * e.count;
            double sum = 0;
            for (int64_t k = 0; k < e.count; k++) {
              const int64_t at = std::min<int64_t>(index[k], e.length - 1);
              wrong |= at != index[k];
              sum += static_cast<double>(value[k]) * static_cast<double>(x[at]);
            }
            sums[r] += sum;
          }
        }
      }
      if (wrong) outside = true;
    }
  });
  if (outside) refuse_indices();
  for (int64_t g = 0; g < groups; g++) {
    for (int64_t e = 0; e < entries; e++) out[e] += partial[g * entries + e];
  }
}

template <class T>
void combine(int64_t length, const double* c, SparseRef s, int64_t first, int64_t count, double beta, RowsRef ry, Workspace& ws) {
  const int64_t blocks = ceil_div(length, s.block);
  const int threads = team_size((blocks * s.keep * count + length) * ry.rows, blocks, ws);
  double* all = static_cast<double*>(ws.scratch(static_cast<size_t>(threads * s.block) * 8));
  std::atomic<bool> outside{false};
  parallel(threads, [&](int thread, int team) {
    double* sum = all + thread * s.block;
    bool wrong = false;
    for (int64_t j = blocks * thread / team; j < blocks * (thread + 1) / team; j++) {
      const Entries<T> e(s, length, j);
      for (int64_t i = 0; i < ry.rows; i++) {
        T* y = static_cast<T*>(ry.data) + i * ry.stride + j * s.block;
        for (int64_t k = 0; k < e.length; k++) sum[k] = beta == 0 ? 0 : beta * static_cast<double>(y[k]);
        for (int64_t r = 0; r < count; r++) {
          const double factor = c[i * count + r];
          if (factor == 0) continue;
          const uint16_t* index = e.indices + (first + r) * e.count;
          const T* value = e.values + (first + r) * e.count;
          for (int64_t k = 0; k < e.count; k++) {
            const int64_t at = std::min<int64_t>(index[k], e.length - 1);
            wrong |= at != index[k];
            sum[at] += factor * static_cast<double>(value[k]);
          }
        }
        for (int64_t k = 0; k < e.length; k++) y[k] = static_cast<T>(sum[k]);
      }
    }
    if (wrong) outside = true;
  });
  if (outside) refuse_indices();
}

}  // namespace

void sparse_select(DType dtype, int64_t length, RowsRef x, SparseRef s, int64_t row, Workspace& ws) {
  if (dtype == DType::Float32) select<float>(length, x, s, row, ws);
  else select<double>(length, x, s, row, ws);
}
void sparse_copy(DType dtype, int64_t length, SparseRef s, int64_t from, int64_t to, Workspace&) {
  if (dtype == DType::Float32) copy<float>(length, s, from, to);
  else copy<double>(length, s, from, to);
}
void sparse_gram(DType dtype, int64_t length, RowsRef x, SparseRef s, int64_t first, int64_t count, double* out, Workspace& ws) {
  if (dtype == DType::Float32) gram<float>(length, x, s, first, count, out, ws);
  else gram<double>(length, x, s, first, count, out, ws);
}
void sparse_combine(DType dtype, int64_t length, const double* c, SparseRef s, int64_t first, int64_t count, double beta,
                    RowsRef y, Workspace& ws) {
  if (dtype == DType::Float32) combine<float>(length, c, s, first, count, beta, y, ws);
  else combine<double>(length, c, s, first, count, beta, y, ws);
}

}  // namespace hessia::cpu
