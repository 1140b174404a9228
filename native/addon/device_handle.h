#pragma once
#include <napi.h>

#include <memory>

#include "addon/session.h"

namespace hessia::addon {

// NativeDevice of src/device/native.ts.
class DeviceHandle : public Napi::ObjectWrap<DeviceHandle> {
 public:
  static Napi::Function define(Napi::Env env);
  static Napi::Value create(Napi::Env env, std::unique_ptr<Backend> backend);
  explicit DeviceHandle(const Napi::CallbackInfo& info) : Napi::ObjectWrap<DeviceHandle>(info) {}
  ~DeviceHandle() override;

 private:
  using Info = const Napi::CallbackInfo&;
  Napi::Value allocate(Info);
  void write(Info);
  Napi::Value read(Info);
  Napi::Value load(Info);
  void run(Info);
  Napi::Value profile(Info);
  Napi::Value gram(Info);
  void combine(Info);
  Napi::Value orthogonalize(Info);
  void round_bfloat16(Info);
  void sparse_select(Info);
  void sparse_copy(Info);
  Napi::Value sparse_gram(Info);
  void sparse_combine(Info);
  void random(Info);
  void invert(Info);
  void eliminate(Info);
  void sweep(Info);
  Napi::Value pending(Info);
  Napi::Value drained(Info);
  Napi::Value token(Info);
  Napi::Value allocated_bytes(Info);
  void dispose(Info);

  void start_run(Info, NumbersCallback done);
  Device& device() { return session_->device(); }
  // Promise of a Float64Array; start gets the callback for the device.
  Napi::Value numbers(Napi::Env env, const std::function<void(NumbersCallback)>& start);
  std::shared_ptr<Session> session_;
};

}  // namespace hessia::addon
