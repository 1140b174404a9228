/**
 * The compiled program: what TypeScript hands to a device, once, to be run many times.
 *
 * A program is a list of instructions over *views*. A view addresses a *binding*: a numbered slot to
 * which a buffer is attached for each run. Where a result lives, and for how long, is decided entirely
 * here in TypeScript (see transform/compile); the device knows no memory plan, only addresses that it
 * checks once when the program is loaded.
 *
 * Twin: native/program/instruction.h. Both state the same numbers; a test compares them.
 */

/** Types of values in graphs and programs. */
export type DType = 'float32' | 'float64' | 'int32' | 'bool';
/** Types that are differentiated and computed in. */
export type FloatDType = 'float32' | 'float64';

export const bytesPerElement: Record<DType, number> = { float32: 4, float64: 8, int32: 4, bool: 1 };
const dtypeCode: Record<DType, number> = { float32: 0, float64: 1, int32: 2, bool: 3 };

/** A strided window into a binding. Offset and strides count elements; strides may be 0 or negative. */
export interface View {
  readonly binding: number;
  readonly dtype: DType;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

/**
 * Register operations of a `map`. Registers hold one tile of elements of the compute type; truth values
 * are 0 and 1. `a`, `b`, `c` are registers; `constant` takes `value` instead.
 */
export const mapOpcodes = {
  constant: 0,
  copy: 1,
  // one operand
  neg: 2,
  abs: 3,
  sign: 4,
  exp: 5,
  expm1: 6,
  log: 7,
  log1p: 8,
  sqrt: 9,
  rsqrt: 10,
  reciprocal: 11,
  sin: 12,
  cos: 13,
  tan: 14,
  asin: 15,
  acos: 16,
  atan: 17,
  sinh: 18,
  cosh: 19,
  asinh: 20,
  acosh: 21,
  atanh: 22,
  tanh: 23,
  sigmoid: 24,
  softplus: 25,
  erf: 26,
  floor: 27,
  ceil: 28,
  round: 29,
  not: 30,
  isNaN: 31,
  isInf: 32,
  // two operands
  add: 40,
  sub: 41,
  mul: 42,
  div: 43,
  pow: 44,
  max: 45,
  min: 46,
  atan2: 47,
  mod: 48,
  eq: 49,
  ne: 50,
  lt: 51,
  le: 52,
  gt: 53,
  ge: 54,
  and: 55,
  or: 56,
  xor: 57,
  // three operands: a ? b : c, and a * b + c (rounded twice or once, as the machine does it)
  select: 70,
  fma: 71,
  // conversion: truncate towards zero (float to integer)
  trunc: 80,
} as const;
export type MapOpcode = keyof typeof mapOpcodes;

export interface MapOp {
  readonly op: MapOpcode;
  readonly a?: number;
  readonly b?: number;
  readonly c?: number;
  readonly value?: number;
}

export type ReduceKind = 'none' | 'sum' | 'max' | 'min';
const reduceCode: Record<ReduceKind, number> = { none: 0, sum: 1, max: 2, min: 3 };

/**
 * Element-wise work over one iteration space, optionally reduced.
 *
 * Input i is loaded into register i and converted to the compute type; operation j writes register
 * inputs.length + j. Every input view has the iteration shape (stride 0 where broadcast). An output with
 * `reduce: 'none'` has the iteration shape too; one that reduces has stride 0 along `reducedAxes` and is
 * written once per remaining position. `accumulate` adds the result to what the output holds.
 */
export interface MapInstruction {
  readonly kind: 'map';
  readonly compute: FloatDType;
  readonly shape: readonly number[];
  readonly reducedAxes: readonly number[];
  readonly inputs: readonly View[];
  readonly code: readonly MapOp[];
  readonly outputs: readonly { register: number; view: View; reduce: ReduceKind; accumulate: boolean }[];
}

/** target ← source, same shape and dtype, any strides. */
export interface CopyInstruction {
  readonly kind: 'copy';
  readonly source: View;
  readonly target: View;
}
/** target ← value everywhere. */
export interface FillInstruction {
  readonly kind: 'fill';
  readonly target: View;
  readonly value: number;
}

/**
 * c ← alpha · Σ a·b (+ c if accumulate). Every axis of a, b and c carries a label; a label in a and b but not
 * in c is summed. A label of c is in a or b or both. No label repeats within one operand.
 */
export interface DotInstruction {
  readonly kind: 'dot';
  readonly a: View;
  readonly b: View;
  readonly c: View;
  readonly labelsA: readonly number[];
  readonly labelsB: readonly number[];
  readonly labelsC: readonly number[];
  readonly alpha: number;
  readonly accumulate: boolean;
}

export type ConvMode = 'forward' | 'input' | 'weight';
const convModeCode: Record<ConvMode, number> = { forward: 0, input: 1, weight: 2 };
/**
 * Cross-correlation y[k,n,o,p] = Σ_{i,q} w[k,o,i,q] · x[k,n,g·I+i, p·stride + q·dilation − padLow] and its two
 * adjoints. `forward` writes y, `input` writes x (gradient with respect to x), `weight` writes w.
 * x: [k, n, channels, ...space]; w: [k, out, channels/groups, ...window]; y: [k, n, out, ...positions].
 * The leading axis k is always there; an operand that all k share has stride 0 on it (never the one written).
 * All axes after the leading one are contiguous. One to three spatial axes.
 */
export interface ConvInstruction {
  readonly kind: 'conv';
  readonly mode: ConvMode;
  readonly x: View;
  readonly w: View;
  readonly y: View;
  readonly strides: readonly number[];
  readonly padLow: readonly number[];
  readonly dilations: readonly number[];
  readonly groups: number;
  readonly accumulate: boolean;
}

export type WindowMode = 'sum' | 'sumTranspose' | 'argmax';
const windowModeCode: Record<WindowMode, number> = { sum: 0, sumTranspose: 1, argmax: 2 };
/**
 * Sliding windows over trailing spatial axes. x: [n, ...space], y: [n, ...positions], both contiguous.
 * `sum` writes y[p] = Σ_q x[p·stride + q·dilation − padLow] (outside counts zero); `sumTranspose` writes x, its
 * adjoint; `argmax` writes y (int32), the flat index into space of the first maximum (NaN counts as largest).
 */
export interface WindowInstruction {
  readonly kind: 'window';
  readonly mode: WindowMode;
  readonly x: View;
  readonly y: View;
  readonly window: readonly number[];
  readonly strides: readonly number[];
  readonly padLow: readonly number[];
  readonly dilations: readonly number[];
}

/** y[o, j, i] = x[o, index[j], i]. x: [outer, size, inner], index: [count] int32, y: [outer, count, inner]. Negative or too large indices are an error. */
export interface TakeInstruction {
  readonly kind: 'take';
  readonly x: View;
  readonly index: View;
  readonly y: View;
}
/** x[o, index[j], i] += y[o, j, i] after x ← 0 (unless accumulate); in the order of j, so deterministic. */
export interface TakeTransposeInstruction {
  readonly kind: 'takeTranspose';
  readonly x: View;
  readonly index: View;
  readonly y: View;
  readonly accumulate: boolean;
}
/** y[..., j, ...] = x[..., index[..., j, ...], ...] along `axis`; index has y's shape (stride 0 where shared). */
export interface GatherElementsInstruction {
  readonly kind: 'gatherElements';
  readonly x: View;
  readonly index: View;
  readonly y: View;
  readonly axis: number;
}
/** The adjoint: x[..., index, ...] += y, after x ← 0 (unless accumulate). Deterministic. */
export interface ScatterElementsInstruction {
  readonly kind: 'scatterElements';
  readonly x: View;
  readonly index: View;
  readonly y: View;
  readonly axis: number;
  readonly accumulate: boolean;
}
/** y (int32, same rank, 1 along axis) = position of the first maximum or minimum of x along axis. */
export interface ArgReduceInstruction {
  readonly kind: 'argReduce';
  readonly x: View;
  readonly y: View;
  readonly axis: number;
  readonly largest: boolean;
}
/** Running sum of x along axis into y; `reverse` from the end; `exclusive` leaves out the element itself. */
export interface CumsumInstruction {
  readonly kind: 'cumsum';
  readonly x: View;
  readonly y: View;
  readonly axis: number;
  readonly exclusive: boolean;
  readonly reverse: boolean;
}
/** y (int32) = the permutation that sorts x along axis, stable. */
export interface ArgsortInstruction {
  readonly kind: 'argsort';
  readonly x: View;
  readonly y: View;
  readonly axis: number;
  readonly descending: boolean;
}

export type Instruction =
  | MapInstruction
  | CopyInstruction
  | FillInstruction
  | DotInstruction
  | ConvInstruction
  | WindowInstruction
  | TakeInstruction
  | TakeTransposeInstruction
  | GatherElementsInstruction
  | ScatterElementsInstruction
  | ArgReduceInstruction
  | CumsumInstruction
  | ArgsortInstruction;

export const opcodes: Record<Instruction['kind'], number> = {
  map: 1,
  copy: 2,
  fill: 3,
  dot: 4,
  conv: 5,
  window: 6,
  take: 7,
  takeTranspose: 8,
  gatherElements: 9,
  scatterElements: 10,
  argReduce: 11,
  cumsum: 12,
  argsort: 13,
};

/** What a run must attach to a slot: at least `bytes` bytes; `written` if any instruction writes to it. */
export interface Binding {
  readonly name: string;
  readonly bytes: number;
  readonly written: boolean;
}

export interface Program {
  readonly bindings: readonly Binding[];
  readonly instructions: readonly Instruction[];
}

export const programMagic = 0x48455353; // "HESS"
export const programVersion = 1;

/**
 * The program as one Float64Array (every integer below 2^53 is exact, constants need no second table):
 * [magic, version, #bindings, #instructions, (bytes, written) per binding, instructions], each instruction
 * being [opcode, number of payload words, ...payload].
 */
export function encodeProgram(program: Program): Float64Array {
  const out: number[] = [programMagic, programVersion, program.bindings.length, program.instructions.length];
  for (const b of program.bindings) out.push(b.bytes, b.written ? 1 : 0);
  for (const instruction of program.instructions) {
    const payload = encodeInstruction(instruction);
    out.push(opcodes[instruction.kind], payload.length);
    for (const word of payload) out.push(word);
  }
  return Float64Array.from(out);
}

function view(v: View): number[] {
  return [v.binding, dtypeCode[v.dtype], v.offset, v.shape.length, ...v.shape, ...v.strides];
}
function list(values: readonly number[]): number[] {
  return [values.length, ...values];
}
const flag = (b: boolean): number => (b ? 1 : 0);

function encodeInstruction(i: Instruction): number[] {
  switch (i.kind) {
    case 'map':
      return [
        dtypeCode[i.compute],
        ...list(i.shape),
        ...list(i.reducedAxes),
        i.inputs.length,
        ...i.inputs.flatMap(view),
        i.code.length,
        ...i.code.flatMap((c) => [mapOpcodes[c.op], c.a ?? 0, c.b ?? 0, c.c ?? 0, c.value ?? 0]),
        i.outputs.length,
        ...i.outputs.flatMap((o) => [o.register, reduceCode[o.reduce], flag(o.accumulate), ...view(o.view)]),
      ];
    case 'copy':
      return [...view(i.source), ...view(i.target)];
    case 'fill':
      return [...view(i.target), i.value];
    case 'dot':
      return [
        ...view(i.a),
        ...view(i.b),
        ...view(i.c),
        ...list(i.labelsA),
        ...list(i.labelsB),
        ...list(i.labelsC),
        i.alpha,
        flag(i.accumulate),
      ];
    case 'conv':
      return [
        convModeCode[i.mode],
        ...view(i.x),
        ...view(i.w),
        ...view(i.y),
        ...list(i.strides),
        ...list(i.padLow),
        ...list(i.dilations),
        i.groups,
        flag(i.accumulate),
      ];
    case 'window':
      return [
        windowModeCode[i.mode],
        ...view(i.x),
        ...view(i.y),
        ...list(i.window),
        ...list(i.strides),
        ...list(i.padLow),
        ...list(i.dilations),
      ];
    case 'take':
      return [...view(i.x), ...view(i.index), ...view(i.y)];
    case 'takeTranspose':
      return [...view(i.x), ...view(i.index), ...view(i.y), flag(i.accumulate)];
    case 'gatherElements':
      return [...view(i.x), ...view(i.index), ...view(i.y), i.axis];
    case 'scatterElements':
      return [...view(i.x), ...view(i.index), ...view(i.y), i.axis, flag(i.accumulate)];
    case 'argReduce':
      return [...view(i.x), ...view(i.y), i.axis, flag(i.largest)];
    case 'cumsum':
      return [...view(i.x), ...view(i.y), i.axis, flag(i.exclusive), flag(i.reverse)];
    case 'argsort':
      return [...view(i.x), ...view(i.y), i.axis, flag(i.descending)];
  }
}
