// What a kind of device provides: memory, transfers, kernels. Everything else (queue, poison, abort) is shared.
#pragma once
#include <cstddef>

#include "base/workspace.h"
#include "kernels/table.h"

namespace hessia {

class Backend {
 public:
  virtual ~Backend() = default;

  virtual const KernelTable& kernels() const = 0;
  virtual Workspace& workspace() = 0;
  // Any thread. allocate throws Error(OUT_OF_MEMORY).
  virtual void* allocate(size_t bytes) = 0;
  virtual void release(void* data) noexcept = 0;
  // The device's thread only, as everything below: called first, then in the order of the queue.
  virtual void start() {}
  virtual void upload(void* target, const void* source, size_t bytes) = 0;
  virtual void download(void* target, const void* source, size_t bytes) = 0;
  // Returns when all kernels have finished; called before results are read and between timed instructions.
  virtual void finish() {}

  // Memory that both the kernels and this program can touch, for tests.
  virtual void* allocate_shared(size_t bytes) { return allocate(bytes); }
  virtual void release_shared(void* data) noexcept { release(data); }
};

}  // namespace hessia
