// A decoded, checked program.
#pragma once
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "program/instruction.h"
#include "program/intervals.h"

namespace hessia {

using Instruction = std::variant<MapInstruction, CopyInstruction, FillInstruction, DotInstruction, ConvInstruction,
                                 WindowInstruction, TakeInstruction, TakeTransposeInstruction, GatherElementsInstruction,
                                 ScatterElementsInstruction, ArgReduceInstruction, CumsumInstruction, ArgsortInstruction>;

struct Binding {
  int64_t bytes = 0;
  bool written = false;
  int64_t alignment = 1;  // of the address attached: the widest type any view reads it as
  // In bytes from the start of the binding:
  Intervals inputs;       // read before the program has written there
  Intervals outputs;      // possibly written
  Intervals overwritten;  // certainly written in full, by a run that succeeds
};

struct Program {
  std::vector<Binding> bindings;
  std::vector<Instruction> instructions;
  std::vector<std::string> labels;  // one per instruction
};

// Throws Error(INVALID_ARGUMENT) unless every count, opcode, register, label, shape, type and address is right:
// a program that comes back cannot read or write outside its bindings. labels may be fewer than instructions.
Program decode_program(const double* code, size_t length, std::vector<std::string> labels);

// Checks one decoded instruction against the bindings. `where` begins the error message.
void validate_instruction(const Instruction& instruction, const std::vector<Binding>& bindings, const std::string& where);

// Fills in inputs, outputs, overwritten and alignment of each binding.
void analyse_access(Program& program);

// f(view, reads, writes, reduced axes or nullptr) for every view of an instruction, reads first.
template <class F> void for_each_view(const Instruction& instruction, F f);

const char* instruction_name(const Instruction& instruction);

}  // namespace hessia

#include "program/views.h"
