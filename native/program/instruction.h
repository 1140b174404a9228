// The decoded program. Twin of src/program/format.ts, which explains every instruction; the numbers
// below and there must agree (a test compares them).
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace hessia {

enum class DType : int { Float32 = 0, Float64 = 1, Int32 = 2, Bool = 3 };
// Storage of rows of vectors (kernels/krylov) beside float32. Not an enumerator: no instruction takes it.
constexpr DType kBFloat16 = static_cast<DType>(4);
inline int64_t bytes_per_element(DType t) {
  if (t == kBFloat16) return 2;
  switch (t) {
    case DType::Float64: return 8;
    case DType::Bool: return 1;
    default: return 4;
  }
}

inline const char* dtype_name(DType t) {
  static const char* const names[] = {"float32", "float64", "int32", "bool", "bfloat16"};
  return names[static_cast<int>(t)];
}

// Offset and strides in elements.
struct View {
  int binding = 0;
  DType dtype = DType::Float32;
  int64_t offset = 0;
  std::vector<int64_t> shape, strides;
};

enum class MapOpcode : int {
  Constant = 0, Copy = 1,
  Neg = 2, Abs = 3, Sign = 4, Exp = 5, Expm1 = 6, Log = 7, Log1p = 8, Sqrt = 9, Rsqrt = 10, Reciprocal = 11,
  Sin = 12, Cos = 13, Tan = 14, Asin = 15, Acos = 16, Atan = 17, Sinh = 18, Cosh = 19, Asinh = 20, Acosh = 21,
  Atanh = 22, Tanh = 23, Sigmoid = 24, Softplus = 25, Erf = 26, Floor = 27, Ceil = 28, Round = 29, Not = 30,
  IsNaN = 31, IsInf = 32,
  Add = 40, Sub = 41, Mul = 42, Div = 43, Pow = 44, Max = 45, Min = 46, Atan2 = 47, Mod = 48,
  Eq = 49, Ne = 50, Lt = 51, Le = 52, Gt = 53, Ge = 54, And = 55, Or = 56, Xor = 57,
  Select = 70, Fma = 71,
  Trunc = 80,
};
struct MapOp { MapOpcode op; int a, b, c; double value; };

enum class ReduceKind : int { None = 0, Sum = 1, Max = 2, Min = 3 };
struct MapOutput { int reg; ReduceKind reduce; bool accumulate; View view; };

// What the device's kernel worked out for an instruction at its first run (canonical loops, packed
// descriptors) and keeps for the next ones. A program belongs to one device and runs on its one thread, so
// no lock is needed.
struct Prepared {
  mutable std::shared_ptr<const void> plan;
};

struct MapInstruction : Prepared {
  DType compute;
  std::vector<int64_t> shape;
  std::vector<int> reduced_axes;
  std::vector<View> inputs;
  std::vector<MapOp> code;
  std::vector<MapOutput> outputs;
};
struct CopyInstruction : Prepared { View source, target; };
struct FillInstruction { View target; double value; };
struct DotInstruction : Prepared {
  View a, b, c;
  std::vector<int> labels_a, labels_b, labels_c;
  double alpha;
  bool accumulate;
};
enum class ConvMode : int { Forward = 0, Input = 1, Weight = 2 };
struct ConvInstruction : Prepared {
  ConvMode mode;
  View x, w, y;
  std::vector<int64_t> strides, pad_low, dilations;
  int64_t groups;
  bool accumulate;
};
enum class WindowMode : int { Sum = 0, SumTranspose = 1, Argmax = 2 };
struct WindowInstruction {
  WindowMode mode;
  View x, y;
  std::vector<int64_t> window, strides, pad_low, dilations;
};
struct TakeInstruction { View x, index, y; };
struct TakeTransposeInstruction { View x, index, y; bool accumulate; };
struct GatherElementsInstruction { View x, index, y; int axis; };
struct ScatterElementsInstruction { View x, index, y; int axis; bool accumulate; };
struct ArgReduceInstruction { View x, y; int axis; bool largest; };
struct CumsumInstruction { View x, y; int axis; bool exclusive, reverse; };
struct ArgsortInstruction { View x, y; int axis; bool descending; };

enum class Opcode : int {
  Map = 1, Copy = 2, Fill = 3, Dot = 4, Conv = 5, Window = 6, Take = 7, TakeTranspose = 8, GatherElements = 9,
  ScatterElements = 10, ArgReduce = 11, Cumsum = 12, Argsort = 13,
};

constexpr double kProgramMagic = 0x48455353;  // "HESS"
constexpr int kProgramVersion = 1;

}  // namespace hessia
