#include "base/memory.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#if defined(_WIN32)
#include <malloc.h>
#endif
#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "base/error.h"

namespace hessia {
namespace {

#if defined(__linux__)
// First number in a one-line file, or fallback ("max" and missing files give the fallback).
size_t number_in_file(const char* path, size_t fallback) {
  std::FILE* file = std::fopen(path, "r");
  if (!file) return fallback;
  unsigned long long value = 0;
  const int found = std::fscanf(file, "%llu", &value);
  std::fclose(file);
  return found == 1 ? static_cast<size_t>(value) : fallback;
}

size_t headroom(const char* limit_path, const char* used_path) {
  const size_t limit = number_in_file(limit_path, SIZE_MAX);
  const size_t used = number_in_file(used_path, 0);
  if (limit > (size_t{1} << 60)) return SIZE_MAX;  // cgroup v1 writes a huge number for "no limit"
  return limit > used ? limit - used : 0;
}
#endif

std::string in_megabytes(size_t bytes) {
  char text[48];
  std::snprintf(text, sizeof text, "%.1f MB", static_cast<double>(bytes) / 1e6);
  return text;
}

[[noreturn]] void refuse(size_t bytes, size_t available, const char* what) {
  std::string message = "out of memory: " + std::to_string(bytes) + " bytes (" + in_megabytes(bytes) + ") asked for " + what;
  if (available != SIZE_MAX) message += ", " + in_megabytes(available) + " available";
  throw Error(ErrorCode::OUT_OF_MEMORY, message);
}

}  // namespace

size_t available_memory() noexcept {
#if defined(__linux__)
  size_t available = SIZE_MAX;
  if (std::FILE* file = std::fopen("/proc/meminfo", "r")) {
    char line[128];
    unsigned long long kilobytes = 0;
    while (std::fgets(line, sizeof line, file)) {
      if (std::sscanf(line, "MemAvailable: %llu kB", &kilobytes) == 1) {
        available = static_cast<size_t>(kilobytes) * 1024;
        break;
      }
    }
    std::fclose(file);
  }
  const size_t v2 = headroom("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current");
  const size_t v1 = headroom("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes");
  if (v2 < available) available = v2;
  if (v1 < available) available = v1;
  return available;
#else
  return SIZE_MAX;
#endif
}

void* allocate_aligned(size_t bytes, const char* what) {
  // Reading /proc costs some 20 µs: only blocks that could matter are checked.
  constexpr size_t kChecked = 16u << 20;
  if (bytes >= kChecked) {
    const size_t available = available_memory();
    if (bytes > available) refuse(bytes, available, what);
  }
  const size_t alignment = bytes >= kHugePage ? kHugePage : kAlignment;
  if (bytes > SIZE_MAX - alignment) refuse(bytes, available_memory(), what);
  const size_t rounded = (bytes == 0 ? kAlignment : bytes + kAlignment - 1) / kAlignment * kAlignment;
#if defined(_WIN32)
  void* data = _aligned_malloc(rounded, alignment);
#else
  void* data = nullptr;
  if (posix_memalign(&data, alignment, rounded) != 0) data = nullptr;
#endif
  if (!data) refuse(bytes, available_memory(), what);
#if defined(__linux__)
  if (bytes >= kHugePage) madvise(data, rounded / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
  return data;
}

void free_aligned(void* data) noexcept {
#if defined(_WIN32)
  _aligned_free(data);
#else
  std::free(data);
#endif
}

void Arena::grow(size_t bytes, const char* what) {
  // Half again as much, so that slowly growing requests do not copy page tables each time.
  const size_t wanted = bytes > capacity_ + capacity_ / 2 ? bytes : capacity_ + capacity_ / 2;
  release();
  try {
    data_ = allocate_aligned(wanted, what);
    capacity_ = wanted;
  } catch (const Error&) {
    if (wanted == bytes) throw;
    data_ = allocate_aligned(bytes, what);
    capacity_ = bytes;
  }
}

}  // namespace hessia
