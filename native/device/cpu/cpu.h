#pragma once
#include <memory>

#include "device/backend.h"

namespace hessia {

const KernelTable& cpu_kernel_table();
// threads = 0: all cores this process may use.
std::unique_ptr<Backend> create_cpu_backend(int threads, bool use_onednn);

}  // namespace hessia
