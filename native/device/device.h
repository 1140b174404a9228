// A device: buffers, programs and vector operations on an ordered queue with its own thread.
//
// Calls check their arguments and throw at once; work is queued. Work that fails poisons the bytes it was to
// write; work that reads poisoned bytes is skipped and poisons its own results with the same cause; results
// that are handed out (read, gram …) carry the cause. Bytes that a successful run or write replaces are
// healthy again. Callbacks come on the device's thread.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "device/backend.h"
#include "device/poison.h"
#include "device/queue.h"
#include "program/program.h"

namespace hessia {

struct Token {
  std::atomic<bool> cancelled{false};
};

class Device;

class Buffer {
 public:
  Buffer(std::shared_ptr<Backend> backend, std::shared_ptr<std::atomic<int64_t>> total, size_t bytes);
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  char* data() const { return static_cast<char*>(data_); }
  int64_t bytes() const { return bytes_; }
  Poison poison;  // device's thread only

 private:
  std::shared_ptr<Backend> backend_;
  std::shared_ptr<std::atomic<int64_t>> total_;
  void* data_;
  int64_t bytes_;
};
using BufferPtr = std::shared_ptr<Buffer>;

// Rows of a buffer; offset and stride in elements.
struct BufferRows { BufferPtr buffer; int64_t offset = 0, rows = 0, stride = 0; };

// Sparse rows in two buffers (kernels/sparse), from their starts on.
struct SparseRows { BufferPtr indices, values; int64_t rows = 0, block = 0, keep = 0; };

// A grid for weights (kernels/table.h) with its results in buffers; `group` per column.
struct GridRows { int low = 0, high = -1; bool symmetric = false, later = false; std::vector<int32_t> group; BufferRows scales, zeros; };

// cause is nullptr on success.
using BytesCallback = std::function<void(Cause, std::unique_ptr<char[]>)>;
using NumbersCallback = std::function<void(Cause, std::vector<double>)>;

class Device {
 public:
  explicit Device(std::unique_ptr<Backend> backend);
  ~Device();

  BufferPtr allocate(size_t bytes);
  void write(BufferPtr buffer, int64_t offset, const void* source, int64_t bytes);
  void read(BufferPtr buffer, int64_t offset, int64_t bytes, BytesCallback done);

  // done (may be empty) gets seconds per instruction.
  void run(std::shared_ptr<const Program> program, std::vector<BufferPtr> buffers, std::vector<int64_t> offsets,
           std::shared_ptr<Token> token, NumbersCallback done);

  // With kBFloat16, b of gram and a of combine are that, the other rows float32.
  void gram(DType dtype, int64_t length, BufferRows a, BufferRows b, NumbersCallback done);
  void combine(DType dtype, int64_t length, std::vector<double> c, BufferRows a, double beta, BufferRows b);
  void orthogonalize(DType dtype, int64_t length, BufferRows basis, BufferRows w, NumbersCallback done);
  // b ← a, float32 to bfloat16.
  void round_bfloat16(int64_t length, BufferRows a, BufferRows b);
  // The largest elements of the single row x become row `row` of s and 0 in x.
  void sparse_select(DType dtype, int64_t length, BufferRows x, SparseRows s, int64_t row);
  void sparse_copy(DType dtype, int64_t length, SparseRows s, int64_t from, int64_t to);
  void sparse_gram(DType dtype, int64_t length, BufferRows x, SparseRows s, int64_t first, int64_t count, NumbersCallback done);
  void sparse_combine(DType dtype, int64_t length, std::vector<double> c, SparseRows s, int64_t first, int64_t count,
                      double beta, BufferRows y);
  void random(DType dtype, int64_t length, BufferRows target, Distribution distribution, uint64_t seed, uint64_t stream);

  // Layers, in float64 (kernels/layerwise). In `h` the factor U of its inverse or the inverse take its place; weights are
  // replaced by what they become.
  void invert(int64_t length, BufferRows h, bool factor);
  void eliminate(int64_t length, BufferRows inverse, BufferRows weights, int64_t block, int64_t keep, int64_t of,
                 bool given, std::vector<double> prune, GridRows grid, BufferRows order, BufferRows losses);
  // `factor` of no rows: nothing takes the part of what is lost.
  void sweep(int64_t length, BufferRows factor, BufferRows weights, SweepRule rule, GridRows grid, BufferRows losses);

  int64_t pending() const { return queue_.pending(); }
  void when_at_most(int64_t limit, std::function<void()> callback) { queue_.when_at_most(limit, std::move(callback)); }
  int64_t allocated_bytes() const { return total_->load(); }
  int threads() const { return backend_->workspace().threads; }

  // No more calls; work that waits still runs.
  void close() { queue_.close(); }
  // No more calls; work that waits fails as ABORTED, the running program stops after its instruction.
  void stop();
  void join() { queue_.join(); }
  bool ended() const { return queue_.ended(); }

 private:
  struct Touch { BufferPtr buffer; Intervals bytes; };
  // Queues work that reads and replaces the given bytes. `finish` gets the cause or nullptr.
  void submit(std::vector<Touch> reads, std::vector<Touch> writes, const char* name, std::function<void()> work,
              std::function<void(const Cause&)> finish);
  void enqueue(Queue::Job job);
  static Touch touch(DType dtype, int64_t length, const BufferRows& rows, const char* name);
  static std::vector<Touch> touch(DType dtype, int64_t length, const SparseRows& s, int64_t first, int64_t count, const char* name);
  static SparseRef sparse_ref(const SparseRows& s);
  static void check_grid(int64_t length, int64_t rows, GridRows& grid, std::vector<Touch>& writes, const char* name);
  QuantGrid grid_ref(const GridRows& grid) const;
  RowsRef rows_ref(DType dtype, const BufferRows& rows) const;

  std::shared_ptr<Backend> backend_;
  std::shared_ptr<std::atomic<int64_t>> total_ = std::make_shared<std::atomic<int64_t>>(0);
  std::atomic<bool> stopping_{false};
  Queue queue_;
};

}  // namespace hessia
