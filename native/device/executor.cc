#include "device/executor.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <new>

#include "base/error.h"
#include "base/memory.h"

namespace hessia {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

[[noreturn]] void unsupported(const Instruction& instruction, const char* device) {
  DType dtype = DType::Float32;
  for_each_view(instruction, [&](const View& v, bool, bool writes, const std::vector<int>*) { if (writes) dtype = v.dtype; });
  throw Error(ErrorCode::UNSUPPORTED, std::string("no kernel for ") + instruction_name(instruction) + " of " +
                                          dtype_name(dtype) + " on device " + device + "; use --device cpu");
}

struct Dispatch {
  const KernelTable& table;
  Bindings bindings;
  Workspace& workspace;
  const Instruction& instruction;

  template <class I> void call(void (*kernel)(const I&, Bindings, Workspace&), const I& i) const {
    if (!kernel) unsupported(instruction, table.name);
    kernel(i, bindings, workspace);
  }
  void operator()(const MapInstruction& i) const { call(table.map, i); }
  void operator()(const CopyInstruction& i) const { call(table.copy, i); }
  void operator()(const FillInstruction& i) const { call(table.fill, i); }
  void operator()(const DotInstruction& i) const { call(table.dot, i); }
  void operator()(const ConvInstruction& i) const { call(table.conv, i); }
  void operator()(const WindowInstruction& i) const { call(table.window, i); }
  void operator()(const TakeInstruction& i) const { call(table.take, i); }
  void operator()(const TakeTransposeInstruction& i) const { call(table.take_transpose, i); }
  void operator()(const GatherElementsInstruction& i) const { call(table.gather_elements, i); }
  void operator()(const ScatterElementsInstruction& i) const { call(table.scatter_elements, i); }
  void operator()(const ArgReduceInstruction& i) const { call(table.arg_reduce, i); }
  void operator()(const CumsumInstruction& i) const { call(table.cumsum, i); }
  void operator()(const ArgsortInstruction& i) const { call(table.argsort, i); }
};

std::string shapes_of(const Instruction& instruction) {
  std::string text;
  for_each_view(instruction, [&](const View& v, bool, bool writes, const std::vector<int>*) {
    text += writes ? " -> " : " ";
    text += dtype_name(v.dtype);
    text += '[';
    for (size_t d = 0; d < v.shape.size(); d++) text += (d ? "," : "") + std::to_string(v.shape[d]);
    text += ']';
  });
  return text;
}

std::FILE* trace_file() {
  static std::FILE* const file = []() -> std::FILE* {
    const char* wish = std::getenv("HESSIA_TRACE");
    if (!wish || !*wish || std::string(wish) == "0") return nullptr;
    return std::string(wish) == "1" ? stderr : std::fopen(wish, "a");
  }();
  return file;
}

void trace(std::FILE* file, size_t index, const Program& program, double seconds) {
  static std::mutex mutex;  // devices and workers share the file
  const std::lock_guard<std::mutex> lock(mutex);
  std::fprintf(file, "%4zu %10.1f us  %-14s %s %s\n", index, seconds * 1e6, instruction_name(program.instructions[index]),
               program.labels[index].c_str(), shapes_of(program.instructions[index]).c_str());
  std::fflush(file);
}

}  // namespace

Error current_error(const std::string& where) {
  try {
    throw;
  } catch (const Error& error) {
    if (error.code == ErrorCode::ABORTED) return error;
    return Error(error.code, where + ": " + error.what());
  } catch (const std::bad_alloc&) {
    const size_t available = available_memory();
    return Error(ErrorCode::OUT_OF_MEMORY,
                 where + ": out of memory" +
                     (available == SIZE_MAX ? std::string() : ", " + std::to_string(available / 1000000) + " MB available"));
  } catch (const std::exception& error) {
    return Error(ErrorCode::INTERNAL, where + ": " + error.what());
  } catch (...) {
    return Error(ErrorCode::INTERNAL, where + ": unknown failure");
  }
}

void execute(const Program& program, Bindings bindings, Backend& backend, const std::atomic<bool>* cancelled,
             const std::atomic<bool>& stopping, std::vector<double>* seconds) {
  std::FILE* const log = trace_file();
  const bool timed = seconds || log;
  if (seconds) seconds->reserve(program.instructions.size());
  for (size_t i = 0; i < program.instructions.size(); i++) {
    if (stopping.load(std::memory_order_relaxed) || (cancelled && cancelled->load(std::memory_order_relaxed))) {
      throw Error(ErrorCode::ABORTED, "aborted");
    }
    const Clock::time_point start = timed ? Clock::now() : Clock::time_point();
    try {
      const Instruction& instruction = program.instructions[i];
      std::visit(Dispatch{backend.kernels(), bindings, backend.workspace(), instruction}, instruction);
      if (timed) backend.finish();
    } catch (...) {
      throw current_error(program.labels[i]);
    }
    if (!timed) continue;
    const double elapsed = seconds_since(start);
    if (seconds) seconds->push_back(elapsed);
    if (log) trace(log, i, program, elapsed);
  }
}

}  // namespace hessia
