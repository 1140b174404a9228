import { ShapeError } from '../../base/errors.js';
import type { Signature } from '../graph.js';
import type { Node } from '../node.js';
import { describe, sizeOf } from '../node.js';
import * as ops from '../ops.js';
import type { Rules, Tangent } from '../rules.js';
import { operand } from './common.js';

const without = (x: Node, axes: readonly number[]): Signature => ({
  shape: x.shape.filter((_, i) => !axes.includes(i)),
  dtype: x.dtype,
});

/** sums and running sums are of numbers */
const numeric = (op: string, s: Signature): Signature => {
  if (s.dtype === 'bool') throw new ShapeError(`${op} does not take truth values`);
  return s;
};

/** repeats y, from which `axes` of x were removed, to x's shape */
function spread(y: Node, x: Node, axes: readonly number[]): Node {
  return ops.broadcast(
    y,
    x.shape,
    x.shape.map((_, i) => i).filter((i) => !axes.includes(i)),
  );
}
const deeper = (axes: readonly number[]): number[] => axes.map((a) => a + 1);

/** the tangents at the extremal positions, averaged where several tie (as PyTorch's amax does) */
function extremum(op: 'reduceMax' | 'reduceMin'): Rules<'reduceMax'> {
  return {
    shape: ([x], { axes }) => without(x as Node, axes),
    jvp: (node, [dx]): Tangent => {
      if (!dx) return null;
      const x = operand(node.inputs, 0),
        { axes } = node.attributes;
      const hit = ops.cast(ops.eq(x, spread(node, x, axes)), x.dtype);
      const share = ops.div(hit, spread(ops.reduceSum(hit, axes), x, axes));
      return ops.reduceSum(ops.mul(share, dx), axes);
    },
    transpose: 'notLinear',
    batch: (node, inputs) => node.graph.make(op, inputs, { axes: deeper(node.attributes.axes) }),
  };
}

const arg = (op: 'argMax' | 'argMin'): Rules<'argMax'> => ({
  shape: ([x], { axis }) => {
    const s = without(x as Node, [axis]);
    if ((x as Node).shape[axis] === 0 && sizeOf(s.shape) > 0)
      throw new ShapeError(`there is no extremum of ${describe(x as Node)} along axis ${axis}`);
    return { ...s, dtype: 'int32' };
  },
  jvp: 'zero',
  transpose: 'notLinear',
  batch: (node, inputs) => node.graph.make(op, inputs, { axis: node.attributes.axis + 1 }),
});

export const reductionRules = {
  reduceSum: {
    shape: ([x], { axes }) => numeric('reduceSum', without(x as Node, axes)),
    jvp: (node, [dx]) => (dx ? ops.reduceSum(dx, node.attributes.axes) : null),
    transpose: (ct, node) => spread(ct, operand(node.inputs, 0), node.attributes.axes),
    batch: (node, inputs) => ops.reduceSum(operand(inputs, 0), deeper(node.attributes.axes)),
  } satisfies Rules<'reduceSum'>,
  reduceMax: extremum('reduceMax'),
  reduceMin: extremum('reduceMin') as unknown as Rules<'reduceMin'>,
  argMax: arg('argMax'),
  argMin: arg('argMin') as unknown as Rules<'argMin'>,
  cumsum: {
    shape: ([x]) => numeric('cumsum', { shape: (x as Node).shape, dtype: (x as Node).dtype }),
    jvp: (node, [dx]) =>
      dx ? ops.cumsum(dx, node.attributes.axis, node.attributes.exclusive, node.attributes.reverse) : null,
    transpose: (ct, { attributes: a }) => ops.cumsum(ct, a.axis, a.exclusive, !a.reverse),
    batch: ({ attributes: a }, inputs) => ops.cumsum(operand(inputs, 0), a.axis + 1, a.exclusive, a.reverse),
  } satisfies Rules<'cumsum'>,
  argsort: {
    shape: ([x]) => ({ shape: (x as Node).shape, dtype: 'int32' }),
    jvp: 'zero',
    transpose: 'notLinear',
    batch: (node, inputs) => ops.argsort(operand(inputs, 0), node.attributes.axis + 1, node.attributes.descending),
  } satisfies Rules<'argsort'>,
};
