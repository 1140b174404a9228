#include "kernels/gemm/onednn.h"

#if defined(HESSIA_HAVE_ONEDNN)
#include <dnnl.h>
#if defined(_OPENMP)
#include <omp.h>
#endif

#include <algorithm>
#include <string>

#include "base/workspace.h"
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

namespace {

// Below this many multiply-adds, and for thin products, the built-in product is as fast or faster.
constexpr double kWorthwhile = 3e7;
constexpr int64_t kThin = 128;

// Row-major matrix as the C API wants it: transposed or not, distance between rows.
struct Layout { char transposed; int64_t leading; bool fits; };
Layout layout(const Axis& rows, const Axis& cols) {
  if (rows.table || cols.table) return {'N', 0, false};
  if (cols.stride == 1 && rows.stride >= cols.count) return {'N', rows.stride, true};
  if (rows.stride == 1 && cols.stride >= rows.count) return {'T', cols.stride, true};
  return {'N', 0, false};
}

}  // namespace

bool onednn_gemm(const Gemm<float>& g, Workspace& workspace) {
  const double operations = static_cast<double>(g.m) * static_cast<double>(g.n) * static_cast<double>(g.k);
  if (operations < kWorthwhile || std::min({g.m, g.n, g.k}) < kThin) return false;
  const Layout c = layout(g.c_rows, g.c_cols);
  if (!c.fits) return false;
  if (c.transposed == 'T') return onednn_gemm(transposed(g), workspace);
  const Layout a = layout(g.a_rows, g.a_cols), b = layout(g.b_rows, g.b_cols);
  if (!a.fits || !b.fits) return false;
#if defined(_OPENMP)
  omp_set_num_threads(workspace.threads);  // the size of its team; a setting of this thread only
#endif
  return dnnl_sgemm(a.transposed, b.transposed, g.m, g.n, g.k, g.alpha, g.a, a.leading, g.b, b.leading,
                    g.accumulate ? 1.0f : 0.0f, g.c, c.leading) == dnnl_success;
}

#else

const char* onednn_version() { return nullptr; }
bool onednn_gemm(const Gemm<float>&, Workspace&) { return false; }

#endif

}  // namespace hessia::cpu
