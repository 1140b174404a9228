#include "addon/device_handle.h"

#include <cstring>

#include "addon/arguments.h"
#include "addon/state.h"

namespace hessia::addon {

Napi::Function DeviceHandle::define(Napi::Env env) {
  using D = DeviceHandle;
  return DefineClass(env, "NativeDevice", {
    InstanceMethod<&D::allocate>("allocate"), InstanceMethod<&D::write>("write"), InstanceMethod<&D::read>("read"),
    InstanceMethod<&D::load>("load"), InstanceMethod<&D::run>("run"), InstanceMethod<&D::profile>("profile"),
    InstanceMethod<&D::gram>("gram"), InstanceMethod<&D::combine>("combine"),
    InstanceMethod<&D::orthogonalize>("orthogonalize"), InstanceMethod<&D::random>("random"),
    InstanceMethod<&D::round_bfloat16>("roundBFloat16"), InstanceMethod<&D::sparse_select>("sparseSelect"),
    InstanceMethod<&D::sparse_copy>("sparseCopy"), InstanceMethod<&D::sparse_gram>("sparseGram"),
    InstanceMethod<&D::sparse_combine>("sparseCombine"), InstanceMethod<&D::invert>("invert"),
    InstanceMethod<&D::eliminate>("eliminate"), InstanceMethod<&D::sweep>("sweep"),
    InstanceMethod<&D::pending>("pending"), InstanceMethod<&D::drained>("drained"), InstanceMethod<&D::token>("token"),
    InstanceMethod<&D::allocated_bytes>("allocatedBytes"), InstanceMethod<&D::dispose>("dispose"),
  });
}

Napi::Value DeviceHandle::create(Napi::Env env, std::unique_ptr<Backend> backend) {
  const Napi::Object object = State::of(env).device_class.New({});
  Unwrap(object)->session_ = Session::create(env, std::move(backend));
  return object;
}

// Forgotten: what is queued still runs and open promises are kept.
DeviceHandle::~DeviceHandle() {
  if (session_) session_->device().close();
}

void DeviceHandle::dispose(Info) { device().stop(); }

Napi::Value DeviceHandle::allocate(Info info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&] {
    return BufferHandle::create(env, device().allocate(static_cast<size_t>(whole(info[0], "bytes"))), &device());
  });
}

void DeviceHandle::write(Info info) {
  guarded(info.Env(), [&] {
    const Bytes source = bytes_of(info[2]);
    device().write(BufferHandle::get(info[0], &device()), whole(info[1], "byteOffset"), source.data, static_cast<int64_t>(source.length));
  });
}

// The bytes come into memory of the core and are copied to the target on this thread: the target may have
// been transferred elsewhere in the meantime.
Napi::Value DeviceHandle::read(Info info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const BufferPtr buffer = BufferHandle::get(info[0], &device());
    const int64_t offset = whole(info[1], "byteOffset");
    const size_t length = bytes_of(info[2]).length;
    // Released by hand, on this thread: the closures below may die on the device's.
    auto target = std::make_shared<Napi::ObjectReference>(Napi::Persistent(info[2].As<Napi::Object>()));
    target->SuppressDestruct();
    const auto start = [&](Session::Settler settle) {
      device().read(buffer, offset, static_cast<int64_t>(length), [settle, target, length](Cause cause, std::unique_ptr<char[]> bytes) {
        std::shared_ptr<char[]> kept(std::move(bytes));
        settle([cause, target, length, kept](Napi::Env js, const Napi::Promise::Deferred& deferred) {
          const Napi::Object view = target->Value();
          target->Reset();
          if (cause) return deferred.Reject(to_js(js, *cause).Value());
          const Bytes to = bytes_of(view);
          if (to.length != length) invalid("read: the target was detached or resized");
          if (length > 0) std::memcpy(to.data, kept.get(), length);
          deferred.Resolve(js.Undefined());
        });
      });
    };
    try {
      return session_->promise(env, start);
    } catch (...) {
      target->Reset();
      throw;
    }
  });
}

Napi::Value DeviceHandle::load(Info info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&] {
    const Napi::Float64Array code = float64_array(info[0], "code");
    std::vector<std::string> labels;
    if (info[1].IsArray()) {
      const Napi::Array array = info[1].As<Napi::Array>();
      for (uint32_t i = 0; i < array.Length(); i++) {
        const Napi::HandleScope scope(env);
        const Napi::Value label = array.Get(i);
        labels.push_back(label.IsString() ? label.As<Napi::String>().Utf8Value() : std::string());
      }
    } else if (!info[1].IsUndefined()) {
      invalid("labels are not an array");
    }
    auto program = std::make_shared<const Program>(decode_program(code.Data(), code.ElementLength(), std::move(labels)));
    return ProgramHandle::create(env, std::move(program), &device());
  });
}

void DeviceHandle::start_run(Info info, NumbersCallback done) {
  const auto& program = ProgramHandle::get(info[0], &device());
  if (!info[1].IsArray() || !info[2].IsArray()) invalid("buffers and byteOffsets are not arrays");
  const Napi::Array handles = info[1].As<Napi::Array>(), starts = info[2].As<Napi::Array>();
  std::vector<BufferPtr> buffers(handles.Length());
  std::vector<int64_t> offsets(starts.Length());
  const Napi::HandleScope scope(info.Env());
  for (uint32_t i = 0; i < buffers.size(); i++) buffers[i] = BufferHandle::get(handles.Get(i), &device());
  for (uint32_t i = 0; i < offsets.size(); i++) offsets[i] = whole(starts.Get(i), "byte offset");
  device().run(program, std::move(buffers), std::move(offsets), TokenHandle::get(info[3]), std::move(done));
}

void DeviceHandle::run(Info info) {
  guarded(info.Env(), [&] { start_run(info, nullptr); });
}

Napi::Value DeviceHandle::numbers(Napi::Env env, const std::function<void(NumbersCallback)>& start) {
  return session_->promise(env, [&](Session::Settler settle) {
    start([settle](Cause cause, std::vector<double> values) {
      settle([cause, values = std::move(values)](Napi::Env js, const Napi::Promise::Deferred& deferred) {
        if (cause) return deferred.Reject(to_js(js, *cause).Value());
        Napi::Float64Array out = Napi::Float64Array::New(js, values.size());
        if (!values.empty()) std::memcpy(out.Data(), values.data(), values.size() * 8);
        deferred.Resolve(out);
      });
    });
  });
}

Napi::Value DeviceHandle::profile(Info info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&] { return numbers(env, [&](NumbersCallback done) { start_run(info, std::move(done)); }); });
}

Napi::Value DeviceHandle::gram(Info info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&] {
    const DType dtype = row_type(info[0]);
    const int64_t length = whole(info[1], "length");
    const BufferRows a = rows(info[2], &device()), b = rows(info[3], &device());
    return numbers(env, [&](NumbersCallback done) { device().gram(dtype, length, a, b, std::move(done)); });
  });
}

void DeviceHandle::combine(Info info) {
  guarded(info.Env(), [&] {
    const Napi::Float64Array c = float64_array(info[2], "c");
    std::vector<double> coefficients(c.Data(), c.Data() + c.ElementLength());
    device().combine(row_type(info[0]), whole(info[1], "length"), std::move(coefficients), rows(info[3], &device()),
                     number(info[4], "beta"), rows(info[5], &device()));
  });
}

Napi::Value DeviceHandle::orthogonalize(Info info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&] {
    const DType dtype = float_type(info[0]);
    const int64_t length = whole(info[1], "length");
    const BufferRows basis = rows(info[2], &device()), w = rows(info[3], &device());
    return numbers(env, [&](NumbersCallback done) { device().orthogonalize(dtype, length, basis, w, std::move(done)); });
  });
}

void DeviceHandle::round_bfloat16(Info info) {
  guarded(info.Env(), [&] { device().round_bfloat16(whole(info[0], "length"), rows(info[1], &device()), rows(info[2], &device())); });
}

void DeviceHandle::sparse_select(Info info) {
  guarded(info.Env(), [&] {
    device().sparse_select(float_type(info[0]), whole(info[1], "length"), rows(info[2], &device()),
                           sparse_rows(info[3], &device()), whole(info[4], "row"));
  });
}

void DeviceHandle::sparse_copy(Info info) {
  guarded(info.Env(), [&] {
    device().sparse_copy(float_type(info[0]), whole(info[1], "length"), sparse_rows(info[2], &device()), whole(info[3], "from"),
                         whole(info[4], "to"));
  });
}

Napi::Value DeviceHandle::sparse_gram(Info info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&] {
    const DType dtype = float_type(info[0]);
    const int64_t length = whole(info[1], "length"), first = whole(info[4], "first"), count = whole(info[5], "count");
    const BufferRows x = rows(info[2], &device());
    const SparseRows s = sparse_rows(info[3], &device());
    return numbers(env, [&](NumbersCallback done) { device().sparse_gram(dtype, length, x, s, first, count, std::move(done)); });
  });
}

void DeviceHandle::sparse_combine(Info info) {
  guarded(info.Env(), [&] {
    const Napi::Float64Array c = float64_array(info[2], "c");
    std::vector<double> coefficients(c.Data(), c.Data() + c.ElementLength());
    device().sparse_combine(float_type(info[0]), whole(info[1], "length"), std::move(coefficients), sparse_rows(info[3], &device()),
                            whole(info[4], "first"), whole(info[5], "count"), number(info[6], "beta"), rows(info[7], &device()));
  });
}

void DeviceHandle::invert(Info info) {
  guarded(info.Env(), [&] { device().invert(whole(info[0], "length"), rows(info[1], &device()), info[2].ToBoolean()); });
}

void DeviceHandle::eliminate(Info info) {
  guarded(info.Env(), [&] {
    const Napi::Object rule = object(info[3], "rule");
    const Napi::Float64Array prune = float64_array(rule.Get("prune"), "prune");
    device().eliminate(whole(info[0], "length"), rows(info[1], &device()), rows(info[2], &device()), whole(rule.Get("block"), "block"),
                       whole(rule.Get("keep"), "keep"), whole(rule.Get("of"), "of"), rule.Get("given").ToBoolean(),
                       std::vector<double>(prune.Data(), prune.Data() + prune.ElementLength()), grid_rows(info[4], &device()),
                       rows(info[5], &device()), rows(info[6], &device()));
  });
}

void DeviceHandle::sweep(Info info) {
  guarded(info.Env(), [&] {
    const Napi::Object rule = object(info[3], "rule");
    const SweepRule r{whole(rule.Get("block"), "block"), whole(rule.Get("keep"), "keep"), whole(rule.Get("of"), "of"),
                      number(rule.Get("sparsity"), "sparsity")};
    device().sweep(whole(info[0], "length"), rows(info[1], &device()), rows(info[2], &device()), r, grid_rows(info[4], &device()),
                   rows(info[5], &device()));
  });
}

void DeviceHandle::random(Info info) {
  guarded(info.Env(), [&] {
    const std::string name = info[3].IsString() ? info[3].As<Napi::String>().Utf8Value() : std::string();
    Distribution distribution = Distribution::Normal;
    if (name == "rademacher") distribution = Distribution::Rademacher;
    else if (name == "uniform") distribution = Distribution::Uniform;
    else if (name != "normal") invalid("unknown distribution");
    device().random(float_type(info[0]), whole(info[1], "length"), rows(info[2], &device()), distribution,
                    static_cast<uint64_t>(whole(info[4], "seed")), static_cast<uint64_t>(whole(info[5], "stream")));
  });
}

Napi::Value DeviceHandle::pending(Info info) {
  return Napi::Number::New(info.Env(), static_cast<double>(device().pending()));
}

Napi::Value DeviceHandle::drained(Info info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const int64_t limit = whole(info[0], "limit");
    return session_->promise(env, [&](Session::Settler settle) {
      device().when_at_most(limit, [settle] {
        settle([](Napi::Env js, const Napi::Promise::Deferred& deferred) { deferred.Resolve(js.Undefined()); });
      });
    });
  });
}

Napi::Value DeviceHandle::token(Info info) { return TokenHandle::create(info.Env()); }

Napi::Value DeviceHandle::allocated_bytes(Info info) {
  return Napi::Number::New(info.Env(), static_cast<double>(device().allocated_bytes()));
}

}  // namespace hessia::addon
