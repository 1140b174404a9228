// What a device lends its kernels: the size of its OpenMP team and scratch memory.
#pragma once
#include <cstddef>

#include "base/memory.h"

namespace hessia {

struct Workspace {
  int threads = 1;
  bool use_onednn = true;

  // One 64-byte aligned block of at least `bytes` bytes. Each call invalidates the block of the one before:
  // a kernel asks once, before its parallel region, and divides the block among its threads.
  void* scratch(size_t bytes) { return arena_.reserve(bytes, "scratch memory"); }

 private:
  Arena arena_;
};

// Fewer elements than this are not worth waking the team (about 5 µs).
constexpr long kSerialBelow = 20000;

}  // namespace hessia
