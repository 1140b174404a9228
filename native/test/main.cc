#include <chrono>
#include <cstring>

#include "base/error.h"
#include "base/isa.h"
#include "device/cpu/cpu.h"
#include "device/plugin.h"
#include "test/harness.h"

namespace hessia::test {
namespace {

int failures_in_case = 0;
constexpr int kShown = 5;
const Plugin* plugin = nullptr;  // under test; null: the CPU
std::unique_ptr<Backend> current;

struct Tally { int passed = 0, failed = 0; };

void run_all(const char* target, const char* filter, Tally& tally) {
  current = new_backend();
  for (const auto& one : cases()) {
    if (!std::strstr(one.name, filter) || (one.cpu_only && plugin)) continue;
    failures_in_case = 0;
    const auto start = std::chrono::steady_clock::now();
    try {
      one.body();
    } catch (const std::exception& error) {
      fail(__FILE__, __LINE__, std::string("unexpected exception: ") + error.what());
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const bool ok = failures_in_case == 0;
    (ok ? tally.passed : tally.failed)++;
    if (!ok) std::printf("FAIL %s [%s] (%d checks)\n", one.name, target, failures_in_case);
    else if (seconds > 2) std::printf("slow %s [%s] %.1f s\n", one.name, target, seconds);
  }
  current.reset();
}

}  // namespace

bool on_cpu() { return plugin == nullptr; }
std::unique_ptr<Backend> new_backend() { return plugin ? plugin->create() : create_cpu_backend(2, true); }
Backend& backend() { return *current; }

std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

void fail(const char* file, int line, const std::string& message) {
  if (++failures_in_case <= kShown) std::printf("  %s:%d: %s\n", file, line, message.c_str());
}

Guarded::Guarded(size_t bytes, size_t misalign) : bytes_(bytes), misalign_(misalign) {
  base_ = static_cast<unsigned char*>(backend().allocate_shared(bytes + misalign + 2 * kZone));
  std::memset(base_, 0xA5, bytes + misalign + 2 * kZone);
  std::memset(base_ + kZone + misalign, 0xFF, bytes);
}

bool Guarded::intact() const {
  for (size_t i = 0; i < kZone + misalign_; i++) if (base_[i] != 0xA5) return false;
  for (size_t i = 0; i < kZone; i++) if (base_[kZone + misalign_ + bytes_ + i] != 0xA5) return false;
  return true;
}

Guarded::~Guarded() {
  if (!intact()) fail(__FILE__, __LINE__, "memory written outside of a buffer");
  backend().release_shared(base_);
}

}  // namespace hessia::test

// hessia_tests [FILTER] [--cuda]: with --cuda the plug-in alone.
int main(int argc, char** argv) {
  using namespace hessia;
  const char* filter = "";
  bool cuda_alone = false;
  for (int i = 1; i < argc; i++) {
    if (std::strcmp(argv[i], "--cuda") == 0) cuda_alone = true;
    else filter = argv[i];
  }
  test::Tally tally;
  for (Isa isa : {Isa::Baseline, Isa::Avx2, Isa::Avx512}) {
    if (isa > best_isa() || cuda_alone) continue;
    set_active_isa(isa);
    test::run_all(isa_name(isa), filter, tally);
  }
#if !defined(_WIN32)
  if (!std::getenv("HESSIA_CUDA")) setenv("HESSIA_CUDA", HESSIA_EMULATED_PLUGIN, 1);
  try {
    test::plugin = &load_cuda_plugin();
    test::run_all("cuda", filter, tally);
  } catch (const Error& error) {
    std::printf("FAIL the CUDA plug-in: %s\n", error.what());
    tally.failed++;
  }
#endif
  std::printf("%d passed, %d failed\n", tally.passed, tally.failed);
  return tally.failed ? 1 : 0;
}
