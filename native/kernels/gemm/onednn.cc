#include "kernels/gemm/onednn.h"

#if defined(HESSIA_HAVE_ONEDNN)
#include <dnnl.h>

#include <string>
#endif

namespace hessia::cpu {

#if defined(HESSIA_HAVE_ONEDNN)

const char* onednn_version() {
  static const std::string version = [] {
    const dnnl_version_t* v = dnnl_version();
    return std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch);
  }();
  return version.c_str();
}

#else

const char* onednn_version() { return nullptr; }

#endif

}  // namespace hessia::cpu
