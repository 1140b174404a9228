import { ShapeError } from '../../base/errors.js';
import type { BinaryName, CompareName, DType, Node, UnaryName } from '../node.js';
import { binaryNames, compareNames, describe, isFloat, isOp, unaryNames } from '../node.js';
import * as ops from '../ops.js';
import { add, div, mul, neg, sub } from '../ops.js';
import type { Rules, Tangent } from '../rules.js';
import { elementwise, lead, leaf, operand, same } from './common.js';

const square = (x: Node): Node => mul(x, x);

/** dy = f'(x)·dx, given x and y; 'zero' where the derivative vanishes almost everywhere */
const derivatives: Record<UnaryName, ((x: Node, y: Node) => Node) | 'zero'> = {
  neg: (x) => x.graph.fill(-1, x.shape, x.dtype),
  abs: (x) => ops.sign(x),
  sign: 'zero',
  exp: (_, y) => y,
  expm1: (x) => ops.exp(x),
  log: (x) => ops.reciprocal(x),
  log1p: (x) => ops.reciprocal(add(x, 1)),
  sqrt: (_, y) => div(0.5, y),
  rsqrt: (_, y) => mul(-0.5, mul(y, square(y))),
  reciprocal: (_, y) => neg(square(y)),
  sin: (x) => ops.cos(x),
  cos: (x) => neg(ops.sin(x)),
  tan: (_, y) => add(square(y), 1),
  asin: (x) => ops.rsqrt(sub(1, square(x))),
  acos: (x) => neg(ops.rsqrt(sub(1, square(x)))),
  atan: (x) => ops.reciprocal(add(square(x), 1)),
  sinh: (x) => ops.cosh(x),
  cosh: (x) => ops.sinh(x),
  asinh: (x) => ops.rsqrt(add(square(x), 1)),
  acosh: (x) => ops.rsqrt(sub(square(x), 1)),
  atanh: (x) => ops.reciprocal(sub(1, square(x))),
  tanh: (_, y) => sub(1, square(y)),
  sigmoid: (_, y) => mul(y, sub(1, y)),
  softplus: (x) => ops.sigmoid(x),
  erf: (x) => mul(2 / Math.sqrt(Math.PI), ops.exp(neg(square(x)))),
  floor: 'zero',
  ceil: 'zero',
  round: 'zero',
  not: 'zero',
  isNaN: 'zero',
  isInf: 'zero',
};

const toBool = new Set<UnaryName>(['not', 'isNaN', 'isInf']);
const alsoIntegers = new Set<UnaryName>(['neg', 'abs', 'sign', 'floor', 'ceil', 'round', 'isNaN', 'isInf']);
const takes = (name: UnaryName, dtype: DType): boolean =>
  name === 'not' ? dtype === 'bool' : isFloat(dtype) || (dtype === 'int32' && alsoIntegers.has(name));

function unaryRules(name: UnaryName): Rules<UnaryName> {
  const derivative = derivatives[name];
  return {
    shape: (inputs) => {
      const x = operand(inputs, 0);
      if (!takes(name, x.dtype)) throw new ShapeError(`${name} does not take ${describe(x)}`);
      return { shape: x.shape, dtype: toBool.has(name) ? 'bool' : x.dtype };
    },
    jvp:
      derivative === 'zero' ? 'zero' : (node, [dx]) => (dx ? mul(derivative(operand(node.inputs, 0), node), dx) : null),
    transpose: name === 'neg' ? (ct) => neg(ct) : 'notLinear',
    batch: elementwise,
  };
}

/** a·da + b·db where either may be structurally zero */
export function sum(a: Tangent, b: Tangent): Tangent {
  return a && b ? add(a, b) : (a ?? b);
}
const times = (a: Node, da: Tangent | undefined): Tangent => (da ? mul(a, da) : null);

/** tangent of max or min: the larger one's; a tie splits evenly, as PyTorch's maximum does */
function extremum(wins: (a: Node, b: Node) => Node) {
  return (node: Node, [da, db]: readonly Tangent[]): Tangent => {
    const a = operand(node.inputs, 0),
      b = operand(node.inputs, 1);
    const weight = (x: Node, y: Node): Node =>
      ops.select(
        wins(x, y),
        a.graph.fill(1, a.shape, a.dtype),
        ops.select(ops.eq(x, y), a.graph.fill(0.5, a.shape, a.dtype), 0),
      );
    return sum(times(weight(a, b), da), times(weight(b, a), db));
  };
}

/** b·a^(b−1), and 0 for b = 0, where a = 0 would give 0·∞ */
function powerSlope(a: Node, b: Node): Node {
  if (isOp(b, 'fill')) return mul(b, ops.pow(a, sub(b, 1)));
  const constant = ops.eq(b, 0);
  return ops.select(constant, 0, mul(b, ops.pow(a, sub(ops.select(constant, 1, b), 1))));
}

const binaryJvp: Record<BinaryName, Rules<BinaryName>['jvp']> = {
  add: (_, [da, db]) => sum(da ?? null, db ?? null),
  sub: (_, [da, db]) => (da && db ? sub(da, db) : (da ?? (db ? neg(db) : null))),
  mul: 'multilinear',
  div: (node, [da, db]) => {
    const b = operand(node.inputs, 1);
    return sum(da ? div(da, b) : null, db ? neg(mul(div(node, b), db)) : null);
  },
  pow: (node, [da, db]) => {
    const a = operand(node.inputs, 0),
      b = operand(node.inputs, 1);
    return sum(
      times(powerSlope(a, b), da),
      // 0^b has derivative 0 in b for b ≥ 0, where log 0 would give NaN
      times(ops.select(ops.eq(a, 0), 0, mul(node, ops.log(ops.select(ops.eq(a, 0), 1, a)))), db),
    );
  },
  max: extremum(ops.gt),
  min: extremum(ops.lt),
  atan2: (node, [dy, dx]) => {
    const y = operand(node.inputs, 0),
      x = operand(node.inputs, 1);
    const scale = ops.reciprocal(add(square(x), square(y)));
    return sum(times(mul(x, scale), dy), times(neg(mul(y, scale)), dx));
  },
  mod: (node, [da, db]) => {
    const a = operand(node.inputs, 0),
      b = operand(node.inputs, 1);
    return sum(da ?? null, times(neg(ops.floor(div(a, b))), db));
  },
};

const binaryTranspose: Partial<Record<BinaryName, Rules<BinaryName>['transpose']>> = {
  add: (ct) => ct,
  sub: (ct, _, i) => (i === 0 ? ct : neg(ct)),
  mul: (ct, node, i) => mul(operand(node.inputs, 1 - i), ct),
  // linear in the numerator only
  div: (ct, node, i) => {
    if (i !== 0) throw new ShapeError('div is not linear in its denominator');
    return div(ct, operand(node.inputs, 1));
  },
};

const binaryRules = (name: BinaryName): Rules<BinaryName> => ({
  shape: (inputs) => {
    const s = same(inputs);
    if (s.dtype === 'bool') throw new ShapeError(`${name} does not take truth values`);
    return s;
  },
  jvp: binaryJvp[name],
  transpose: binaryTranspose[name] ?? 'notLinear',
  batch: elementwise,
});

const logical = new Set<CompareName>(['and', 'or', 'xor']);
const compareRules = (name: CompareName): Rules<CompareName> => ({
  shape: (inputs) => {
    const s = same(inputs);
    if (logical.has(name) && s.dtype !== 'bool')
      throw new ShapeError(`${name} takes truth values, got ${describe(operand(inputs, 0))}`);
    return { shape: s.shape, dtype: 'bool' };
  },
  jvp: 'zero',
  transpose: 'notLinear',
  batch: elementwise,
});

function tableOf<N extends string, R>(names: readonly N[], rule: (name: N) => R): { [K in N]: R } {
  return Object.fromEntries(names.map((n) => [n, rule(n)])) as { [K in N]: R };
}

const leafShape = (): never => {
  throw new ShapeError('leaves are made by Graph itself');
};

export const elementwiseRules = {
  ...tableOf(unaryNames, unaryRules),
  ...tableOf(binaryNames, binaryRules),
  ...tableOf(compareNames, compareRules),
  input: { shape: leafShape, ...leaf } as Rules<'input'>,
  constant: { shape: leafShape, ...leaf } as unknown as Rules<'constant'>,
  fill: { shape: leafShape, ...leaf } as unknown as Rules<'fill'>,
  iota: { shape: leafShape, ...leaf } as unknown as Rules<'iota'>,
  select: {
    shape: ([c, a, b]) => {
      if (!c || !a || !b || c.dtype !== 'bool') throw new ShapeError('select takes a truth value and two alternatives');
      const s = same([a, b]);
      if (c.shape.join() !== s.shape.join())
        throw new ShapeError(`select: condition ${describe(c)} and alternative ${describe(a)} differ in shape`);
      return s;
    },
    jvp: (node, [, da, db]) =>
      ops.select(operand(node.inputs, 0), da ?? ops.zerosLike(node), db ?? ops.zerosLike(node)),
    transpose: (ct, node, i) => {
      const c = operand(node.inputs, 0),
        zero = ops.zerosLike(ct);
      return i === 1 ? ops.select(c, ct, zero) : ops.select(c, zero, ct);
    },
    batch: elementwise,
  } satisfies Rules<'select'>,
  cast: {
    shape: (inputs, { to }) => ({ shape: operand(inputs, 0).shape, dtype: to }),
    jvp: (node, [dx]) => (dx && isFloat(node.attributes.to) ? ops.cast(dx, node.attributes.to) : null),
    transpose: (ct, node) => ops.cast(ct, operand(node.inputs, 0).dtype),
    batch: elementwise,
  } satisfies Rules<'cast'>,
  stopGradient: {
    shape: same,
    jvp: 'zero',
    transpose: 'notLinear',
    batch: (_node, inputs, batched, size) => ops.stopGradient(lead(operand(inputs, 0), batched[0], size)),
  } satisfies Rules<'stopGradient'>,
};
