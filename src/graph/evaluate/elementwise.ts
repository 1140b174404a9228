import { ComputationError } from '../../base/errors.js';
import type { BinaryName, CompareName, Node, UnaryName } from '../node.js';
import { binaryNames, compareNames, sizeOf, unaryNames } from '../node.js';
import { addresses, type Evaluator, input } from './common.js';
import { erf } from './erf.js';

/** to the nearest whole number, halves to the even one */
function roundHalfToEven(x: number): number {
  const r = Math.round(x);
  return Math.abs(x - Math.trunc(x)) === 0.5 && r % 2 !== 0 ? r - 1 : r;
}
/** log(1 + eˣ) without overflow */
const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
/** of the divisor's sign, as in Python */
function mod(a: number, b: number): number {
  const r = a % b;
  return r !== 0 && r < 0 !== b < 0 ? r + b : r;
}
const bit = (b: boolean): number => (b ? 1 : 0);

export const unaryFunctions: Record<UnaryName, (x: number) => number> = {
  neg: (x) => -x,
  abs: Math.abs,
  sign: Math.sign,
  exp: Math.exp,
  expm1: Math.expm1,
  log: Math.log,
  log1p: Math.log1p,
  sqrt: Math.sqrt,
  rsqrt: (x) => 1 / Math.sqrt(x),
  reciprocal: (x) => 1 / x,
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  asin: Math.asin,
  acos: Math.acos,
  atan: Math.atan,
  sinh: Math.sinh,
  cosh: Math.cosh,
  asinh: Math.asinh,
  acosh: Math.acosh,
  atanh: Math.atanh,
  tanh: Math.tanh,
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  softplus,
  erf,
  floor: Math.floor,
  ceil: Math.ceil,
  round: roundHalfToEven,
  not: (x) => bit(x === 0),
  isNaN: (x) => bit(Number.isNaN(x)),
  isInf: (x) => bit(x === Infinity || x === -Infinity),
};

export const binaryFunctions: Record<BinaryName, (a: number, b: number) => number> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  // C's pow, which says 1 where JavaScript says NaN
  pow: (a, b) => (a === 1 || (a === -1 && Math.abs(b) === Infinity) ? 1 : a ** b),
  max: Math.max,
  min: Math.min,
  atan2: Math.atan2,
  mod,
};

export const compareFunctions: Record<CompareName, (a: number, b: number) => boolean> = {
  eq: (a, b) => a === b,
  ne: (a, b) => a !== b,
  lt: (a, b) => a < b,
  le: (a, b) => a <= b,
  gt: (a, b) => a > b,
  ge: (a, b) => a >= b,
  and: (a, b) => a !== 0 && b !== 0,
  or: (a, b) => a !== 0 || b !== 0,
  xor: (a, b) => (a !== 0) !== (b !== 0),
};

function unary(name: UnaryName): Evaluator<UnaryName> {
  const f = unaryFunctions[name];
  return (node, inputs, allocate) => {
    const x = input(inputs, 0),
      out = allocate(node.dtype, x.length);
    for (let i = 0; i < out.length; i++) out[i] = f(x[i] as number);
    return out;
  };
}

function binary(name: BinaryName): Evaluator<BinaryName> {
  const f = binaryFunctions[name];
  return (node, inputs, allocate) => {
    const a = input(inputs, 0),
      b = input(inputs, 1),
      out = allocate(node.dtype, a.length);
    // whole numbers: products beyond 2^53 would lose their low bits; quotients go towards zero
    if (out instanceof Int32Array && name === 'mul')
      for (let i = 0; i < out.length; i++) out[i] = Math.imul(a[i] as number, b[i] as number);
    else if (node.dtype === 'int32' && name === 'div')
      for (let i = 0; i < out.length; i++) out[i] = Math.trunc((a[i] as number) / (b[i] as number));
    else for (let i = 0; i < out.length; i++) out[i] = f(a[i] as number, b[i] as number);
    return out;
  };
}

function compare(name: CompareName): Evaluator<CompareName> {
  const f = compareFunctions[name];
  return (_, inputs, allocate) => {
    const a = input(inputs, 0),
      b = input(inputs, 1),
      out = allocate('bool', a.length);
    for (let i = 0; i < out.length; i++) out[i] = bit(f(a[i] as number, b[i] as number));
    return out;
  };
}

function tableOf<N extends string, R>(names: readonly N[], entry: (name: N) => R): { [K in N]: R } {
  return Object.fromEntries(names.map((n) => [n, entry(n)])) as { [K in N]: R };
}

const copy: Evaluator<'cast' | 'stopGradient'> = (node, inputs, allocate) => {
  const x = input(inputs, 0),
    out = allocate(node.dtype, x.length);
  if (node.dtype === 'bool') for (let i = 0; i < x.length; i++) out[i] = bit(x[i] !== 0);
  else if (node.dtype === 'int32') for (let i = 0; i < x.length; i++) out[i] = Math.trunc(x[i] as number);
  else out.set(x);
  return out;
};

export const elementwiseEvaluators = {
  ...tableOf(unaryNames, unary),
  ...tableOf(binaryNames, binary),
  ...tableOf(compareNames, compare),
  input: ((node) => {
    throw new ComputationError(`evaluate: no value was given for input '${node.attributes.name}'`);
  }) as Evaluator<'input'>,
  constant: ((node, _, allocate) => {
    const out = allocate(node.dtype, sizeOf(node.shape));
    out.set(node.attributes.data);
    return out;
  }) as Evaluator<'constant'>,
  fill: ((node, _, allocate) =>
    allocate(node.dtype, sizeOf(node.shape)).fill(node.attributes.value)) as Evaluator<'fill'>,
  iota: ((node) =>
    addresses(
      node.shape,
      node.shape.map((_, i) => bit(i === node.attributes.axis)),
    )) as Evaluator<'iota'>,
  select: ((node: Node, inputs, allocate) => {
    const c = input(inputs, 0),
      a = input(inputs, 1),
      b = input(inputs, 2),
      out = allocate(node.dtype, a.length);
    for (let i = 0; i < out.length; i++) out[i] = (c[i] !== 0 ? a[i] : b[i]) as number;
    return out;
  }) as Evaluator<'select'>,
  cast: copy as Evaluator<'cast'>,
  stopGradient: copy as Evaluator<'stopGradient'>,
};
