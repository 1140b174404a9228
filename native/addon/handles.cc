#include "addon/handles.h"

#include "addon/errors.h"
#include "addon/state.h"

namespace hessia::addon {
namespace {

constexpr napi_type_tag kBufferTag = {0x6c1f0d9b7a5e4c21, 0x9d3e8f0b2a714c60};
constexpr napi_type_tag kProgramTag = {0x0b7e4d55c2f84a93, 0x8e61d3a70f9b4b12};
constexpr napi_type_tag kTokenTag = {0x5f92c83e1d6740ab, 0xa4c07be15d3f4e89};

template <class Handle> Handle* unwrap(const Napi::Value& value, const napi_type_tag& tag) {
  if (!value.IsObject()) return nullptr;
  const Napi::Object object = value.As<Napi::Object>();
  return object.CheckTypeTag(&tag) ? Handle::Unwrap(object) : nullptr;
}

// Tells the garbage collector what a handle keeps alive. Called from finalisers too, so it must not throw.
void report_external(napi_env env, int64_t change) {
  int64_t total;
  (void)napi_adjust_external_memory(env, change, &total);
}

}  // namespace

// ---- buffers ----

Napi::Function BufferHandle::define(Napi::Env env) {
  return DefineClass(env, "NativeBuffer", {
    InstanceAccessor<&BufferHandle::byte_length>("byteLength", napi_enumerable),
    InstanceMethod<&BufferHandle::dispose>("dispose"),
  });
}
Napi::Value BufferHandle::create(Napi::Env env, BufferPtr buffer, const Device* owner) {
  const Napi::Object object = State::of(env).buffer_class.New({});
  BufferHandle* self = Unwrap(object);
  self->bytes_ = buffer->bytes();
  self->buffer_ = std::move(buffer);
  self->owner_ = owner;
  report_external(env, self->bytes_);
  return object;
}
BufferHandle::BufferHandle(const Napi::CallbackInfo& info) : Napi::ObjectWrap<BufferHandle>(info) {
  info.This().As<Napi::Object>().TypeTag(&kBufferTag);
}
BufferHandle::~BufferHandle() { drop(Env()); }

void BufferHandle::drop(Napi::Env env) {
  if (!buffer_) return;
  buffer_.reset();
  report_external(env, -bytes_);
}
void BufferHandle::dispose(const Napi::CallbackInfo& info) { drop(info.Env()); }
Napi::Value BufferHandle::byte_length(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(bytes_));
}
const BufferPtr& BufferHandle::get(const Napi::Value& value, const Device* owner) {
  BufferHandle* handle = unwrap<BufferHandle>(value, kBufferTag);
  if (!handle) invalid("not a buffer");
  if (!handle->buffer_) invalid("the buffer is disposed");
  if (handle->owner_ != owner) invalid("the buffer belongs to another device");
  return handle->buffer_;
}

// ---- programs ----

Napi::Function ProgramHandle::define(Napi::Env env) {
  return DefineClass(env, "NativeProgram", {InstanceMethod<&ProgramHandle::dispose>("dispose")});
}
Napi::Value ProgramHandle::create(Napi::Env env, std::shared_ptr<const Program> program, const Device* owner) {
  const Napi::Object object = State::of(env).program_class.New({});
  ProgramHandle* self = Unwrap(object);
  self->program_ = std::move(program);
  self->owner_ = owner;
  return object;
}
ProgramHandle::ProgramHandle(const Napi::CallbackInfo& info) : Napi::ObjectWrap<ProgramHandle>(info) {
  info.This().As<Napi::Object>().TypeTag(&kProgramTag);
}
const std::shared_ptr<const Program>& ProgramHandle::get(const Napi::Value& value, const Device* owner) {
  ProgramHandle* handle = unwrap<ProgramHandle>(value, kProgramTag);
  if (!handle) invalid("not a program");
  if (!handle->program_) invalid("the program is disposed");
  if (handle->owner_ != owner) invalid("the program belongs to another device");
  return handle->program_;
}

// ---- tokens ----

Napi::Function TokenHandle::define(Napi::Env env) {
  return DefineClass(env, "NativeToken", {InstanceMethod<&TokenHandle::cancel>("cancel")});
}
Napi::Value TokenHandle::create(Napi::Env env) { return State::of(env).token_class.New({}); }
TokenHandle::TokenHandle(const Napi::CallbackInfo& info) : Napi::ObjectWrap<TokenHandle>(info) {
  info.This().As<Napi::Object>().TypeTag(&kTokenTag);
}
std::shared_ptr<Token> TokenHandle::get(const Napi::Value& value) {
  if (value.IsUndefined() || value.IsNull()) return nullptr;
  TokenHandle* handle = unwrap<TokenHandle>(value, kTokenTag);
  if (!handle) invalid("not a token");
  return handle->token_;
}

}  // namespace hessia::addon
