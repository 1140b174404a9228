// The threads of one block, taking turns on one processor.
#pragma once
#include <cstddef>
#include <functional>
#include <vector>

#include "device/cuda/emulate/runtime.h"

namespace hessia::emulate {

// One per thread of the process that runs kernels; keeps its stacks.
class Block {
 public:
  ~Block();
  // Runs `body` once for each of `threads` threads. false: a barrier was not reached by all.
  bool run(const std::function<void()>& body, unsigned threads, bool descending);

  void wait_for_block() { wait(Waiting::Block); }
  void wait_for_warp() { wait(Waiting::Warp); }
  uint64_t* slots(unsigned parity) { return slots_ + parity * 1024; }

 private:
  enum class Waiting { No, Block, Warp, Done };
  struct Fiber { void* context = nullptr; char* stack = nullptr; Waiting waiting = Waiting::No; Registers registers; };

  void wait(Waiting what);
  void resume(Fiber& fiber);
  void start(Fiber& fiber);
  bool release(unsigned threads);
  static void enter();

  std::vector<Fiber> fibers_;
  Fiber* running_ = nullptr;
  void* scheduler_ = nullptr;
  const std::function<void()>* body_ = nullptr;
  uint64_t slots_[2 * 1024];
};

Block& current_block();

}  // namespace hessia::emulate
