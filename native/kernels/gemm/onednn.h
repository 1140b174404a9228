// oneDNN where the build found it. One header behind which 2.x and 3.x look the same.
#pragma once
#include "kernels/gemm/gemm.h"

namespace hessia::cpu {

// Version of the library in use, such as "2.6.3"; nullptr if not built in.
const char* onednn_version();

// The product by oneDNN, if it is built in, takes these operands and is likely the faster one; false if not.
bool onednn_gemm(const Gemm<float>& problem, Workspace& workspace);
inline bool onednn_gemm(const Gemm<double>&, Workspace&) { return false; }  // it has no float64

}  // namespace hessia::cpu
