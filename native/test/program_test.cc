// Decoding, validation and access analysis. The fuzz test also runs what it accepts, on memory of exactly the
// declared size (meant for the sanitizer build).
#include "program/program.h"

#include <cstring>

#include "base/error.h"
#include "device/executor.h"
#include "test/reference/encode.h"
#include "test/views.h"

using namespace hessia;
using namespace hessia::test;

namespace {

constexpr DType F = DType::Float32, I = DType::Int32;

Binding bytes(int64_t n, bool written) {
  Binding b;
  b.bytes = n;
  b.written = written;
  return b;
}

// One instruction of every kind, small and valid.
struct Sample { std::vector<Binding> bindings; std::vector<Instruction> instructions; };
Sample sample() {
  Sample s;
  s.bindings = {bytes(4096, true), bytes(4096, true), bytes(4096, true), bytes(256, false)};
  const auto v = [](int b, DType t, std::vector<int64_t> shape) { return dense_view(b, t, std::move(shape)); };
  MapInstruction m;
  m.compute = F;
  m.shape = {4, 6};
  m.reduced_axes = {1};
  m.inputs = {v(0, F, {4, 6}), View{1, F, 2, {4, 6}, {0, 1}}};
  m.code = {{MapOpcode::Add, 0, 1, 0, 0}, {MapOpcode::Constant, 0, 0, 0, 0.5}, {MapOpcode::Select, 2, 3, 0, 0}, {MapOpcode::Tanh, 4, 0, 0, 0}};
  m.outputs = {{5, ReduceKind::None, false, v(2, F, {4, 6})}, {4, ReduceKind::Sum, true, View{2, F, 100, {4, 6}, {1, 0}}}};
  CopyInstruction copy;
  copy.source = View{0, F, 11, {3, 4}, {-1, 3}};
  copy.source.offset = 2;
  copy.target = v(1, F, {3, 4});
  DotInstruction dot;
  dot.a = v(0, F, {4, 5}), dot.b = v(1, F, {5, 3}), dot.c = v(2, F, {4, 3});
  dot.labels_a = {0, 1}, dot.labels_b = {1, 2}, dot.labels_c = {0, 2};
  dot.alpha = 1, dot.accumulate = false;
  ConvInstruction conv;
  conv.mode = ConvMode::Forward;
  conv.x = v(0, F, {1, 2, 2, 5}), conv.w = v(1, F, {1, 4, 1, 3}), conv.y = v(2, F, {1, 2, 4, 5});
  conv.strides = {1}, conv.pad_low = {1}, conv.dilations = {1};
  conv.groups = 2, conv.accumulate = true;
  WindowInstruction window;
  window.mode = WindowMode::Argmax;
  window.x = v(0, F, {2, 6}), window.y = v(1, I, {2, 3});
  window.window = {2}, window.strides = {2}, window.pad_low = {0}, window.dilations = {1};
  const View index = v(3, I, {5});
  s.instructions = {m, copy, FillInstruction{v(2, F, {7}), 3}, dot, conv, window,
                    TakeInstruction{v(0, F, {2, 4, 3}), index, v(1, F, {2, 5, 3})},
                    TakeTransposeInstruction{v(0, F, {2, 4, 3}), index, v(1, F, {2, 5, 3}), true},
                    GatherElementsInstruction{v(0, F, {3, 4}), v(3, I, {3, 2}), v(1, F, {3, 2}), 1},
                    ScatterElementsInstruction{v(0, F, {3, 4}), v(3, I, {3, 2}), v(1, F, {3, 2}), 1, false},
                    ArgReduceInstruction{v(0, F, {3, 4}), v(1, I, {3, 1}), 1, true},
                    CumsumInstruction{v(0, F, {3, 4}), v(1, F, {3, 4}), 0, true, false},
                    ArgsortInstruction{v(0, F, {3, 4}), v(1, I, {3, 4}), 1, false}};
  return s;
}

Program decode(const std::vector<double>& code) { return decode_program(code.data(), code.size(), {}); }

template <class T, class F2> void rejects(F2 change) {
  Sample s = sample();
  for (Instruction& i : s.instructions) if (auto* one = std::get_if<T>(&i)) change(*one);
  CHECK_THROWS(decode(reference::encode_program(s.bindings, s.instructions)), ErrorCode::INVALID_ARGUMENT);
}

}  // namespace

TEST(program_round_trip) {
  const Sample s = sample();
  const auto code = reference::encode_program(s.bindings, s.instructions);
  const Program p = decode_program(code.data(), code.size(), {"first"});
  CHECK(p.instructions.size() == s.instructions.size());
  CHECK(reference::encode_program(p.bindings, p.instructions) == code);
  CHECK(p.labels[0] == "first" && p.labels[3] == "dot");
}

TEST(program_rejects_what_is_wrong) {
  rejects<MapInstruction>([](auto& m) { m.code[0].a = 2; });                        // not computed yet
  rejects<MapInstruction>([](auto& m) { m.outputs[0].reg = 6; });
  rejects<MapInstruction>([](auto& m) { m.outputs[1].view.strides[1] = 1; });       // stride along a reduced axis
  rejects<MapInstruction>([](auto& m) { m.outputs[0].view.strides[0] = 0; });       // written more than once
  rejects<MapInstruction>([](auto& m) { m.inputs[0].shape[0] = 3; });
  rejects<MapInstruction>([](auto& m) { m.inputs[1].strides[1] = 1000; });          // outside
  rejects<MapInstruction>([](auto& m) { m.inputs[1].strides[1] = -1; });
  rejects<MapInstruction>([](auto& m) { m.inputs[0].binding = 4; });
  rejects<MapInstruction>([](auto& m) { m.reduced_axes = {2}; });
  rejects<MapInstruction>([](auto& m) { m.reduced_axes = {1, 1}; });
  rejects<MapInstruction>([](auto& m) { m.compute = DType::Int32; });
  rejects<MapInstruction>([](auto& m) { m.code[0].op = static_cast<MapOpcode>(60); });
  rejects<CopyInstruction>([](auto& c) { c.target.dtype = I; });
  rejects<CopyInstruction>([](auto& c) { c.target.binding = 3; });                  // only read
  rejects<FillInstruction>([](auto& f) { f.target.offset = 1020; });
  rejects<FillInstruction>([](auto& f) { f.target.offset = -1; });
  rejects<FillInstruction>([](auto& f) { f.target.shape = {int64_t{1} << 50}; });
  rejects<FillInstruction>([](auto& f) { f.target.shape[0] = 2, f.target.strides[0] = int64_t{1} << 53; });
  rejects<DotInstruction>([](auto& d) { d.labels_c = {0, 3}; });
  rejects<DotInstruction>([](auto& d) { d.labels_b = {1, 1}; });
  rejects<DotInstruction>([](auto& d) { d.labels_b = {0, 2}; });                    // sizes differ
  rejects<DotInstruction>([](auto& d) { d.a.dtype = DType::Float64; });
  rejects<ConvInstruction>([](auto& c) { c.groups = 3; });
  rejects<ConvInstruction>([](auto& c) { c.groups = 0; });
  rejects<ConvInstruction>([](auto& c) { c.strides = {0}; });
  rejects<ConvInstruction>([](auto& c) { c.strides = {1, 1}; });
  rejects<ConvInstruction>([](auto& c) { c.x.strides[3] = 2; });
  rejects<WindowInstruction>([](auto& w) { w.y.dtype = F; });
  rejects<WindowInstruction>([](auto& w) { w.dilations = {-1}; });
  rejects<TakeInstruction>([](auto& t) { t.index.dtype = F; });
  rejects<TakeInstruction>([](auto& t) { t.y.shape[1] = 4; });
  rejects<GatherElementsInstruction>([](auto& g) { g.axis = 2; });
  rejects<ScatterElementsInstruction>([](auto& g) { g.y.shape[0] = 4; });
  rejects<ArgReduceInstruction>([](auto& a) { a.y.shape[1] = 2; });
  rejects<CumsumInstruction>([](auto& c) { c.axis = 7; });
  rejects<ArgsortInstruction>([](auto& a) { a.y.dtype = F; });
}

TEST(program_garbage_is_refused_or_harmless) {
  const Sample s = sample();
  const auto code = reference::encode_program(s.bindings, s.instructions);
  std::mt19937_64 rng(21);
  const double odd[] = {NAN, INFINITY, -INFINITY, -1, 0.5, 1e300, 9007199254740992.0, -9007199254740992.0, 2147483648.0, 0, 1, 2, 3, 12, 13, 255};
  const auto backend = new_backend();
  const std::atomic<bool> never{false};
  int accepted = 0;
  for (int trial = 0; trial < 20000; trial++) {
    auto broken = code;
    if (pick(rng, 0, 9) == 0) broken.resize(static_cast<size_t>(pick(rng, 0, static_cast<int64_t>(code.size()))));
    const int64_t changes = pick(rng, 1, 3);
    for (int64_t i = 0; i < changes && !broken.empty(); i++) {
      double& word = broken[static_cast<size_t>(pick(rng, 0, static_cast<int64_t>(broken.size()) - 1))];
      word = pick(rng, 0, 1) ? odd[pick(rng, 0, 15)] : word + static_cast<double>(pick(rng, -2, 2));
    }
    try {
      const Program p = decode(broken);
      int64_t total = 0;
      for (const Binding& b : p.bindings) total += b.bytes > (1 << 20) ? (1 << 30) : b.bytes;
      if (total >= (1 << 24)) continue;
      if (pick(rng, 0, 4)) continue;  // running is the slow part
      accepted++;
      std::vector<std::unique_ptr<Guarded>> memory;
      std::vector<void*> bindings;
      for (const Binding& b : p.bindings) {
        memory.push_back(std::make_unique<Guarded>(static_cast<size_t>(b.bytes)));
        std::memset(memory.back()->data(), 0, static_cast<size_t>(b.bytes));
        bindings.push_back(memory.back()->data());
      }
      try {
        execute(p, bindings.data(), *backend, nullptr, never, nullptr);
      } catch (const Error& error) {
        CHECK(error.code == ErrorCode::INVALID_INPUT);
      }
      backend->finish();
    } catch (const Error& error) {
      CHECK(error.code == ErrorCode::INVALID_ARGUMENT);
    }
  }
  CHECK(accepted > 100);
  for (int trial = 0; trial < 5000; trial++) {
    std::vector<double> noise(static_cast<size_t>(pick(rng, 0, 60)));
    for (double& w : noise) w = pick(rng, 0, 1) ? static_cast<double>(pick(rng, 0, 12)) : odd[pick(rng, 0, 15)];
    if (noise.size() > 3) noise[0] = kProgramMagic, noise[1] = kProgramVersion;
    try {
      decode(noise);
    } catch (const Error& error) {
      CHECK(error.code == ErrorCode::INVALID_ARGUMENT);
    }
  }
}

TEST(intervals_behave_as_sets) {
  std::mt19937_64 rng(22);
  for (int trial = 0; trial < 200; trial++) {
    Intervals set;
    std::vector<bool> member(64, false);
    for (int step = 0; step < 30; step++) {
      const int64_t a = pick(rng, 0, 63), b = pick(rng, a, 63);
      const bool add = pick(rng, 0, 2);
      add ? set.add(a, b) : set.remove(a, b);
      for (int64_t i = a; i < b; i++) member[static_cast<size_t>(i)] = add;
      for (size_t i = 0; i + 1 < set.parts().size(); i++) CHECK(set.parts()[i].last < set.parts()[i + 1].first);
      const int64_t p = pick(rng, 0, 63), q = pick(rng, p, 63);
      int64_t inside = 0;
      for (int64_t i = p; i < q; i++) inside += member[static_cast<size_t>(i)];
      CHECK(set.measure(p, q) == inside);
      CHECK(set.contains(p, q) == (inside == q - p));
      CHECK(set.intersects(p, q) == (inside > 0));
    }
  }
}

TEST(access_tells_inputs_from_scratch) {
  // Binding 0 is read; 1 is scratch, written in two interleaved slices before it is read; 2 is accumulated into.
  const View left{1, F, 0, {4, 3}, {5, 1}}, right{1, F, 3, {4, 2}, {5, 1}}, whole = dense_view(1, F, {20});
  CopyInstruction one, two, all;
  one.source = dense_view(0, F, {4, 3}), one.target = left;
  two.source = dense_view(0, F, {4, 2}), two.target = right;
  MapInstruction add;
  add.compute = F;
  add.shape = {20};
  add.inputs = {whole};
  add.outputs = {{0, ReduceKind::None, true, dense_view(2, F, {20})}};
  const auto code = reference::encode_program({bytes(48, false), bytes(80, true), bytes(80, true)}, {one, two, add});
  const Program p = decode(code);
  CHECK(p.bindings[0].inputs.contains(0, 48) && p.bindings[0].outputs.empty());
  CHECK(p.bindings[1].inputs.empty() && p.bindings[1].overwritten.contains(0, 80));
  CHECK(p.bindings[2].inputs.contains(0, 80) && p.bindings[2].outputs.contains(0, 80));
}
