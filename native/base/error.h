// The one exception type of the core. The addon turns it into a JavaScript Error with `.code`.
#pragma once
#include <stdexcept>
#include <string>

namespace hessia {

enum class ErrorCode { OUT_OF_MEMORY, ABORTED, INVALID_ARGUMENT, INVALID_INPUT, INTERNAL };

inline const char* error_code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::OUT_OF_MEMORY: return "OUT_OF_MEMORY";
    case ErrorCode::ABORTED: return "ABORTED";
    case ErrorCode::INVALID_ARGUMENT: return "INVALID_ARGUMENT";
    case ErrorCode::INVALID_INPUT: return "INVALID_INPUT";
    case ErrorCode::INTERNAL: break;
  }
  return "INTERNAL";
}

struct Error : std::runtime_error {
  ErrorCode code;
  Error(ErrorCode error_code, const std::string& message) : std::runtime_error(message), code(error_code) {}
};

}  // namespace hessia
