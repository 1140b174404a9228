// Runs the instructions of a program, in order, on a backend.
#pragma once
#include <atomic>
#include <vector>

#include "base/error.h"
#include "device/backend.h"
#include "program/program.h"

namespace hessia {

// Throws Error: ABORTED when `cancelled` or `stopping` becomes true between two instructions, or what an
// instruction throws, its label in front. seconds, if given, gets the time of each instruction.
//
// With HESSIA_TRACE=1 in the environment every instruction is logged to standard error (any other value: the
// name of a file to append to) with its label, shapes and microseconds.
void execute(const Program& program, Bindings bindings, Backend& backend, const std::atomic<bool>* cancelled,
             const std::atomic<bool>& stopping, std::vector<double>* seconds);

// The exception in flight as an Error; `where` goes in front of the message.
Error current_error(const std::string& where);

}  // namespace hessia
