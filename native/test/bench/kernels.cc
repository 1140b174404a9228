// Speed of the matrix product and convolution kernels at the sizes that curvature products of small networks
// use: GFLOP/s of the built-in kernels and, where it is built in, of oneDNN. Best of several runs, since other
// processes may share the cores. Usage: hessia_bench [threads] [only names containing this]
#include <chrono>
#include <cstdio>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

#include "base/isa.h"
#include "base/memory.h"
#include "base/workspace.h"
#include "kernels/conv/conv.h"
#include "kernels/dot/dot.h"
#include "kernels/gemm/onednn.h"

using namespace hessia;

namespace {

std::string only;

// One thread is measured in processor time, which other processes do not lengthen.
bool processor_time = false;
double seconds() {
  if (processor_time) return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double best(const std::function<void()>& work) {
  work();
  double least = 1e9, begin = seconds();
  for (int run = 0; run < 5 || seconds() - begin < 0.5; ++run) {
    const double t0 = seconds();
    int repeats = 0;
    do work(), ++repeats;
    while (seconds() - t0 < 1e-3);
    const double each = (seconds() - t0) / repeats;
    if (each < least) least = each;
  }
  return least;
}

class Buffer {
 public:
  explicit Buffer(int64_t bytes) : data_(allocate_aligned(static_cast<size_t>(bytes), "the benchmark")) {
    for (int64_t i = 0; i < bytes / 4; ++i)  // bit patterns of moderate numbers, in either type
      static_cast<uint32_t*>(data_)[i] = 0x3f000000u + (static_cast<uint32_t>(i) * 2654435761u >> 10);
  }
  ~Buffer() { free_aligned(data_); }
  Buffer(const Buffer&) = delete;
  void* data() { return data_; }

 private:
  void* data_;
};

View view(int binding, DType t, const std::vector<int64_t>& shape) {
  View v{binding, t, 0, shape, std::vector<int64_t>(shape.size())};
  int64_t step = 1;
  for (size_t d = shape.size(); d-- > 0;) {
    v.strides[d] = step;
    step *= shape[d];
  }
  return v;
}
int64_t bytes(const View& v) {
  int64_t n = bytes_per_element(v.dtype);
  for (int64_t s : v.shape) n *= s;
  return n;
}

void report(const std::string& name, double operations, const std::function<void(Workspace&)>& run, int threads) {
  Workspace workspace;
  workspace.threads = threads;
  workspace.use_onednn = false;
  const double built_in = operations / best([&] { run(workspace); }) / 1e9;
  if (!cpu::onednn_version()) {
    std::printf("%-44s %8.1f\n", name.c_str(), built_in);
  } else {
    workspace.use_onednn = true;
    const double with = operations / best([&] { run(workspace); }) / 1e9;
    std::printf("%-44s %8.1f  with oneDNN %8.1f\n", name.c_str(), built_in, with);
  }
  std::fflush(stdout);
}

// An einsum such as "ij,jk->ik"; sizes by letter.
void dot(const char* name, const char* equation, const std::vector<std::pair<char, int64_t>>& sizes, DType t, int threads) {
  std::string label = std::string(t == DType::Float64 ? "f64 " : "f32 ") + name + " " + equation;
  for (const auto& [letter, size] : sizes) label += " " + std::string(1, letter) + std::to_string(size);
  if (label.find(only) == std::string::npos) return;
  DotInstruction i{};
  std::vector<int>* labels[] = {&i.labels_a, &i.labels_b, &i.labels_c};
  std::vector<int64_t> shapes[3];
  double operations = 2;
  for (const auto& [letter, size] : sizes) operations *= static_cast<double>(size);
  int operand = 0;
  for (const char* c = equation; *c; ++c) {
    if (*c == ',' || *c == '>') {
      ++operand;
    } else if (*c != '-') {
      labels[operand]->push_back(*c);
      for (const auto& [letter, size] : sizes)
        if (letter == *c) shapes[operand].push_back(size);
    }
  }
  i.a = view(0, t, shapes[0]);
  i.b = view(1, t, shapes[1]);
  i.c = view(2, t, shapes[2]);
  i.alpha = 1;
  Buffer a(bytes(i.a)), b(bytes(i.b)), c(bytes(i.c));
  void* bindings[] = {a.data(), b.data(), c.data()};
  report(label, operations, [&](Workspace& workspace) { cpu::dot(i, bindings, workspace); }, threads);
}

// Square images and windows; `carried`: which of x, w, y have the leading axis (the written one always).
void conv(const char* name, ConvMode mode, int64_t k, int64_t n, int64_t groups, int64_t in, int64_t out, int64_t space,
          int64_t window, int64_t stride, const char* carried, DType t, int threads) {
  static const char* modes[] = {"forward", "input", "weight"};
  std::string label = std::string(t == DType::Float64 ? "f64 " : "f32 ") + name + " " + modes[static_cast<int>(mode)] +
                      " k" + std::to_string(k) + "(" + carried + ") " + std::to_string(in) + "-" + std::to_string(out) + "@" +
                      std::to_string(space) + " " + std::to_string(window) + "x" + std::to_string(window) + "/" + std::to_string(stride);
  if (label.find(only) == std::string::npos) return;
  const int64_t pad = window / 2, positions = (space + 2 * pad - window) / stride + 1;
  ConvInstruction i{};
  i.mode = mode;
  i.groups = groups;
  i.strides = {stride, stride};
  i.pad_low = {pad, pad};
  i.dilations = {1, 1};
  i.x = view(0, t, {k, n, in, space, space});
  i.w = view(1, t, {k, out, in / groups, window, window});
  i.y = view(2, t, {k, n, out, positions, positions});
  Buffer x(bytes(i.x)), w(bytes(i.w)), y(bytes(i.y));
  if (!std::strchr(carried, 'x') && mode != ConvMode::Input) i.x.strides[0] = 0;
  if (!std::strchr(carried, 'w') && mode != ConvMode::Weight) i.w.strides[0] = 0;
  if (!std::strchr(carried, 'y') && mode != ConvMode::Forward) i.y.strides[0] = 0;
  void* bindings[] = {x.data(), w.data(), y.data()};
  const double operations = 2.0 * static_cast<double>(k * n * out * in / groups) * static_cast<double>(window * window * positions * positions);
  report(label, operations, [&](Workspace& workspace) { cpu::conv(i, bindings, workspace); }, threads);
}

void dots(int threads) {
  for (DType t : {DType::Float32, DType::Float64}) {
    dot("square", "ik,kj->ij", {{'i', 1024}, {'j', 1024}, {'k', 1024}}, t, threads);
    dot("square", "ki,jk->ij", {{'i', 1024}, {'j', 1024}, {'k', 1024}}, t, threads);
    dot("layer", "ik,jk->ij", {{'i', 256}, {'j', 512}, {'k', 784}}, t, threads);
    dot("layer gradient", "ki,kj->ij", {{'i', 512}, {'j', 784}, {'k', 256}}, t, threads);
  }
  const DType t = DType::Float32;
  dot("output", "ik,jk->ij", {{'i', 256}, {'j', 10}, {'k', 512}}, t, threads);
  dot("output gradient", "ki,kj->ij", {{'i', 10}, {'j', 512}, {'k', 256}}, t, threads);
  dot("back", "ik,kj->ij", {{'i', 256}, {'j', 512}, {'k', 10}}, t, threads);
  dot("scores", "bqhd,bkhd->bhqk", {{'b', 32}, {'h', 4}, {'q', 64}, {'k', 64}, {'d', 32}}, t, threads);
  dot("values", "bhqk,bkhd->bqhd", {{'b', 32}, {'h', 4}, {'q', 64}, {'k', 64}, {'d', 32}}, t, threads);
  dot("scores d16", "bqhd,bkhd->bhqk", {{'b', 32}, {'h', 4}, {'q', 64}, {'k', 64}, {'d', 16}}, t, threads);
  dot("block of tangents", "bi,koi->kbo", {{'b', 256}, {'i', 784}, {'k', 8}, {'o', 512}}, t, threads);
  dot("block, k inside", "bi,kio->bko", {{'b', 256}, {'i', 784}, {'k', 8}, {'o', 512}}, t, threads);
  dot("block gradient", "kbo,bi->koi", {{'b', 256}, {'i', 784}, {'k', 8}, {'o', 512}}, t, threads);
  dot("block, both", "kbi,koi->kbo", {{'b', 256}, {'i', 512}, {'k', 8}, {'o', 512}}, t, threads);
  // a linear layer of a transformer, k vectors at a time, and its attention (operands split from one projection)
  for (const auto& [in, out] : {std::pair<int64_t, int64_t>{128, 512}, {512, 128}, {128, 384}, {128, 128}}) {
    const std::vector<std::pair<char, int64_t>> sizes = {{'k', 8}, {'b', 1024}, {'i', in}, {'o', out}};
    dot("tokens, tangent of input", "kbi,oi->kbo", sizes, t, threads);
    dot("tokens, tangent of weight", "bi,koi->kbo", sizes, t, threads);
    dot("tokens, back", "kbo,oi->kbi", sizes, t, threads);
    dot("tokens, back by tangent", "bo,koi->kbi", sizes, t, threads);
    dot("tokens, weight gradient", "kbo,bi->koi", sizes, t, threads);
    dot("tokens, weight gradient", "bo,kbi->koi", sizes, t, threads);
  }
  for (const char* equation : {"kbthd,bshd->kbhts", "bthd,kbshd->kbhts", "bhts,kbshd->kbthd", "kbhts,bshd->kbthd",
                               "kbthd,bhts->kbshd", "bhts,kbthd->kbshd", "bthd,kbhts->kbshd", "kbhts,bthd->kbshd"})
    dot("heads", equation, {{'k', 8}, {'b', 16}, {'h', 4}, {'t', 64}, {'s', 64}, {'d', 32}}, t, threads);
  dot("per-sample gradient", "bi,bo->bio", {{'b', 256}, {'i', 128}, {'o', 128}}, t, threads);
  dot("matrix-vector", "ij,j->i", {{'i', 4096}, {'j', 4096}}, t, threads);
  dot("vector-matrix", "ij,i->j", {{'i', 4096}, {'j', 4096}}, t, threads);
  dot("outer", "i,j->ij", {{'i', 2048}, {'j', 2048}}, t, threads);
  dot("gram", "ik,jk->ij", {{'i', 16}, {'j', 16}, {'k', 1000000}}, t, threads);
  dot("row dots", "bi,bi->b", {{'b', 4096}, {'i', 512}}, t, threads);
}

void convs(int threads) {
  struct Layer { int64_t in, out, space, window, stride; };
  const Layer layers[] = {{3, 16, 32, 3, 1}, {16, 16, 32, 3, 1}, {32, 32, 16, 3, 1}, {64, 64, 8, 3, 1},
                          {16, 32, 32, 3, 2}, {32, 64, 16, 3, 2}, {16, 32, 32, 1, 2}, {16, 32, 32, 1, 1}};
  for (const Layer& l : layers)
    for (ConvMode mode : {ConvMode::Forward, ConvMode::Input, ConvMode::Weight})
      conv("resnet", mode, 1, 128, 1, l.in, l.out, l.space, l.window, l.stride, "", DType::Float32, threads);
  for (const Layer& l : {layers[1], layers[2], layers[3], layers[4]})
    for (ConvMode mode : {ConvMode::Forward, ConvMode::Input, ConvMode::Weight})
      for (const char* carried : {"xy", "w", "xwy"})
        conv("tangents", mode, 8, 32, 1, l.in, l.out, l.space, l.window, l.stride, carried, DType::Float32, threads);
  for (const Layer& l : {layers[1], layers[3]})
    for (ConvMode mode : {ConvMode::Forward, ConvMode::Input, ConvMode::Weight})
      conv("resnet", mode, 1, 128, 1, l.in, l.out, l.space, l.window, l.stride, "", DType::Float64, threads);
  for (ConvMode mode : {ConvMode::Forward, ConvMode::Input, ConvMode::Weight})
    conv("depthwise", mode, 1, 32, 64, 64, 64, 32, 3, 1, "", DType::Float32, threads);
}

}  // namespace

int main(int count, char** arguments) {
  const int threads = count > 1 ? std::atoi(arguments[1]) : cpu_cores();
  processor_time = threads == 1;
  only = count > 2 ? arguments[2] : "";
  std::printf("%s, %s, %d threads, oneDNN %s; GFLOP/s\n", cpu_model().c_str(), isa_name(active_isa()), threads,
              cpu::onednn_version() ? cpu::onednn_version() : "not built in");
  dots(threads);
  convs(threads);
}
