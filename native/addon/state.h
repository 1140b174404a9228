// What belongs to one Node environment (the main thread or a worker): the classes and the live devices.
#pragma once
#include <napi.h>

#include <memory>
#include <vector>

#include "addon/session.h"

namespace hessia::addon {

struct State {
  Napi::FunctionReference buffer_class, program_class, token_class, device_class;
  std::vector<std::shared_ptr<Session>> sessions;

  static State& of(Napi::Env env) { return *env.GetInstanceData<State>(); }
  // Forgets sessions whose thread has ended.
  void prune();
};

}  // namespace hessia::addon
