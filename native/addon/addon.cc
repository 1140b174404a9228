// The module: NativeBinding of src/device/native.ts.
#include <napi.h>

#include "addon/arguments.h"
#include "addon/device_handle.h"
#include "addon/handles.h"
#include "addon/state.h"
#include "base/isa.h"
#include "base/version.h"
#include "device/cpu/cpu.h"
#include "device/plugin.h"
#include "kernels/gemm/onednn.h"

namespace hessia::addon {
namespace {

Napi::Value cpu_info(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    Napi::Object out = Napi::Object::New(env);
    const std::vector<std::string> names = cpu_features();
    Napi::Array features = Napi::Array::New(env, names.size());
    for (uint32_t i = 0; i < names.size(); i++) features.Set(i, Napi::String::New(env, names[i]));
    out.Set("features", features);
    out.Set("isa", Napi::String::New(env, isa_name(active_isa())));
    out.Set("cores", Napi::Number::New(env, cpu_cores()));
    const char* onednn = cpu::onednn_version();
    out.Set("oneDNN", onednn ? Napi::Value(Napi::String::New(env, std::string("oneDNN ") + onednn)) : env.Null());
    out.Set("model", Napi::String::New(env, cpu_model()));
    return out;
  });
}

Napi::Value create_cpu_device(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&] {
    const Napi::Object options = object(info[0], "options");
    const int64_t threads = whole(options.Get("threads"), "threads");
    if (threads > 1024) invalid("threads: more than 1024");
    const Napi::Value onednn = options.Get("useOneDNN");
    return DeviceHandle::create(env, create_cpu_backend(static_cast<int>(threads), onednn.IsUndefined() || onednn.ToBoolean()));
  });
}

std::string library_option(const Napi::Value& value) {
  return value.IsString() ? value.As<Napi::String>().Utf8Value() : std::string();
}

Napi::Value cuda_info(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    Napi::Object out = Napi::Object::New(env);
    try {
      const PluginInfo gpu = load_cuda_plugin(library_option(info[0])).info();
      out.Set("available", Napi::Boolean::New(env, true));
      out.Set("name", Napi::String::New(env, gpu.name));
      out.Set("detail", Napi::String::New(env, gpu.detail));
      out.Set("memory", Napi::Number::New(env, static_cast<double>(gpu.memory)));
    } catch (const Error& error) {
      if (error.code != ErrorCode::ENVIRONMENT) throw;
      out.Set("available", Napi::Boolean::New(env, false));
      out.Set("reason", Napi::String::New(env, error.what()));
    }
    return out;
  });
}

Napi::Value create_cuda_device(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&] { return DeviceHandle::create(env, load_cuda_plugin(library_option(info[0])).create()); });
}

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  State* state = new State;
  env.SetInstanceData(state);
  state->buffer_class = Napi::Persistent(BufferHandle::define(env));
  state->program_class = Napi::Persistent(ProgramHandle::define(env));
  state->token_class = Napi::Persistent(TokenHandle::define(env));
  state->device_class = Napi::Persistent(DeviceHandle::define(env));
  exports.Set("version", Napi::String::New(env, kVersion));
  exports.Set("cpuInfo", Napi::Function::New<cpu_info>(env, "cpuInfo"));
  exports.Set("createCpuDevice", Napi::Function::New<create_cpu_device>(env, "createCpuDevice"));
  exports.Set("cudaInfo", Napi::Function::New<cuda_info>(env, "cudaInfo"));
  exports.Set("createCudaDevice", Napi::Function::New<create_cuda_device>(env, "createCudaDevice"));
  return exports;
}

}  // namespace
}  // namespace hessia::addon

static Napi::Object Initialise(Napi::Env env, Napi::Object exports) { return hessia::addon::initialise(env, exports); }
NODE_API_MODULE(hessia, Initialise)
