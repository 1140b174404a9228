// The queue, poison, abort and life of buffers.
#include "device/device.h"

#include <chrono>
#include <cstring>
#include <future>

#include "test/reference/encode.h"
#include "test/views.h"

using namespace hessia;
using namespace hessia::test;

namespace {

constexpr DType F = DType::Float32;

std::shared_ptr<const Program> program(std::vector<std::pair<int64_t, bool>> sizes, const std::vector<Instruction>& instructions) {
  std::vector<Binding> bindings;
  for (const auto& [size, written] : sizes) {
    Binding b;
    b.bytes = size;
    b.written = written;
    bindings.push_back(b);
  }
  const auto code = reference::encode_program(bindings, instructions);
  return std::make_shared<const Program>(decode_program(code.data(), code.size(), {}));
}
MapInstruction unary(MapOpcode op, int from, int to, int64_t n) {
  MapInstruction m;
  m.compute = F;
  m.shape = {n};
  m.inputs = {dense_view(from, F, {n})};
  m.code = {{op, 0, 0, 0, 0}};
  m.outputs = {{1, ReduceKind::None, false, dense_view(to, F, {n})}};
  return m;
}
std::unique_ptr<Device> device() { return std::make_unique<Device>(new_backend()); }

struct Outcome { Cause cause; std::vector<float> values; };
Outcome read(Device& d, const BufferPtr& b, int64_t offset, int64_t n) {
  std::promise<Outcome> promise;
  d.read(b, offset, n * 4, [&](Cause cause, std::unique_ptr<char[]> data) {
    Outcome out{cause, std::vector<float>(static_cast<size_t>(n))};
    if (!cause) std::memcpy(out.values.data(), data.get(), static_cast<size_t>(n) * 4);
    promise.set_value(out);
  });
  return promise.get_future().get();
}

}  // namespace

TEST(device_runs_in_order) {
  auto d = device();
  const auto negate = program({{400, false}, {400, true}}, {unary(MapOpcode::Neg, 0, 1, 100)});
  BufferPtr a = d->allocate(400), b = d->allocate(400);
  std::vector<float> x(100, 1.5f);
  d->write(a, 0, x.data(), 400);
  x.assign(100, 9.0f);  // copied at once
  for (int i = 0; i < 101; i++) d->run(negate, i % 2 ? std::vector<BufferPtr>{b, a} : std::vector<BufferPtr>{a, b}, {0, 0}, nullptr, nullptr);
  CHECK(read(*d, b, 0, 100).values[57] == -1.5f);
  CHECK(d->allocated_bytes() == 800);
  a.reset();
  b.reset();
  std::promise<void> done;
  d->when_at_most(0, [&] { done.set_value(); });
  done.get_future().wait();
  CHECK(d->pending() == 0 && d->allocated_bytes() == 0);
}

TEST(device_checks_arguments_at_once) {
  auto d = device();
  BufferPtr a = d->allocate(400);
  const auto p = program({{400, false}, {400, true}}, {unary(MapOpcode::Neg, 0, 1, 100)});
  CHECK_THROWS(d->write(a, 8, "x", 400), ErrorCode::INVALID_ARGUMENT);
  CHECK_THROWS(d->read(a, -1, 4, nullptr), ErrorCode::INVALID_ARGUMENT);
  CHECK_THROWS(d->run(p, {a}, {0}, nullptr, nullptr), ErrorCode::INVALID_ARGUMENT);
  CHECK_THROWS(d->run(p, {a, a}, {0, 4}, nullptr, nullptr), ErrorCode::INVALID_ARGUMENT);
  BufferPtr big = d->allocate(800);
  CHECK_THROWS(d->run(p, {a, big}, {0, 2}, nullptr, nullptr), ErrorCode::INVALID_ARGUMENT);  // misaligned
  CHECK_THROWS(d->random(F, 101, {a, 0, 1, 101}, Distribution::Normal, 1, 1), ErrorCode::INVALID_ARGUMENT);
  CHECK_THROWS(d->gram(F, 60, {a, 0, 2, 50}, {a, 0, 1, 60}, nullptr), ErrorCode::INVALID_ARGUMENT);
  CHECK_THROWS(d->combine(F, 50, {1, 2}, {a, 0, 1, 50}, 0, {a, 0, 1, 50}), ErrorCode::INVALID_ARGUMENT);
  CHECK_THROWS(d->orthogonalize(F, 50, {a, 0, 2, 50}, {a, 50, 1, 50}, nullptr), ErrorCode::INVALID_ARGUMENT);
  CHECK_THROWS(d->allocate(size_t{1} << 52), ErrorCode::OUT_OF_MEMORY);
}

TEST(device_poison_spreads_and_heals) {
  auto d = device();
  BufferPtr x = d->allocate(40), index = d->allocate(8), y = d->allocate(80), z = d->allocate(40);
  const std::vector<float> ones(10, 1);
  d->write(x, 0, ones.data(), 40);
  const int32_t bad[] = {0, 99};
  d->write(index, 0, bad, 8);
  const auto gather = program({{40, false}, {8, false}, {80, true}},
                              {TakeInstruction{dense_view(0, F, {1, 10, 1}), dense_view(1, DType::Int32, {2}), dense_view(2, F, {1, 2, 1})}});
  const auto forward = program({{8, false}, {40, true}}, {unary(MapOpcode::Neg, 0, 1, 2)});
  const auto fill = program({{8, true}}, {FillInstruction{dense_view(0, F, {2}), 4}});
  d->run(gather, {x, index, y}, {0, 0, 0}, nullptr, nullptr);
  d->run(forward, {y, z}, {0, 0}, nullptr, nullptr);
  const Outcome first = read(*d, y, 0, 2), second = read(*d, z, 0, 2);
  CHECK(first.cause && first.cause->code == ErrorCode::INVALID_INPUT);
  CHECK(second.cause == first.cause);
  CHECK(std::string(first.cause->what()).find("take") == 0);
  CHECK(!read(*d, y, 8, 4).cause);  // bytes that the program does not write
  CHECK(!read(*d, x, 0, 10).cause);
  d->run(fill, {y}, {4}, nullptr, nullptr);
  CHECK(!read(*d, y, 4, 2).cause && read(*d, y, 0, 2).cause);
  d->run(fill, {y}, {0}, nullptr, nullptr);
  d->run(forward, {y, z}, {0, 0}, nullptr, nullptr);
  CHECK(!read(*d, y, 0, 2).cause && read(*d, z, 0, 2).values[0] == -4);
  // vector operations take part
  d->run(gather, {x, index, y}, {0, 0, 0}, nullptr, nullptr);
  d->combine(F, 2, {1}, {y, 0, 1, 2}, 0, {z, 0, 1, 2});
  CHECK(read(*d, z, 0, 2).cause);
  d->random(F, 2, {z, 0, 1, 2}, Distribution::Normal, 1, 1);
  CHECK(!read(*d, z, 0, 2).cause);
}

TEST(device_abort_stops_between_instructions) {
  auto d = device();
  const int64_t n = 200000;
  std::vector<Instruction> many;
  for (int i = 0; i < 20000; i++) many.push_back(unary(MapOpcode::Tanh, 0, 1, n));
  const auto p = program({{n * 4, false}, {n * 4, true}}, many);
  BufferPtr a = d->allocate(static_cast<size_t>(n) * 4), b = d->allocate(static_cast<size_t>(n) * 4);
  d->random(F, n, {a, 0, 1, n}, Distribution::Normal, 1, 1);
  auto token = std::make_shared<Token>();
  d->run(p, {a, b}, {0, 0}, token, nullptr);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  token->cancelled = true;
  const Outcome out = read(*d, b, 0, 1);
  CHECK(out.cause && out.cause->code == ErrorCode::ABORTED);
  CHECK(!read(*d, a, 0, 1).cause);
  // Stopping the device fails what waits, and joins quickly.
  d->run(p, {a, b}, {0, 0}, nullptr, nullptr);
  std::promise<Cause> waiting;
  d->read(b, 0, 4, [&](Cause cause, std::unique_ptr<char[]>) { waiting.set_value(cause); });
  d->stop();
  d->join();
  const Cause cause = waiting.get_future().get();
  CHECK(cause && cause->code == ErrorCode::ABORTED);
  CHECK_THROWS(d->run(p, {a, b}, {0, 0}, nullptr, nullptr), ErrorCode::INVALID_ARGUMENT);
}

TEST(device_profile_gives_a_time_per_instruction) {
  auto d = device();
  const auto p = program({{400, false}, {400, true}}, {unary(MapOpcode::Neg, 0, 1, 100), unary(MapOpcode::Exp, 0, 1, 100)});
  BufferPtr a = d->allocate(400), b = d->allocate(400);
  std::promise<std::vector<double>> times;
  d->run(p, {a, b}, {0, 0}, nullptr, [&](Cause, std::vector<double> seconds) { times.set_value(seconds); });
  const auto seconds = times.get_future().get();
  CHECK(seconds.size() == 2 && seconds[0] > 0 && seconds[1] > 0);
}

TEST(device_without_a_kernel_says_so) {
  if (on_cpu()) return;
  auto d = device();
  BufferPtr x = d->allocate(32), index = d->allocate(16), values = d->allocate(32);
  d->random(F, 8, {x, 0, 1, 8}, Distribution::Normal, 1, 1);
  d->sparse_select(F, 8, {x, 0, 1, 8}, {index, values, 1, 8, 4}, 0);
  const Outcome out = read(*d, x, 0, 8);
  CHECK(out.cause && out.cause->code == ErrorCode::UNSUPPORTED);
  CHECK(out.cause && std::string(out.cause->what()).find("sparseSelect of float32 on device cuda") != std::string::npos);
}

TEST(devices_are_independent) {
  std::vector<std::unique_ptr<Device>> devices;
  std::vector<BufferPtr> buffers;
  const auto p = program({{400000, false}, {400000, true}}, {unary(MapOpcode::Exp, 0, 1, 100000)});
  for (int i = 0; i < 4; i++) {
    devices.push_back(device());
    buffers.push_back(devices.back()->allocate(400000));
    devices.back()->random(F, 100000, {buffers.back(), 0, 1, 100000}, Distribution::Normal, 1, 1);
  }
  std::vector<std::vector<float>> results;
  for (int i = 0; i < 4; i++) {
    BufferPtr y = devices[static_cast<size_t>(i)]->allocate(400000);
    // A program belongs to one device: each decodes its own.
    const auto own = program({{400000, false}, {400000, true}}, {unary(MapOpcode::Exp, 0, 1, 100000)});
    devices[static_cast<size_t>(i)]->run(own, {buffers[static_cast<size_t>(i)], y}, {0, 0}, nullptr, nullptr);
    results.push_back(read(*devices[static_cast<size_t>(i)], y, 0, 100000).values);
  }
  for (int i = 1; i < 4; i++) CHECK(results[static_cast<size_t>(i)] == results[0]);
}
