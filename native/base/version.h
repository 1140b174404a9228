#pragma once

namespace hessia {

// Same as package.json; a test compares them.
constexpr const char* kVersion = "0.1.0";

}  // namespace hessia
