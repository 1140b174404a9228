// oneDNN where the build found it. One header behind which 2.x and 3.x look the same.
#pragma once

namespace hessia::cpu {

// Version of the library in use, such as "2.6.3"; nullptr if not built in.
const char* onednn_version();

}  // namespace hessia::cpu
