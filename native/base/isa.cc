#include "base/isa.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif

namespace hessia {
namespace {

Isa detect() {
#if defined(HESSIA_X86) && defined(__GNUC__)
  __builtin_cpu_init();  // also checks that the system saves the wide registers
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  return avx512 ? Isa::Avx512 : avx2 ? Isa::Avx2 : Isa::Baseline;
#else
  return Isa::Baseline;
#endif
}

Isa chosen() {
  const char* wish = std::getenv("HESSIA_ISA");
  Isa isa = best_isa();
  if (wish) {
    for (Isa candidate : {Isa::Baseline, Isa::Avx2}) {
      if (std::strcmp(wish, isa_name(candidate)) == 0 && candidate < isa) isa = candidate;
    }
  }
  return isa;
}

std::atomic<int> active{-1};

}  // namespace

Isa best_isa() {
  static const Isa best = detect();
  return best;
}

Isa active_isa() {
  int isa = active.load(std::memory_order_relaxed);
  if (isa < 0) {
    isa = static_cast<int>(chosen());
    active.store(isa, std::memory_order_relaxed);
  }
  return static_cast<Isa>(isa);
}

void set_active_isa(Isa isa) {
  active.store(static_cast<int>(isa < best_isa() ? isa : best_isa()), std::memory_order_relaxed);
}

const char* isa_name(Isa isa) {
  return isa == Isa::Avx512 ? "avx512" : isa == Isa::Avx2 ? "avx2" : "baseline";
}

std::vector<std::string> cpu_features() {
  std::vector<std::string> found;
#if defined(HESSIA_X86) && defined(__GNUC__)
  __builtin_cpu_init();
#define HESSIA_FEATURE(name) \
  if (__builtin_cpu_supports(name)) found.push_back(name)
  HESSIA_FEATURE("sse4.2");
  HESSIA_FEATURE("avx");
  HESSIA_FEATURE("avx2");
  HESSIA_FEATURE("fma");
  HESSIA_FEATURE("avx512f");
  HESSIA_FEATURE("avx512bw");
  HESSIA_FEATURE("avx512dq");
  HESSIA_FEATURE("avx512vl");
  HESSIA_FEATURE("avx512vnni");
#undef HESSIA_FEATURE
#endif
  return found;
}

std::string cpu_model() {
  std::string model = "unknown";
#if defined(__linux__)
  if (std::FILE* file = std::fopen("/proc/cpuinfo", "r")) {
    char line[256];
    while (std::fgets(line, sizeof line, file)) {
      if (std::strncmp(line, "model name", 10) != 0) continue;
      if (const char* colon = std::strchr(line, ':')) {
        model = colon + 1;
        const size_t first = model.find_first_not_of(" \t");
        const size_t last = model.find_last_not_of(" \t\r\n");
        model = first == std::string::npos ? "unknown" : model.substr(first, last - first + 1);
      }
      break;
    }
    std::fclose(file);
  }
#endif
  return model;
}

int cpu_cores() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set) > 0 ? CPU_COUNT(&set) : 1;
#endif
  const unsigned count = std::thread::hardware_concurrency();
  return count ? static_cast<int>(count) : 1;
}

}  // namespace hessia
