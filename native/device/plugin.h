// Devices that come as a library of their own, loaded at run time, so that the core builds and installs
// without what they need. The library shares the core's C++ types (instructions, errors), hence must come
// from the same sources and the same compiler; the entry point says what it was built from.
#pragma once
#include <memory>
#include <string>

#include "base/version.h"
#include "device/backend.h"
#include "program/program.h"

namespace hessia {

struct PluginInfo {
  std::string name;      // such as "NVIDIA H200"
  std::string detail;    // compute capability, driver, libraries; for people
  size_t memory;         // bytes
};

// What the library's `hessia_plugin` returns. Fields before `layout` never move.
struct Plugin {
  int abi;
  const char* version;
  size_t layout;
  PluginInfo (*info)();                  // throws Error(ENVIRONMENT) where the machine has no such device
  std::unique_ptr<Backend> (*create)();  // likewise
};
constexpr int kPluginAbi = 1;
constexpr size_t kPluginLayout = sizeof(KernelTable) * 1000003 + sizeof(Instruction) * 1009 + sizeof(Workspace);
using PluginEntry = const Plugin* (*)();
constexpr const char* kPluginEntry = "hessia_plugin";

// The library at `path`. Throws Error(ENVIRONMENT) naming the step that failed. Loaded once, never unloaded.
const Plugin& load_plugin(const std::string& path);

// The CUDA plug-in: the library at `wish`, `emulated` for the build that needs no GPU, or, where empty, what
// HESSIA_CUDA says in the same way, else hessia-cuda beside the library or program that this code is linked into.
const Plugin& load_cuda_plugin(const std::string& wish = "");

}  // namespace hessia
