#include "device/cuda/emulate/fibers.h"

#include <cstdint>
#include <cstdlib>

#if !defined(__x86_64__) || defined(_WIN32)
#include <ucontext.h>
#endif

namespace hessia::emulate {
namespace {

constexpr size_t kStack = 128 * 1024;
constexpr unsigned kWarp = 32;

}  // namespace

// switch_to saves the caller in *from and goes on where `to` was saved.
#if defined(__x86_64__) && !defined(_WIN32)
// Only the registers that a function must preserve; nobody here changes rounding modes.
asm(R"(
.text
.local hessia_switch_fiber
.type hessia_switch_fiber, @function
hessia_switch_fiber:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size hessia_switch_fiber, .-hessia_switch_fiber
)");
extern "C" void hessia_switch_fiber(void** from, void* to);
namespace {
void switch_to(void** from, void* to) { hessia_switch_fiber(from, to); }
void* prepare(char* stack, void (*entry)()) {
  // As if `entry` had been called: the address of its caller (none) lies at 8 beyond a multiple of 16.
  void** top = reinterpret_cast<void**>(stack + kStack - 56);
  top[0] = nullptr;
  top[-1] = reinterpret_cast<void*>(entry);
  for (int i = 2; i <= 7; i++) top[-i] = nullptr;
  return top - 7;
}
void forget(void*) {}
}  // namespace
#else
namespace {
void switch_to(void** from, void* to) {
  if (!*from) *from = new ucontext_t;
  swapcontext(static_cast<ucontext_t*>(*from), static_cast<ucontext_t*>(to));
}
void* prepare(char* stack, void (*entry)()) {
  ucontext_t* context = new ucontext_t;
  getcontext(context);
  context->uc_stack.ss_sp = stack;
  context->uc_stack.ss_size = kStack;
  context->uc_link = nullptr;
  makecontext(context, entry, 0);
  return context;
}
void forget(void* context) { delete static_cast<ucontext_t*>(context); }
}  // namespace
#endif

Block& current_block() {
  static thread_local Block block;
  return block;
}

Block::~Block() {
  for (Fiber& f : fibers_) std::free(f.stack);
}

void Block::enter() {
  Block& self = current_block();
  (*self.body_)();
  self.wait(Waiting::Done);
}

void Block::wait(Waiting what) {
  Fiber& me = *running_;
  me.waiting = what;
  me.registers = registers;
  switch_to(&me.context, scheduler_);
  registers = me.registers;
}

void Block::resume(Fiber& fiber) {
  running_ = &fiber;
  registers = fiber.registers;
  switch_to(&scheduler_, fiber.context);
}

// Threads that wait for their warp or block go on once all of it waits.
bool Block::release(unsigned threads) {
  bool any = false;
  const auto all_wait = [&](unsigned first, unsigned last, Waiting what) {
    for (unsigned t = first; t < last; t++) if (fibers_[t].waiting != what) return false;
    for (unsigned t = first; t < last; t++) fibers_[t].waiting = Waiting::No;
    return true;
  };
  for (unsigned first = 0; first < threads; first += kWarp) {
    any |= all_wait(first, first + kWarp < threads ? first + kWarp : threads, Waiting::Warp);
  }
  return all_wait(0, threads, Waiting::Block) || any;
}

bool Block::run(const std::function<void()>& body, unsigned threads, bool descending) {
  if (fibers_.size() < threads) fibers_.resize(threads);
  body_ = &body;
  const Registers initial = registers;
  for (unsigned t = 0; t < threads; t++) {
    Fiber& f = fibers_[t];
    if (!f.stack) f.stack = static_cast<char*>(std::aligned_alloc(64, kStack));
    if (f.context) forget(f.context);
    f.context = prepare(f.stack, enter);
    f.waiting = Waiting::No;
    f.registers = initial;
    f.registers.thread = dim3(t, 0, 0);
  }
  unsigned left = threads;
  bool whole = true;
  while (left > 0) {
    for (unsigned i = 0; i < threads; i++) {
      Fiber& f = fibers_[descending ? threads - 1 - i : i];
      if (f.waiting != Waiting::No) continue;
      resume(f);
      if (f.waiting == Waiting::Done) left--;
    }
    if (left > 0 && !release(threads)) {
      whole = false;  // some ended or wait elsewhere: nobody can go on
      break;
    }
  }
  registers = initial;
  return whole;
}

}  // namespace hessia::emulate
