// The vector operations of the solvers, checked and queued.
#include <memory>

#include "device/device.h"

namespace hessia {
namespace {

[[noreturn]] void invalid(const char* name, const char* what) {
  throw Error(ErrorCode::INVALID_ARGUMENT, std::string(name) + ": " + what);
}

bool overlap(const Intervals& a, const Intervals& b) { return a.intersects(b, 0); }

}  // namespace

Device::Touch Device::touch(DType dtype, int64_t length, const BufferRows& r, const char* name) {
  constexpr int64_t most = int64_t{1} << 50;
  if (dtype != DType::Float32 && dtype != DType::Float64) invalid(name, "needs float32 or float64");
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
  Touch ta = touch(dtype, length, a, "gram"), tb = touch(dtype, length, b, "gram");
  if (a.rows > 0 && b.rows > (int64_t{1} << 28) / a.rows) invalid("gram", "the result is too large");
  auto out = std::make_shared<std::vector<double>>();
  submit({std::move(ta), std::move(tb)}, {}, "gram", [this, dtype, length, a, b, out] {
    out->resize(static_cast<size_t>(a.rows * b.rows));
    backend_->kernels().gram(dtype, length, rows_ref(dtype, a), rows_ref(dtype, b), out->data(), backend_->workspace());
  }, [out, done = std::move(done)](const Cause& cause) { done(cause, std::move(*out)); });
}

void Device::combine(DType dtype, int64_t length, std::vector<double> c, BufferRows a, double beta, BufferRows b) {
  Touch ta = touch(dtype, length, a, "combine"), tb = touch(dtype, length, b, "combine");
  if (static_cast<int64_t>(c.size()) != a.rows * b.rows) invalid("combine", "coefficients are not b.rows × a.rows");
  if (a.buffer == b.buffer && overlap(ta.bytes, tb.bytes)) {
    const bool same = a.offset == b.offset && a.rows == b.rows && (a.stride == b.stride || a.rows <= 1);
    bool diagonal = same;
    for (int64_t j = 0; diagonal && j < b.rows; j++) {
      for (int64_t i = 0; i < a.rows; i++) diagonal = diagonal && (i == j || c[static_cast<size_t>(j * a.rows + i)] == 0);
    }
    if (!diagonal) invalid("combine", "a and b overlap");
  }
  std::vector<Touch> reads{ta};
  if (beta != 0) reads.push_back(tb);
  submit(std::move(reads), {tb}, "combine", [this, dtype, length, c = std::move(c), a, beta, b] {
    backend_->kernels().combine(dtype, length, c.data(), rows_ref(dtype, a), beta, rows_ref(dtype, b), backend_->workspace());
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

void Device::random(DType dtype, int64_t length, BufferRows target, Distribution distribution, uint64_t seed, uint64_t stream) {
  Touch t = touch(dtype, length, target, "random");
  submit({}, {t}, "random", [this, dtype, length, target, distribution, seed, stream] {
    backend_->kernels().random(dtype, length, rows_ref(dtype, target), distribution, seed, stream, backend_->workspace());
  }, nullptr);
}

}  // namespace hessia
