// JavaScript handles of buffers, programs and cancellation tokens. Each holds a reference; disposing drops it,
// and queued work keeps its own. Type tags tell them from other objects, so a wrong argument is an error
// and not a crash.
#pragma once
#include <napi.h>

#include <memory>

#include "device/device.h"

namespace hessia::addon {

class BufferHandle : public Napi::ObjectWrap<BufferHandle> {
 public:
  static Napi::Function define(Napi::Env env);
  static Napi::Value create(Napi::Env env, BufferPtr buffer, const Device* owner);
  explicit BufferHandle(const Napi::CallbackInfo& info);
  ~BufferHandle() override;

  // Throws INVALID_ARGUMENT unless value is a live buffer of this device.
  static const BufferPtr& get(const Napi::Value& value, const Device* owner);

 private:
  void dispose(const Napi::CallbackInfo& info);
  Napi::Value byte_length(const Napi::CallbackInfo& info);
  void drop(Napi::Env env);
  BufferPtr buffer_;
  const Device* owner_ = nullptr;  // compared only
  int64_t bytes_ = 0;
};

class ProgramHandle : public Napi::ObjectWrap<ProgramHandle> {
 public:
  static Napi::Function define(Napi::Env env);
  static Napi::Value create(Napi::Env env, std::shared_ptr<const Program> program, const Device* owner);
  explicit ProgramHandle(const Napi::CallbackInfo& info);
  static const std::shared_ptr<const Program>& get(const Napi::Value& value, const Device* owner);

 private:
  void dispose(const Napi::CallbackInfo&) { program_.reset(); }
  std::shared_ptr<const Program> program_;
  const Device* owner_ = nullptr;
};

class TokenHandle : public Napi::ObjectWrap<TokenHandle> {
 public:
  static Napi::Function define(Napi::Env env);
  static Napi::Value create(Napi::Env env);
  explicit TokenHandle(const Napi::CallbackInfo& info);
  // nullptr for undefined and null.
  static std::shared_ptr<Token> get(const Napi::Value& value);

 private:
  void cancel(const Napi::CallbackInfo&) { token_->cancelled = true; }
  std::shared_ptr<Token> token_ = std::make_shared<Token>();
};

}  // namespace hessia::addon
