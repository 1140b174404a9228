// The vector operations of the solvers, checked and queued.
#include <algorithm>
#include <memory>

#include "device/device.h"

namespace hessia {
namespace {

[[noreturn]] void invalid(const char* name, const char* what) {
  throw Error(ErrorCode::INVALID_ARGUMENT, std::string(name) + ": " + what);
}

// The type of the few rows beside the many.
DType beside(DType many) { return many == kBFloat16 ? DType::Float32 : many; }

// A table entry that this device may lack.
template <class F> F* required(F* kernel, const char* name, DType dtype, const KernelTable& table) {
  if (kernel) return kernel;
  throw Error(ErrorCode::UNSUPPORTED, std::string("no kernel for ") + name + " of " + dtype_name(dtype) + " on device " +
                                          table.name + "; use --device cpu");
}

bool overlap(const Intervals& a, const Intervals& b) { return a.intersects(b, 0); }

}  // namespace

Device::Touch Device::touch(DType dtype, int64_t length, const BufferRows& r, const char* name) {
  constexpr int64_t most = int64_t{1} << 50;
  if (dtype != DType::Float32 && dtype != DType::Float64 && dtype != kBFloat16) invalid(name, "needs float32 or float64");
  if (length < 0 || r.offset < 0 || r.rows < 0 || r.stride < 0) invalid(name, "negative length, offset, rows or stride");
  if (r.rows > 1 && r.stride < length) invalid(name, "rows overlap: the stride is shorter than a row");
  if (length > most || r.offset > most || r.rows > most || (r.rows > 0 && r.stride > most / r.rows)) invalid(name, "rows are outside the buffer");
  const int64_t size = bytes_per_element(dtype);
  Touch t{r.buffer, {}};
  if (r.rows == 0 || length == 0) return t;
  if ((r.offset + (r.rows - 1) * r.stride + length) > r.buffer->bytes() / size) invalid(name, "rows are outside the buffer");
  for (int64_t row = 0; row < r.rows; row++) {
    const int64_t start = (r.offset + row * r.stride) * size;
    t.bytes.add(start, start + length * size);
  }
  return t;
}

RowsRef Device::rows_ref(DType dtype, const BufferRows& r) const {
  return {r.buffer->data() + r.offset * bytes_per_element(dtype), r.rows, r.stride};
}

void Device::gram(DType dtype, int64_t length, BufferRows a, BufferRows b, NumbersCallback done) {
  const DType few = beside(dtype);
  Touch ta = touch(few, length, a, "gram"), tb = touch(dtype, length, b, "gram");
  if (a.rows > 0 && b.rows > (int64_t{1} << 28) / a.rows) invalid("gram", "the result is too large");
  auto out = std::make_shared<std::vector<double>>();
  submit({std::move(ta), std::move(tb)}, {}, "gram", [this, dtype, few, length, a, b, out] {
    out->resize(static_cast<size_t>(a.rows * b.rows));
    backend_->kernels().gram(dtype, length, rows_ref(few, a), rows_ref(dtype, b), out->data(), backend_->workspace());
  }, [out, done = std::move(done)](const Cause& cause) { done(cause, std::move(*out)); });
}

void Device::combine(DType dtype, int64_t length, std::vector<double> c, BufferRows a, double beta, BufferRows b) {
  const DType few = beside(dtype);
  Touch ta = touch(dtype, length, a, "combine"), tb = touch(few, length, b, "combine");
  if (static_cast<int64_t>(c.size()) != a.rows * b.rows) invalid("combine", "coefficients are not b.rows × a.rows");
  if (a.buffer == b.buffer && overlap(ta.bytes, tb.bytes)) {
    const bool same = a.offset == b.offset && a.rows == b.rows && (a.stride == b.stride || a.rows <= 1);
    bool diagonal = same && few == dtype;
    for (int64_t j = 0; diagonal && j < b.rows; j++) {
      for (int64_t i = 0; i < a.rows; i++) diagonal = diagonal && (i == j || c[static_cast<size_t>(j * a.rows + i)] == 0);
    }
    if (!diagonal) invalid("combine", "a and b overlap");
  }
  std::vector<Touch> reads{ta};
  if (beta != 0) reads.push_back(tb);
  submit(std::move(reads), {tb}, "combine", [this, dtype, few, length, c = std::move(c), a, beta, b] {
    backend_->kernels().combine(dtype, length, c.data(), rows_ref(dtype, a), beta, rows_ref(few, b), backend_->workspace());
  }, nullptr);
}

void Device::orthogonalize(DType dtype, int64_t length, BufferRows basis, BufferRows w, NumbersCallback done) {
  if (w.rows != 1) invalid("orthogonalize", "w must be one row");
  Touch tb = touch(dtype, length, basis, "orthogonalize"), tw = touch(dtype, length, w, "orthogonalize");
  if (basis.buffer == w.buffer && overlap(tb.bytes, tw.bytes)) invalid("orthogonalize", "w is a row of the basis");
  auto out = std::make_shared<std::vector<double>>();
  submit({tb, tw}, {tw}, "orthogonalize", [this, dtype, length, basis, w, out] {
    out->resize(static_cast<size_t>(basis.rows + 2));
    backend_->kernels().orthogonalize(dtype, length, rows_ref(dtype, basis), rows_ref(dtype, w), out->data(), backend_->workspace());
  }, [out, done = std::move(done)](const Cause& cause) { done(cause, std::move(*out)); });
}

void Device::round_bfloat16(int64_t length, BufferRows a, BufferRows b) {
  Touch ta = touch(DType::Float32, length, a, "roundBFloat16"), tb = touch(kBFloat16, length, b, "roundBFloat16");
  if (a.rows != b.rows) invalid("roundBFloat16", "a and b have different numbers of rows");
  if (a.buffer == b.buffer && overlap(ta.bytes, tb.bytes)) invalid("roundBFloat16", "a and b overlap");
  submit({ta}, {tb}, "roundBFloat16", [this, length, a, b] {
    backend_->kernels().round_bfloat16(length, rows_ref(DType::Float32, a), rows_ref(kBFloat16, b), backend_->workspace());
  }, nullptr);
}

// Rows lie scattered: all that the buffers hold counts as read, and what writes one row leaves the others as they are.
std::vector<Device::Touch> Device::touch(DType dtype, int64_t length, const SparseRows& s, int64_t first, int64_t count, const char* name) {
  if (length < 0 || length > int64_t{1} << 50 || s.block < 1 || s.block > 65536 || s.keep < 1 || s.keep > s.block || s.rows < 0) {
    invalid(name, "sparse rows need 1 <= keep <= block <= 65536");
  }
  if (first < 0 || count < 0 || first > s.rows || count > s.rows - first) invalid(name, "there are no such sparse rows");
  const int64_t blocks = length / s.block, entries = blocks * s.keep + std::min(s.keep, length - blocks * s.block);
  const int64_t most = std::min(s.indices->bytes() / 2, s.values->bytes() / bytes_per_element(dtype));
  if (entries > 0 && s.rows > most / entries) invalid(name, "sparse rows are outside their buffers");
  std::vector<Touch> all{{s.indices, {}}, {s.values, {}}};
  all[0].bytes.add(0, s.rows * entries * 2);
  all[1].bytes.add(0, s.rows * entries * bytes_per_element(dtype));
  return all;
}
SparseRef Device::sparse_ref(const SparseRows& s) {
  return {reinterpret_cast<uint16_t*>(s.indices->data()), s.values->data(), s.rows, s.block, s.keep};
}

void Device::sparse_select(DType dtype, int64_t length, BufferRows x, SparseRows s, int64_t row) {
  if (x.rows != 1) invalid("sparseSelect", "x must be one row");
  std::vector<Touch> all = touch(dtype, length, s, row, 1, "sparseSelect");
  all.push_back(touch(dtype, length, x, "sparseSelect"));
  submit(all, all, "sparseSelect", [this, dtype, length, x, s, row] {
    const KernelTable& table = backend_->kernels();
    required(table.sparse_select, "sparseSelect", dtype, table)(dtype, length, rows_ref(dtype, x), sparse_ref(s), row, backend_->workspace());
  }, nullptr);
}

void Device::sparse_copy(DType dtype, int64_t length, SparseRows s, int64_t from, int64_t to) {
  std::vector<Touch> all = touch(dtype, length, s, from, 1, "sparseCopy");
  touch(dtype, length, s, to, 1, "sparseCopy");
  submit(all, all, "sparseCopy", [this, dtype, length, s, from, to] {
    const KernelTable& table = backend_->kernels();
    required(table.sparse_copy, "sparseCopy", dtype, table)(dtype, length, sparse_ref(s), from, to, backend_->workspace());
  }, nullptr);
}

void Device::sparse_gram(DType dtype, int64_t length, BufferRows x, SparseRows s, int64_t first, int64_t count, NumbersCallback done) {
  std::vector<Touch> all = touch(dtype, length, s, first, count, "sparseGram");
  all.push_back(touch(dtype, length, x, "sparseGram"));
  if (x.rows > 0 && count > (int64_t{1} << 28) / x.rows) invalid("sparseGram", "the result is too large");
  auto out = std::make_shared<std::vector<double>>();
  submit(std::move(all), {}, "sparseGram", [this, dtype, length, x, s, first, count, out] {
    out->resize(static_cast<size_t>(x.rows * count));
    const KernelTable& table = backend_->kernels();
    required(table.sparse_gram, "sparseGram", dtype, table)(dtype, length, rows_ref(dtype, x), sparse_ref(s), first, count, out->data(), backend_->workspace());
  }, [out, done = std::move(done)](const Cause& cause) { done(cause, std::move(*out)); });
}

void Device::sparse_combine(DType dtype, int64_t length, std::vector<double> c, SparseRows s, int64_t first, int64_t count,
                            double beta, BufferRows y) {
  std::vector<Touch> reads = touch(dtype, length, s, first, count, "sparseCombine");
  const Touch ty = touch(dtype, length, y, "sparseCombine");
  if (static_cast<int64_t>(c.size()) != y.rows * count) invalid("sparseCombine", "coefficients are not y.rows × count");
  if (beta != 0) reads.push_back(ty);
  submit(std::move(reads), {ty}, "sparseCombine", [this, dtype, length, c = std::move(c), s, first, count, beta, y] {
    const KernelTable& table = backend_->kernels();
    required(table.sparse_combine, "sparseCombine", dtype, table)(dtype, length, c.data(), sparse_ref(s), first, count, beta, rows_ref(dtype, y), backend_->workspace());
  }, nullptr);
}

void Device::random(DType dtype, int64_t length, BufferRows target, Distribution distribution, uint64_t seed, uint64_t stream) {
  Touch t = touch(dtype, length, target, "random");
  submit({}, {t}, "random", [this, dtype, length, target, distribution, seed, stream] {
    backend_->kernels().random(dtype, length, rows_ref(dtype, target), distribution, seed, stream, backend_->workspace());
  }, nullptr);
}

}  // namespace hessia
