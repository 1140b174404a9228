#include <chrono>
#include <cstring>

#include "base/isa.h"
#include "test/harness.h"

namespace hessia::test {
namespace {

int failures_in_case = 0;
constexpr int kShown = 5;

}  // namespace

std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

void fail(const char* file, int line, const std::string& message) {
  if (++failures_in_case <= kShown) std::printf("  %s:%d: %s\n", file, line, message.c_str());
}

Guarded::Guarded(size_t bytes, size_t misalign) : bytes_(bytes), misalign_(misalign) {
  base_ = static_cast<unsigned char*>(allocate_aligned(bytes + misalign + 2 * kZone, "a test"));
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
  free_aligned(base_);
}

}  // namespace hessia::test

int main(int argc, char** argv) {
  using namespace hessia;
  const char* filter = argc > 1 ? argv[1] : "";
  int passed = 0, failed = 0;
  for (Isa isa : {Isa::Baseline, Isa::Avx2, Isa::Avx512}) {
    if (isa > best_isa()) continue;
    set_active_isa(isa);
    for (const auto& one : test::cases()) {
      if (!std::strstr(one.name, filter)) continue;
      test::failures_in_case = 0;
      const auto start = std::chrono::steady_clock::now();
      try {
        one.body();
      } catch (const std::exception& error) {
        test::fail(__FILE__, __LINE__, std::string("unexpected exception: ") + error.what());
      }
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      const bool ok = test::failures_in_case == 0;
      (ok ? passed : failed)++;
      if (!ok) std::printf("FAIL %s [%s] (%d checks)\n", one.name, isa_name(isa), test::failures_in_case);
      else if (seconds > 2) std::printf("slow %s [%s] %.1f s\n", one.name, isa_name(isa), seconds);
    }
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed ? 1 : 0;
}
