#include "addon/session.h"

#include "addon/errors.h"
#include "addon/state.h"

namespace hessia::addon {
namespace {

struct Message {
  Napi::Promise::Deferred deferred;
  Session::Settle settle;
};

void check(Napi::Env env, napi_status status) {
  if (status != napi_ok) throw Napi::Error::New(env);
}

}  // namespace

std::shared_ptr<Session> Session::create(Napi::Env env, std::unique_ptr<Backend> backend) {
  std::shared_ptr<Session> session(new Session(std::move(backend)));
  session->env_ = env;
  check(env, napi_create_threadsafe_function(env, nullptr, nullptr, Napi::String::New(env, "hessia device"), 0, 1, nullptr,
                                             nullptr, session.get(), call_js, &session->function_));
  check(env, napi_unref_threadsafe_function(env, session->function_));
  check(env, napi_add_env_cleanup_hook(env, at_exit, session.get()));
  State& state = State::of(env);
  state.prune();
  state.sessions.push_back(session);
  return session;
}

void Session::at_exit(void* data) {
  Session* session = static_cast<Session*>(data);
  session->device_->stop();
  session->device_->join();
}

void Session::finish(Napi::Env env) {
  device_->join();
  napi_remove_env_cleanup_hook(env, at_exit, this);
  napi_release_threadsafe_function(function_, napi_tsfn_release);
}

void State::prune() {
  for (size_t i = sessions.size(); i-- > 0;) {
    if (!sessions[i]->ended()) continue;
    sessions[i]->finish(buffer_class.Env());
    sessions.erase(sessions.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

Napi::Promise Session::promise(Napi::Env env, const std::function<void(Settler)>& start) {
  auto* message = new Message{Napi::Promise::Deferred::New(env), nullptr};
  const Napi::Promise promise = message->deferred.Promise();
  try {
    start([function = function_, message](Settle settle) {
      message->settle = std::move(settle);
      napi_call_threadsafe_function(function, message, napi_tsfn_nonblocking);
    });
  } catch (...) {
    message->deferred.Resolve(env.Undefined());  // nobody has seen it
    delete message;
    throw;
  }
  if (open_++ == 0) napi_ref_threadsafe_function(env, function_);
  return promise;
}

void Session::call_js(napi_env raw, napi_value, void* context, void* data) {
  const std::unique_ptr<Message> message(static_cast<Message*>(data));
  if (!raw) return;  // the environment is gone
  const Napi::Env env(raw);
  const Napi::HandleScope scope(env);
  Session* session = static_cast<Session*>(context);
  if (--session->open_ == 0) napi_unref_threadsafe_function(env, session->function_);
  try {
    guarded(env, [&] { message->settle(env, message->deferred); });
  } catch (const Napi::Error& error) {
    message->deferred.Reject(error.Value());
  }
}

}  // namespace hessia::addon
