#include "kernels/krylov/krylov.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/numbers.h"
#include "base/parallel.h"

namespace hessia::cpu {
namespace {

constexpr int64_t kRowBlock = 32;             // rows of a that one unit of gram serves
constexpr int64_t kCache = 1 << 20;           // bytes of rows kept between two uses of a piece
constexpr int64_t kMostGroups = 64;           // parts a row is cut into
constexpr int64_t kPartialBytes = 32 << 20;   // for partial sums, at most

void gram_block(const float* a, int64_t lda, int64_t na, const float* b, int64_t ldb, int64_t nb, int64_t n, double* out,
                int64_t ldo, int64_t diagonal = -1) {
  HESSIA_PICK_ISA(krylov_table).gram_f32(a, lda, na, b, ldb, nb, n, out, ldo, diagonal);
}
void gram_block(const double* a, int64_t lda, int64_t na, const double* b, int64_t ldb, int64_t nb, int64_t n, double* out,
                int64_t ldo, int64_t diagonal = -1) {
  HESSIA_PICK_ISA(krylov_table).gram_f64(a, lda, na, b, ldb, nb, n, out, ldo, diagonal);
}
void gram_block(const float* a, int64_t lda, int64_t na, const BFloat16* b, int64_t ldb, int64_t nb, int64_t n, double* out,
                int64_t ldo, int64_t diagonal = -1) {
  HESSIA_PICK_ISA(krylov_table).gram_bf16(a, lda, na, b, ldb, nb, n, out, ldo, diagonal);
}
void combine_block(const double* c, const float* a, int64_t lda, int64_t na, double beta, float* b, int64_t ldb, int64_t nb,
                   int64_t n, int32_t* used = nullptr) {
  HESSIA_PICK_ISA(krylov_table).combine_f32(c, a, lda, na, beta, b, ldb, nb, n, used);
}
void combine_block(const double* c, const double* a, int64_t lda, int64_t na, double beta, double* b, int64_t ldb, int64_t nb,
                   int64_t n, int32_t* used = nullptr) {
  HESSIA_PICK_ISA(krylov_table).combine_f64(c, a, lda, na, beta, b, ldb, nb, n, used);
}

void combine_block(const double* c, const BFloat16* a, int64_t lda, int64_t na, double beta, float* b, int64_t ldb, int64_t nb,
                   int64_t n, int32_t* used = nullptr) {
  HESSIA_PICK_ISA(krylov_table).combine_bf16(c, a, lda, na, beta, b, ldb, nb, n, used);
}

// Elements of a row read at a time where each is read once: many, but enough pieces for a team.
int64_t stream_length(int64_t length) { return std::clamp<int64_t>(length / 32 / 512 * 512, 512, 8192); }

// Elements of each of `rows` rows that stay in the second-level cache together; a multiple of 512.
int64_t piece_length(int64_t rows, int64_t element) {
  const int64_t fit = kCache / (std::max<int64_t>(rows, 1) * element) / 512 * 512;
  return std::clamp<int64_t>(fit, 512, 4096);
}

// [first, last) of part g of `groups` nearly equal parts of `length`, on boundaries of `piece`.
struct Part { int64_t first, last; };
Part part_of(int64_t length, int64_t piece, int64_t groups, int64_t g) {
  const int64_t pieces = ceil_div(length, piece);
  return {std::min(length, pieces * g / groups * piece), std::min(length, pieces * (g + 1) / groups * piece)};
}

template <class T, class S> void gram_rows(int64_t length, RowsRef ra, RowsRef rb, double* out, Workspace& ws) {
  const T* a = static_cast<const T*>(ra.data);
  const S* b = static_cast<const S*>(rb.data);
  const int64_t na = ra.rows, nb = rb.rows, entries = na * nb;
  std::fill(out, out + entries, 0.0);
  if (entries == 0 || length == 0) return;
  const bool symmetric = ra.data == rb.data && na == nb && ra.stride == rb.stride;
  const int64_t piece = na == 1 ? stream_length(length) : piece_length(std::min(na, kRowBlock) + nb, sizeof(T));
  const int64_t most = std::max<int64_t>(1, kPartialBytes / (entries * 8));
  const int64_t groups = std::min({ceil_div(length, piece), kMostGroups, most});
  const int64_t blocks = ceil_div(na, kRowBlock), units = groups * blocks;
  double* partial = groups == 1 ? out : static_cast<double*>(ws.scratch(static_cast<size_t>(groups * entries * 8)));
  if (groups > 1) std::fill(partial, partial + groups * entries, 0.0);

  const int threads = length * entries < kSerialBelow ? 1 : static_cast<int>(std::min<int64_t>(ws.threads, units));
  parallel(threads, [&](int thread, int team) {
    for (int64_t u = units * thread / team; u < units * (thread + 1) / team; u++) {
      const int64_t group = u / blocks, i = u % blocks * kRowBlock, rows = std::min(kRowBlock, na - i);
      const int64_t columns = symmetric ? std::min(nb, i + rows) : nb;
      const Part part = part_of(length, piece, groups, group);
      for (int64_t at = part.first; at < part.last; at += piece) {
        gram_block(a + i * ra.stride + at, ra.stride, rows, b + at, rb.stride, columns, std::min(piece, part.last - at),
                   partial + group * entries + i * nb, nb, symmetric ? i : -1);
      }
    }
  });
  for (int64_t g = 0; groups > 1 && g < groups; g++) {
    for (int64_t e = 0; e < entries; e++) out[e] += partial[g * entries + e];
  }
  if (symmetric) {
    for (int64_t i = 0; i < na; i++) {
      for (int64_t j = i + 1; j < nb; j++) out[i * nb + j] = out[j * nb + i];
    }
  }
}

template <class S, class T>
void combine_rows(int64_t length, const double* c, RowsRef ra, double beta, RowsRef rb, Workspace& ws) {
  const S* a = static_cast<const S*>(ra.data);
  T* b = static_cast<T*>(rb.data);
  if (length == 0 || rb.rows == 0) return;
  const int64_t piece = rb.rows == 1 ? stream_length(length) : piece_length(ra.rows + rb.rows, sizeof(T)), pieces = ceil_div(length, piece);
  const int64_t work = length * (ra.rows + 1) * rb.rows;
  const int threads = work < kSerialBelow ? 1 : static_cast<int>(std::min<int64_t>(ws.threads, pieces));
  // In place (a is b, c diagonal) every row must be updated by itself; else four at a time if there are.
  const bool in_place = ra.data == rb.data;
  const int64_t each = (ra.rows * 4 + 63) / 64 * 64;
  char* used = in_place || rb.rows < 4 ? nullptr : static_cast<char*>(ws.scratch(static_cast<size_t>(each * threads)));
  parallel(threads, [&](int thread, int team) {
    for (int64_t p = pieces * thread / team; p < pieces * (thread + 1) / team; p++) {
      const int64_t at = p * piece;
      combine_block(c, a + at, ra.stride, ra.rows, beta, b + at, rb.stride, rb.rows, std::min(piece, length - at),
                    used ? reinterpret_cast<int32_t*>(used + each * thread) : nullptr);
    }
  });
}

// Classical Gram–Schmidt twice. Three sweeps over the basis, each piece of it used twice while in the cache:
//   1. c ← B w, |w|²     2. w ← w − Bᵀc, c' ← B w     3. w ← w − Bᵀc', |w|²
template <class T> void orthogonalize_row(int64_t length, RowsRef rb, RowsRef rw, double* out, Workspace& ws) {
  const T* basis = static_cast<const T*>(rb.data);
  T* w = static_cast<T*>(rw.data);
  const int64_t m = rb.rows, width = m + 1;  // partial sums: m products, one square
  const int64_t piece = piece_length(m + 1, sizeof(T)), groups = std::max<int64_t>(1, std::min(ceil_div(length, piece), kMostGroups));
  double* partial = static_cast<double*>(ws.scratch(static_cast<size_t>((groups + 3) * width * 8)));
  double* total = partial + groups * width;
  double* minus = total + width;
  const int threads = length * (m + 1) < kSerialBelow ? 1 : static_cast<int>(std::min<int64_t>(ws.threads, groups));

  for (int sweep = 0; sweep < 3; sweep++) {
    const bool update = sweep > 0, project = sweep < 2, square = sweep != 1;
    std::fill(partial, partial + groups * width, 0.0);
    parallel(threads, [&](int thread, int team) {
      for (int64_t g = groups * thread / team; g < groups * (thread + 1) / team; g++) {
        const Part part = part_of(length, piece, groups, g);
        double* sums = partial + g * width;
        for (int64_t at = part.first; at < part.last; at += piece) {
          const int64_t n = std::min(piece, part.last - at);
          if (update) combine_block(minus, basis + at, rb.stride, m, 1.0, w + at, 0, 1, n);
          if (project) gram_block(basis + at, rb.stride, m, w + at, 0, 1, n, sums, 1);
          if (square) gram_block(w + at, 0, 1, w + at, 0, 1, n, sums + m, 1);
        }
      }
    });
    std::fill(total, total + width, 0.0);
    for (int64_t g = 0; g < groups; g++) {
      for (int64_t i = 0; i < width; i++) total[i] += partial[g * width + i];
    }
    if (project) {
      for (int64_t i = 0; i < m; i++) {
        minus[i] = -total[i];
        out[i] = sweep == 0 ? total[i] : out[i] + total[i];
      }
    }
    if (square) out[sweep == 0 ? m : m + 1] = std::sqrt(total[m]);
  }
}

}  // namespace

void gram(DType dtype, int64_t length, RowsRef a, RowsRef b, double* out, Workspace& ws) {
  if (dtype == DType::Float32) gram_rows<float, float>(length, a, b, out, ws);
  else if (dtype == kBFloat16) gram_rows<float, BFloat16>(length, a, b, out, ws);
  else gram_rows<double, double>(length, a, b, out, ws);
}
void combine(DType dtype, int64_t length, const double* c, RowsRef a, double beta, RowsRef b, Workspace& ws) {
  if (dtype == DType::Float32) combine_rows<float, float>(length, c, a, beta, b, ws);
  else if (dtype == kBFloat16) combine_rows<BFloat16, float>(length, c, a, beta, b, ws);
  else combine_rows<double, double>(length, c, a, beta, b, ws);
}
void round_bfloat16(int64_t length, RowsRef ra, RowsRef rb, Workspace& ws) {
  const int threads = length * ra.rows < kSerialBelow ? 1 : ws.threads;
  parallel(threads, [&](int thread, int team) {
    const Part part{length * thread / team, length * (thread + 1) / team};
    for (int64_t r = 0; r < ra.rows; r++) {
      const float* a = static_cast<const float*>(ra.data) + r * ra.stride;
      BFloat16* b = static_cast<BFloat16*>(rb.data) + r * rb.stride;
      for (int64_t e = part.first; e < part.last; e++) {
        uint32_t bits;
        std::memcpy(&bits, a + e, sizeof bits);
        const bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
        b[e].bits = static_cast<uint16_t>((nan ? bits | 0x400000u : bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
      }
    }
  });
}
void orthogonalize(DType dtype, int64_t length, RowsRef basis, RowsRef w, double* out, Workspace& ws) {
  if (dtype == DType::Float32) orthogonalize_row<float>(length, basis, w, out, ws);
  else orthogonalize_row<double>(length, basis, w, out, ws);
}

}  // namespace hessia::cpu
