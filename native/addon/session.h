// A device and its way back to JavaScript. Results come on the device's thread and are passed through a
// thread-safe function, which keeps the process alive only while promises are open.
//
// Life: the handle's finaliser closes the device (open promises are still kept); dispose stops it; the end of
// the environment stops it and waits for its thread, before the thread-safe function goes away (cleanup
// hooks run last in, first out). The State keeps the session until its thread has ended.
#pragma once
#include <napi.h>

#include <functional>
#include <memory>

#include "device/device.h"

namespace hessia::addon {

class Session : public std::enable_shared_from_this<Session> {
 public:
  static std::shared_ptr<Session> create(Napi::Env env, std::unique_ptr<Backend> backend);
  ~Session() = default;

  Device& device() { return *device_; }

  // Called on the JavaScript thread when the device has called `Settler` (once, from any thread).
  using Settle = std::function<void(Napi::Env, const Napi::Promise::Deferred&)>;
  using Settler = std::function<void(Settle)>;
  // A promise; `start` hands the settler to the device. If start throws, no promise is left open.
  Napi::Promise promise(Napi::Env env, const std::function<void(Settler)>& start);

  // Waits for the thread (which must be ending) and lets go of the environment.
  void finish(Napi::Env env);
  // Its thread has ended and every promise is settled.
  bool ended() const { return device_->ended() && open_ == 0; }

 private:
  explicit Session(std::unique_ptr<Backend> backend) : device_(std::make_unique<Device>(std::move(backend))) {}
  static void call_js(napi_env env, napi_value, void* context, void* data);
  static void at_exit(void* session);

  std::unique_ptr<Device> device_;
  napi_threadsafe_function function_ = nullptr;
  napi_env env_ = nullptr;
  int open_ = 0;  // promises; JavaScript thread only
};

}  // namespace hessia::addon
