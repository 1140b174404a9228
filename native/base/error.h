// The one exception type of the core. The addon turns it into a JavaScript Error with `.code`.
#pragma once
#include <stdexcept>
#include <string>

namespace hessia {

// UNSUPPORTED: this device has no kernel for it. ENVIRONMENT: the machine lacks a device or a library.
enum class ErrorCode { OUT_OF_MEMORY, ABORTED, INVALID_ARGUMENT, INVALID_INPUT, UNSUPPORTED, ENVIRONMENT, INTERNAL };

inline const char* error_code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::OUT_OF_MEMORY: return "OUT_OF_MEMORY";
    case ErrorCode::ABORTED: return "ABORTED";
    case ErrorCode::INVALID_ARGUMENT: return "INVALID_ARGUMENT";
    case ErrorCode::INVALID_INPUT: return "INVALID_INPUT";
    case ErrorCode::UNSUPPORTED: return "UNSUPPORTED";
    case ErrorCode::ENVIRONMENT: return "ENVIRONMENT";
    case ErrorCode::INTERNAL: break;
  }
  return "INTERNAL";
}

// Visible: thrown by plug-ins and caught here.
#if defined(__GNUC__)
struct __attribute__((visibility("default"))) Error : std::runtime_error {
#else
struct Error : std::runtime_error {
#endif
  ErrorCode code;
  Error(ErrorCode error_code, const std::string& message) : std::runtime_error(message), code(error_code) {}
};

}  // namespace hessia
