import * as f from '../../graph/functions.js';
import { isFloat, type Node, ops } from '../../graph/index.js';
import type { Op, OpRule, OpTable } from '../op.js';

type Reduce = (x: Node, axes: readonly number[], keepDims: boolean) => Node;

function reduction(reduce: Reduce): OpRule {
  return {
    build: (op) => {
      const given = op.axes(1);
      const x = op.x(0),
        keep = op.int('keepdims', 1) !== 0;
      if ((given === undefined || given.length === 0) && op.int('noop_with_empty_axes', 0) !== 0)
        return reduce(x, [], keep);
      const axes = given === undefined || given.length === 0 ? x.shape.map((_, i) => i) : given;
      return reduce(x, axes, keep);
    },
  };
}
/** the largest truth value: whether any is true; none is among none */
const any: Reduce = (x, axes, keep) => ops.ne(ops.reduceSum(ops.cast(x, 'int32'), axes, keep), 0);
const max: Reduce = (x, axes, keep) => (x.dtype === 'bool' ? any(x, axes, keep) : ops.reduceMax(x, axes, keep));
const min: Reduce = (x, axes, keep) =>
  x.dtype === 'bool' ? ops.not(any(ops.not(x), axes, keep)) : ops.reduceMin(x, axes, keep);

/** the mean of whole numbers is a whole number, rounded towards zero */
const mean: Reduce = (x, axes, keep) =>
  isFloat(x.dtype) ? f.mean(x, axes, keep) : ops.cast(f.mean(ops.cast(x, 'float64'), axes, keep), x.dtype);

/** in halves, so that the derivative needs no division by factors that may be 0 */
const product: Reduce = (x, axes, keep) => {
  let y = x;
  for (const given of axes) {
    const axis = ops.normaliseAxis(given, x.shape.length);
    if (y.shape[axis] === 0)
      return x.graph.fill(
        1,
        x.shape.flatMap((d, i) =>
          axes.some((a) => ops.normaliseAxis(a, x.shape.length) === i) ? (keep ? [1] : []) : [d],
        ),
        x.dtype,
      );
    for (let n = y.shape[axis] as number; n > 1; n = y.shape[axis] as number) {
      const part = (start: number, size: number): Node =>
        ops.slice(
          y,
          y.shape.map((_, i) => (i === axis ? start : 0)),
          y.shape.map((d, i) => (i === axis ? size : d)),
        );
      const half = Math.floor(n / 2);
      const folded = ops.mul(part(0, half), part(half, half));
      y = n % 2 === 0 ? folded : ops.concat([folded, part(n - 1, 1)], axis);
    }
  }
  return keep ? y : ops.reduceSum(y, axes);
};

const through =
  (reduce: Reduce, before: (x: Node) => Node, after: (y: Node) => Node = (y) => y): Reduce =>
  (x, axes, keep) =>
    after(reduce(before(x), axes, keep));
/** square roots and logarithms of sums of whole numbers round towards zero */
const inFloats =
  (reduce: Reduce): Reduce =>
  (x, axes, keep) =>
    isFloat(x.dtype) ? reduce(x, axes, keep) : ops.cast(reduce(ops.cast(x, 'float64'), axes, keep), x.dtype);

function arg(pick: (x: Node, axis: number) => Node) {
  return (op: Op): Node => {
    const x = op.x(0),
      axis = ops.normaliseAxis(op.int('axis', 0), x.shape.length),
      size = x.shape[axis] as number;
    const index =
      op.int('select_last_index', 0) === 0 ? pick(x, axis) : ops.sub(size - 1, pick(ops.reverse(x, [axis]), axis));
    return op.int('keepdims', 1) !== 0 ? ops.expandDims(index, axis) : index;
  };
}

export const reductionOps: OpTable = {
  ReduceSum: reduction(ops.reduceSum),
  ReduceMean: reduction(mean),
  ReduceMax: reduction(max),
  ReduceMin: reduction(min),
  ReduceProd: reduction(product),
  ReduceL1: reduction(f.norm1),
  ReduceL2: reduction(inFloats(f.norm2)),
  ReduceSumSquare: reduction(through(ops.reduceSum, (x) => ops.mul(x, x))),
  ReduceLogSum: reduction(inFloats(through(ops.reduceSum, (x) => x, ops.log))),
  ReduceLogSumExp: reduction(inFloats(f.logSumExp)),
  ArgMax: { build: arg(ops.argMax) },
  ArgMin: { build: arg(ops.argMin) },
  CumSum: {
    build: (op) => ops.cumsum(op.x(0), op.scalar(1, 'axis'), op.int('exclusive', 0) !== 0, op.int('reverse', 0) !== 0),
  },
};
