/** Element-wise arithmetic, comparison, logic and casts. */

import { UnsupportedError } from '../../base/errors.js';
import * as f from '../../graph/functions.js';
import { isFloat, type Node, ops } from '../../graph/index.js';
import type { Op, OpRule, OpTable } from '../op.js';
import { Known } from '../values.js';

const unary = (apply: (x: Node) => Node): OpRule => ({ build: (op) => apply(op.x(0)) });
/** whole numbers are left as they are */
const rounding = (apply: (x: Node) => Node): OpRule => unary((x) => (isFloat(x.dtype) ? apply(x) : x));
const binary = (apply: (a: Node, b: Node) => Node): OpRule => ({ build: (op) => apply(op.x(0), beside(op)) });
/** Up to opset 6 the second operand could be placed at an axis of the first. */
function beside(op: Op): Node {
  const b = op.x(1);
  if (op.opset >= 7 || !op.hasAttribute('axis') || op.int('broadcast', 0) === 0) return b;
  const rank = op.shape(0).length,
    after = rank - ops.normaliseAxis(op.int('axis', 0), rank) - b.shape.length;
  return ops.reshape(b, [...b.shape, ...new Array<number>(Math.max(0, after)).fill(1)]);
}
const variadic = (combine: (a: Node, b: Node) => Node): OpRule => ({
  build: (op) => op.values.map((_, i) => op.x(i)).reduce(combine),
});

/** max and min of whole numbers as of floats; truth values do not come here */
const mean: OpRule = {
  build: (op) =>
    ops.mul(
      op.values.map((_, i) => op.x(i)).reduce((a, b) => ops.add(a, b)),
      1 / op.count,
    ),
};

function cast(op: Op, to: ReturnType<Op['typeOf']>): Node {
  return ops.cast(op.x(0), to);
}

/** the exponent may be of another type than the base, whose type the result has */
function pow(x: Node, y: Node): Node {
  if (x.dtype === y.dtype && isFloat(x.dtype)) return ops.pow(x, y);
  if (isFloat(x.dtype)) return ops.pow(x, ops.cast(y, x.dtype));
  const wide = isFloat(y.dtype) ? y.dtype : 'float64';
  return ops.cast(ops.pow(ops.cast(x, wide), ops.cast(y, wide)), x.dtype);
}

export const arithmeticOps: OpTable = {
  Add: binary(ops.add),
  Sub: binary(ops.sub),
  Mul: binary(ops.mul),
  Div: binary(ops.div),
  Pow: binary(pow),
  Sum: variadic(ops.add),
  Max: variadic(ops.max),
  Min: variadic(ops.min),
  Mean: mean,
  Mod: {
    build: (op) => {
      const a = op.x(0),
        b = op.x(1);
      if (op.int('fmod', 0) === 0) return ops.mod(a, b);
      // of the dividend's sign, as C's fmod
      const r = ops.mod(ops.abs(a), ops.abs(b));
      return ops.select(ops.lt(a, 0), ops.neg(r), r);
    },
  },
  Neg: unary(ops.neg),
  Abs: unary(ops.abs),
  Sign: unary(ops.sign),
  Reciprocal: unary(ops.reciprocal),
  Sqrt: unary(ops.sqrt),
  Exp: unary(ops.exp),
  Log: unary(ops.log),
  Erf: unary(ops.erf),
  Sin: unary(ops.sin),
  Cos: unary(ops.cos),
  Tan: unary(ops.tan),
  Asin: unary(ops.asin),
  Acos: unary(ops.acos),
  Atan: unary(ops.atan),
  Sinh: unary(ops.sinh),
  Cosh: unary(ops.cosh),
  Tanh: unary(ops.tanh),
  Asinh: unary(ops.asinh),
  Acosh: unary(ops.acosh),
  Atanh: unary(ops.atanh),
  Floor: rounding(ops.floor),
  Ceil: rounding(ops.ceil),
  Round: rounding(ops.round),
  IsNaN: unary(ops.isNaN),
  IsInf: {
    build: (op) => {
      const x = op.x(0),
        up = op.int('detect_positive', 1) !== 0,
        down = op.int('detect_negative', 1) !== 0;
      if (up && down) return ops.isInf(x);
      return up || down ? ops.eq(x, up ? Infinity : -Infinity) : x.graph.fill(0, x.shape, 'bool');
    },
  },
  Not: unary(ops.not),
  And: binary(ops.and),
  Or: binary(ops.or),
  Xor: binary(ops.xor),
  Equal: binary(ops.eq),
  Less: binary(ops.lt),
  LessOrEqual: binary(ops.le),
  Greater: binary(ops.gt),
  GreaterOrEqual: binary(ops.ge),
  Where: { build: (op) => ops.select(op.x(0), op.x(1), op.x(2)) },
  Cast: { build: (op) => cast(op, op.typeOf(op.typeAttribute('to'))) },
  CastLike: {
    build: (op) => {
      // the type is all that is read of input 1, so that the values of input 0 stay known
      const known = op.known(0),
        to = op.x(1).dtype;
      return known && known.dtype === to ? new Known(known.shape, known.dtype, known.data) : cast(op, to);
    },
  },
  BitShift: {
    limits: 'bits shifted out are kept: integers do not wrap',
    build: (op) => {
      const factor = ops.cast(ops.pow(op.graph.fill(2, op.shape(1), 'float64'), ops.cast(op.x(1), 'float64')), 'int32');
      return op.string('direction', '') === 'LEFT' ? ops.mul(op.x(0), factor) : ops.div(op.x(0), factor);
    },
  },
  Identity: { build: (op) => op.value(0), neverFold: true },
  Dropout: {
    refuse: (node, mode) =>
      mode === 'eval' && node.opset < 7 && node.int('is_test', 0) === 0
        ? 'is in training mode; load the model in mode train, or export it in evaluation mode'
        : undefined,
    build: (op) => {
      const ratio = op.hasInput(1) ? op.scalar(1, 'ratio') : op.float('ratio', 0.5);
      if (!op.graph.training && op.hasInput(2) && op.scalar(2, 'training_mode') !== 0 && ratio !== 0)
        throw new UnsupportedError(
          'is in training mode; load the model in mode train, or export it in evaluation mode',
        );
      const all = op.graph.fill(1, op.shape(0), 'bool');
      if (!op.graph.training || ratio === 0) return [op.value(0), all];
      const x = op.floating(0);
      const kept = f.dropoutMask(x, ratio) ?? all;
      return [ops.mul(x, ops.mul(1 / (1 - ratio), ops.cast(kept, x.dtype))), kept];
    },
    neverFold: true,
  },
  Clip: {
    build: (op) => {
      const bound = (i: number, name: string, none: number): Node | number | undefined => {
        if (op.opset < 11) return op.float(name, none);
        return op.known(i) ? op.scalar(i, name) : op.maybe(i);
      };
      const low = bound(1, 'min', -Infinity),
        high = bound(2, 'max', Infinity);
      // what torch writes for relu6, whose ends are flat where clamp's are not
      if (low === 0 && high === 6) return f.relu6(op.x(0));
      return f.clip(op.x(0), low === -Infinity ? undefined : low, high === Infinity ? undefined : high);
    },
  },
};
