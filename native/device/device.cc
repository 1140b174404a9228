#include "device/device.h"

#include <cstring>

#include "device/executor.h"

namespace hessia {
namespace {

[[noreturn]] void invalid(const std::string& what) { throw Error(ErrorCode::INVALID_ARGUMENT, what); }

void check_range(const Buffer& buffer, int64_t offset, int64_t bytes, const char* name) {
  if (offset < 0 || bytes < 0 || offset > buffer.bytes() || bytes > buffer.bytes() - offset) {
    invalid(std::string(name) + ": bytes " + std::to_string(offset) + " to " + std::to_string(offset) + " + " +
            std::to_string(bytes) + " are outside a buffer of " + std::to_string(buffer.bytes()));
  }
}

}  // namespace

Buffer::Buffer(std::shared_ptr<Backend> backend, std::shared_ptr<std::atomic<int64_t>> total, size_t bytes)
    : backend_(std::move(backend)), total_(std::move(total)), data_(backend_->allocate(bytes)), bytes_(static_cast<int64_t>(bytes)) {
  *total_ += bytes_;
}
Buffer::~Buffer() {
  backend_->release(data_);
  *total_ -= bytes_;
}

Device::Device(std::unique_ptr<Backend> backend)
    : backend_(std::move(backend)), queue_([backend = backend_] { backend->start(); }) {}

Device::~Device() {
  stop();
  join();
}

void Device::stop() {
  stopping_ = true;
  queue_.close();
}

void Device::enqueue(Queue::Job job) {
  if (!queue_.add(std::move(job))) invalid("the device is disposed");
}

BufferPtr Device::allocate(size_t bytes) { return std::make_shared<Buffer>(backend_, total_, bytes); }

void Device::submit(std::vector<Touch> reads, std::vector<Touch> writes, const char* name, std::function<void()> work,
                    std::function<void(const Cause&)> finish) {
  enqueue([this, reads = std::move(reads), writes = std::move(writes), name, work = std::move(work), finish = std::move(finish)] {
    Cause cause;
    for (const Touch& t : reads) {
      if (cause || t.buffer->poison.none()) continue;
      for (const Interval& i : t.bytes.parts()) if (!cause) cause = t.buffer->poison.find(i.first, i.last);
    }
    try {
      if (!cause && stopping_) throw Error(ErrorCode::ABORTED, "aborted");
      if (!cause) work();
    } catch (...) {
      cause = std::make_shared<const Error>(current_error(name));
    }
    for (const Touch& t : writes) {
      for (const Interval& i : t.bytes.parts()) {
        if (cause) t.buffer->poison.add(i.first, i.last, cause);
        else if (!t.buffer->poison.none()) t.buffer->poison.heal(i.first, i.last);
      }
    }
    if (finish) finish(cause);
  });
}

void Device::write(BufferPtr buffer, int64_t offset, const void* source, int64_t bytes) {
  check_range(*buffer, offset, bytes, "write");
  Touch target{buffer, {}};
  target.bytes.add(offset, offset + bytes);
  std::shared_ptr<void> copy(allocate_aligned(static_cast<size_t>(bytes), "a write"), free_aligned);
  std::memcpy(copy.get(), source, static_cast<size_t>(bytes));
  submit({}, {target}, "write", [this, buffer, offset, copy, bytes] {
    backend_->upload(buffer->data() + offset, copy.get(), static_cast<size_t>(bytes));
  }, nullptr);
}

void Device::read(BufferPtr buffer, int64_t offset, int64_t bytes, BytesCallback done) {
  check_range(*buffer, offset, bytes, "read");
  Touch source{buffer, {}};
  source.bytes.add(offset, offset + bytes);
  auto copy = std::make_shared<std::unique_ptr<char[]>>();
  submit({source}, {}, "read", [this, buffer, offset, bytes, copy] {
    copy->reset(new char[static_cast<size_t>(bytes)]);
    backend_->finish();
    backend_->download(copy->get(), buffer->data() + offset, static_cast<size_t>(bytes));
  }, [copy, done = std::move(done)](const Cause& cause) { done(cause, std::move(*copy)); });
}

void Device::run(std::shared_ptr<const Program> program, std::vector<BufferPtr> buffers, std::vector<int64_t> offsets,
                 std::shared_ptr<Token> token, NumbersCallback done) {
  const size_t count = program->bindings.size();
  if (buffers.size() != count || offsets.size() != count) {
    invalid("run: " + std::to_string(count) + " bindings, but " + std::to_string(buffers.size()) + " buffers and " +
            std::to_string(offsets.size()) + " offsets");
  }
  for (size_t b = 0; b < count; b++) {
    check_range(*buffers[b], offsets[b], program->bindings[b].bytes, "run");
    if (offsets[b] % program->bindings[b].alignment != 0) invalid("run: an offset is not a multiple of its element size");
  }
  enqueue([this, program = std::move(program), buffers = std::move(buffers), offsets = std::move(offsets),
           token = std::move(token), done = std::move(done)] {
    Cause cause;
    std::vector<double> seconds;
    std::vector<void*> bindings(buffers.size());
    for (size_t b = 0; b < buffers.size(); b++) {
      bindings[b] = buffers[b]->data() + offsets[b];
      if (cause || buffers[b]->poison.none()) continue;
      for (const Interval& i : program->bindings[b].inputs.parts()) {
        if (!cause) cause = buffers[b]->poison.find(offsets[b] + i.first, offsets[b] + i.last);
      }
    }
    try {
      if (!cause) execute(*program, bindings.data(), *backend_, token ? &token->cancelled : nullptr, stopping_, done ? &seconds : nullptr);
    } catch (const Error& error) {
      cause = std::make_shared<const Error>(error);
    } catch (...) {
      cause = std::make_shared<const Error>(current_error("run"));
    }
    for (size_t b = 0; b < buffers.size(); b++) {
      const Binding& binding = program->bindings[b];
      if (!cause && buffers[b]->poison.none()) continue;
      const Intervals& bytes = cause ? binding.outputs : binding.overwritten;
      for (const Interval& i : bytes.parts()) {
        if (cause) buffers[b]->poison.add(offsets[b] + i.first, offsets[b] + i.last, cause);
        else buffers[b]->poison.heal(offsets[b] + i.first, offsets[b] + i.last);
      }
    }
    if (done) done(cause, std::move(seconds));
  });
}

}  // namespace hessia
