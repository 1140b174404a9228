#include "device/plugin.h"

#include <cstdlib>
#include <map>
#include <mutex>

#include "base/error.h"

#if !defined(_WIN32)
#include <dlfcn.h>
#include <unistd.h>
#endif

namespace hessia {
namespace {

[[noreturn]] void missing(const std::string& what) { throw Error(ErrorCode::ENVIRONMENT, what); }

#if !defined(_WIN32)
const Plugin& open_plugin(const std::string& path) {
  if (access(path.c_str(), F_OK) != 0) missing(path + " does not exist");
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char* why = dlerror();
    missing(path + " does not load: " + (why ? why : "unknown reason"));
  }
  const PluginEntry entry = reinterpret_cast<PluginEntry>(dlsym(library, kPluginEntry));
  if (!entry) missing(path + " is not a plug-in: it has no function " + kPluginEntry);
  const Plugin* plugin = entry();
  if (plugin->abi != kPluginAbi || std::string(plugin->version) != kVersion || plugin->layout != kPluginLayout) {
    missing(path + " was built from other sources (version " + plugin->version + ", this is " + kVersion + ")");
  }
  return *plugin;
}

std::string own_folder() {
  Dl_info info;
  if (!dladdr(reinterpret_cast<const void*>(&own_folder), &info) || !info.dli_fname) return "./";
  const std::string file = info.dli_fname;
  const size_t slash = file.rfind('/');
  return slash == std::string::npos ? "./" : file.substr(0, slash + 1);
}
#else
const Plugin& open_plugin(const std::string&) { missing("there is no CUDA plug-in for Windows"); }
std::string own_folder() { return ""; }
#endif

}  // namespace

const Plugin& load_plugin(const std::string& path) {
  static std::mutex mutex;
  static std::map<std::string, const Plugin*> loaded;
  const std::lock_guard<std::mutex> lock(mutex);
  const Plugin*& known = loaded[path];
  if (!known) known = &open_plugin(path);
  return *known;
}

const Plugin& load_cuda_plugin(const std::string& wish) {
  const char* variable = std::getenv("HESSIA_CUDA");
  const std::string which = wish.empty() && variable ? variable : wish;
  if (!which.empty() && which != "emulated") return load_plugin(which);
  const std::string path = own_folder() + (which.empty() ? "hessia-cuda.so" : "hessia-cuda-emulated.so");
  try {
    return load_plugin(path);
  } catch (const Error& error) {
    missing("the CUDA plug-in is not built (" + std::string(error.what()) +
            "): run npm run build:native -- -DHESSIA_CUDA=ON where nvcc is found");
  }
}

}  // namespace hessia
