#include "device/cuda/emulate/runtime.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "device/cuda/emulate/fibers.h"

namespace hessia::emulate {

thread_local Registers registers;

class Stream {
 public:
  void add(std::function<void()> work) {
    size_t waiting;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      work_.push_back(std::move(work));
      waiting = work_.size();
    }
    if (waiting >= kMostWaiting) drain();
  }
  // Frees may come from any thread and run nothing.
  void add_quietly(std::function<void()> work) {
    const std::lock_guard<std::mutex> lock(mutex_);
    work_.push_back(std::move(work));
  }
  void drain() {
    const std::lock_guard<std::mutex> running(running_);
    for (;;) {
      std::function<void()> next;
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (work_.empty()) return;
        next = std::move(work_.front());
        work_.pop_front();
      }
      next();
    }
  }
  std::atomic<cudaError_t> failure{cudaSuccess};  // of a kernel; sticky, as on a GPU

 private:
  static constexpr size_t kMostWaiting = 256;
  std::mutex mutex_, running_;
  std::deque<std::function<void()>> work_;
};

namespace {

thread_local cudaError_t last_error = cudaSuccess;
cudaError_t remember(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

std::mutex memory_mutex;
std::unordered_map<void*, size_t> allocations;
size_t used = 0;
size_t memory_total() {
  static const size_t total = [] {
    const char* wish = std::getenv("HESSIA_EMULATED_MEMORY");
    return wish ? static_cast<size_t>(std::strtoull(wish, nullptr, 10)) : size_t{8} << 30;
  }();
  return total;
}
void* take(size_t bytes) {
  const std::lock_guard<std::mutex> lock(memory_mutex);
  if (bytes > memory_total() - used) return nullptr;
  const size_t rounded = (bytes + 511) / 256 * 256;  // at least one unit, aligned as the driver does
  void* data = std::aligned_alloc(256, rounded);
  if (!data) return nullptr;
  std::memset(data, 0xFF, rounded);
  used += bytes;
  allocations[data] = bytes;
  return data;
}
void give_back(void* data) {
  const std::lock_guard<std::mutex> lock(memory_mutex);
  const auto found = allocations.find(data);
  if (found == allocations.end()) return;
  used -= found->second;
  allocations.erase(found);
  std::free(data);
}

struct Shared { alignas(64) unsigned char bytes[kSharedBytes]; size_t most = kSharedBytes; };
Shared& shared_memory() {
  static thread_local Shared memory;
  return memory;
}

}  // namespace

void* shared_bytes(size_t bytes) {
  Shared& memory = shared_memory();
  const size_t at = registers.shared_used;
  registers.shared_used += (bytes + 15) / 16 * 16;
  if (registers.shared_used > kSharedBytes) {
    std::fprintf(stderr, "emulated kernel asks for more than 48 KiB of shared memory\n");
    std::abort();
  }
  if (registers.shared_used > memory.most) memory.most = registers.shared_used;
  return memory.bytes + at;
}

void block_barrier() { current_block().wait_for_block(); }
unsigned lane() { return registers.thread.x % 32; }

// Two sets of slots take turns: a lane writes the set again only after a barrier that all readers have reached.
uint64_t exchange(uint64_t mine, unsigned source_lane) {
  Block& block = current_block();
  uint64_t* slots = block.slots(static_cast<unsigned>(registers.shuffles++ & 1));
  const unsigned warp = registers.thread.x / 32 * 32;
  slots[registers.thread.x] = mine;
  block.wait_for_warp();
  return slots[warp + source_lane];
}

void launch(Stream* stream, dim3 grid, unsigned threads, bool barriers, std::function<void()> body) {
  if (threads == 0 || threads > 1024 || grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 2147483647u ||
      grid.y > 65535 || grid.z > 65535) {
    remember(cudaErrorInvalidConfiguration);
    return;
  }
  stream->add([stream, grid, threads, barriers, body = std::move(body)] {
    if (stream->failure != cudaSuccess) return;
    const Registers outside = registers;
    registers = {dim3(0, 0, 0), dim3(0, 0, 0), dim3(threads), grid, 0, 0};
    shared_memory().most = kSharedBytes;
    for (unsigned z = 0; z < grid.z; z++) {
      for (unsigned y = 0; y < grid.y; y++) {
        for (unsigned x = 0; x < grid.x; x++) {
          registers.block = dim3(x, y, z);
          if (barriers) {
            Shared& memory = shared_memory();
            std::memset(memory.bytes, 0xFF, memory.most);
            memory.most = 0;
            if (!current_block().run(body, threads, (x + y + z) % 2 == 1)) stream->failure = cudaErrorLaunchFailure;
          } else {
            for (unsigned t = 0; t < threads; t++) {
              registers.thread.x = t;
              body();
            }
          }
        }
      }
    }
    registers = outside;
  });
}

}  // namespace hessia::emulate

using namespace hessia::emulate;

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "no error";
    case cudaErrorInvalidValue: return "invalid argument";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInvalidConfiguration: return "invalid configuration argument";
    case cudaErrorLaunchFailure: return "a barrier was not reached by all threads of a block";
  }
  return "unknown error";
}
cudaError_t cudaGetLastError() {
  const cudaError_t error = last_error;
  last_error = cudaSuccess;
  return error;
}
cudaError_t cudaGetDeviceCount(int* count) { return *count = 1, cudaSuccess; }
cudaError_t cudaSetDevice(int device) { return remember(device == 0 ? cudaSuccess : cudaErrorInvalidValue); }
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {"emulated GPU", memory_total(), 0, 0, 1};
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) { return *version = 0, cudaSuccess; }
cudaError_t cudaRuntimeGetVersion(int* version) { return *version = 0, cudaSuccess; }
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  const std::lock_guard<std::mutex> lock(memory_mutex);
  *total = memory_total();
  *free = *total - used;
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) { return *stream = new Stream, cudaSuccess; }
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  stream->drain();
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  stream->drain();
  return remember(stream->failure);
}
cudaError_t cudaMallocAsync(void** data, size_t bytes, cudaStream_t) {
  *data = take(bytes);
  return remember(*data ? cudaSuccess : cudaErrorMemoryAllocation);
}
cudaError_t cudaFreeAsync(void* data, cudaStream_t stream) {
  stream->add_quietly([data] { give_back(data); });
  return cudaSuccess;
}
cudaError_t cudaMallocManaged(void** data, size_t bytes) {
  *data = take(bytes);
  return remember(*data ? cudaSuccess : cudaErrorMemoryAllocation);
}
cudaError_t cudaFree(void* data) {
  give_back(data);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* target, const void* source, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  if (kind == cudaMemcpyHostToDevice) {
    std::vector<char> staged(static_cast<const char*>(source), static_cast<const char*>(source) + bytes);
    stream->add([target, staged = std::move(staged)] {
      if (!staged.empty()) std::memcpy(target, staged.data(), staged.size());
    });
    return cudaSuccess;
  }
  stream->add([target, source, bytes] { std::memcpy(target, source, bytes); });
  return kind == cudaMemcpyDeviceToHost ? cudaStreamSynchronize(stream) : cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* target, int value, size_t bytes, cudaStream_t stream) {
  stream->add([target, value, bytes] { std::memset(target, value, bytes); });
  return cudaSuccess;
}
