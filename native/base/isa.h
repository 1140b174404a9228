// Which build of the multi-compiled kernels runs.
//
// Files named *.isa.cc are compiled once per instruction set, with HESSIA_ISA_NS set to the namespace
// (hessia::baseline, hessia::avx2, hessia::avx512) that holds every symbol they define. Each exports one
// table of functions; the caller picks per call:
//
//   HESSIA_DECLARE_ISA(MapTileTable, map_tile_table)         // in a header, inside namespace hessia
//   HESSIA_PICK_ISA(map_tile_table).run(...)
//
// An *.isa.cc file must not define inline functions outside its namespace (standard containers, shared
// header functions that are not forced inline): the linker would keep one copy of them, possibly the
// AVX-512 one, for everybody. A test of the built objects checks this.
#pragma once
#include <string>
#include <vector>

namespace hessia {

enum class Isa : int { Baseline = 0, Avx2 = 1, Avx512 = 2 };

// The best instruction set of this machine that is built in; the environment variable HESSIA_ISA
// (baseline, avx2, avx512) lowers it.
Isa active_isa();
Isa best_isa();
// For tests: from now on `isa` is used (at most best_isa()).
void set_active_isa(Isa isa);
const char* isa_name(Isa isa);

// Extensions seen, such as avx2 or avx512f; empty where not x86.
std::vector<std::string> cpu_features();
std::string cpu_model();
// Cores this process may use.
int cpu_cores();

}  // namespace hessia

#if defined(__x86_64__) || defined(_M_X64)
#define HESSIA_X86 1
#define HESSIA_DECLARE_ISA(type, name)        \
  namespace baseline { extern const type name; } \
  namespace avx2 { extern const type name; }     \
  namespace avx512 { extern const type name; }
#define HESSIA_PICK_ISA(name)                                                    \
  (::hessia::active_isa() == ::hessia::Isa::Avx512                               \
       ? ::hessia::avx512::name                                                  \
       : ::hessia::active_isa() == ::hessia::Isa::Avx2 ? ::hessia::avx2::name    \
                                                       : ::hessia::baseline::name)
#else
#define HESSIA_DECLARE_ISA(type, name) \
  namespace baseline { extern const type name; }
#define HESSIA_PICK_ISA(name) (::hessia::baseline::name)
#endif
