// The encoder of src/program/format.ts, for tests.
#pragma once
#include <vector>

#include "program/program.h"

namespace hessia::reference {

std::vector<double> encode_instruction(const Instruction& instruction);
std::vector<double> encode_program(const std::vector<Binding>& bindings, const std::vector<Instruction>& instructions);

}  // namespace hessia::reference
