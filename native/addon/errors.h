// The one place where errors of the core become JavaScript errors.
#pragma once
#include <napi.h>

#include <new>

#include "base/error.h"

namespace hessia::addon {

inline Napi::Error to_js(Napi::Env env, const Error& error) {
  Napi::Error js = Napi::Error::New(env, error.what());
  js.Set("code", Napi::String::New(env, error_code_name(error.code)));
  return js;
}

// Runs f; whatever it throws is thrown as a JavaScript error with a code.
template <class F> auto guarded(Napi::Env env, F f) -> decltype(f()) {
  try {
    return f();
  } catch (const Napi::Error&) {
    throw;
  } catch (const Error& error) {
    throw to_js(env, error);
  } catch (const std::bad_alloc&) {
    throw to_js(env, Error(ErrorCode::OUT_OF_MEMORY, "out of memory"));
  } catch (const std::exception& error) {
    throw to_js(env, Error(ErrorCode::INTERNAL, error.what()));
  }
}

[[noreturn]] inline void invalid(const std::string& what) { throw Error(ErrorCode::INVALID_ARGUMENT, what); }

}  // namespace hessia::addon
