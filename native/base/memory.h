// Aligned memory that fails early: a request beyond what the machine can give is refused with a message,
// instead of being granted and the process killed when the pages are touched.
#pragma once
#include <cstddef>
#include <cstdint>

namespace hessia {

constexpr size_t kAlignment = 64;       // one cache line, one AVX-512 register
constexpr size_t kHugePage = 2u << 20;  // blocks from here on ask for huge pages

// Uninitialised; throws Error(OUT_OF_MEMORY) naming the bytes asked for and those available.
// `what` completes the sentence "... for <what>".
void* allocate_aligned(size_t bytes, const char* what);
void free_aligned(void* data) noexcept;

// Bytes the system can hand out without swapping (Linux: MemAvailable, lowered to the memory limit of the
// control group); SIZE_MAX where that cannot be told.
size_t available_memory() noexcept;

// A grow-only aligned block.
class Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena() { free_aligned(data_); }

  // At least `bytes` bytes; contents of an earlier call are lost.
  void* reserve(size_t bytes, const char* what) {
    if (bytes > capacity_) grow(bytes, what);
    return data_;
  }
  void release() noexcept {
    free_aligned(data_);
    data_ = nullptr;
    capacity_ = 0;
  }
  size_t capacity() const { return capacity_; }

 private:
  void grow(size_t bytes, const char* what);
  void* data_ = nullptr;
  size_t capacity_ = 0;
};

}  // namespace hessia
