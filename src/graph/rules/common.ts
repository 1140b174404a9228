import { ShapeError } from '../../base/errors.js';
import type { Signature } from '../graph.js';
import type { Node } from '../node.js';
import { describe, sameShape } from '../node.js';
import * as ops from '../ops.js';
import type { Rules } from '../rules.js';

export function operand(inputs: readonly Node[], i: number): Node {
  const n = inputs[i];
  if (!n) throw new ShapeError(`operand ${i} is missing`);
  return n;
}

/** gives an unbatched value the leading axis (a view: nothing is copied) */
export function lead(x: Node, batched: boolean | undefined, size: number): Node {
  return batched
    ? x
    : ops.broadcast(
        x,
        [size, ...x.shape],
        x.shape.map((_, i) => i + 1),
      );
}

export const same = (inputs: readonly Node[]): Signature => {
  const x = operand(inputs, 0);
  for (const y of inputs) {
    if (!sameShape(x.shape, y.shape) || x.dtype !== y.dtype)
      throw new ShapeError(`operands ${describe(x)} and ${describe(y)} differ in shape or type`);
  }
  return { shape: x.shape, dtype: x.dtype };
};

/** batching of anything element-wise: all operands get the axis */
export const elementwise = (node: Node, inputs: readonly Node[], batched: readonly boolean[], size: number): Node =>
  node.graph.make(
    node.op,
    inputs.map((x, i) => lead(x, batched[i], size)),
    node.attributes as never,
  );

/** for leaves, which never depend on anything batched */
export const leaf: Pick<Rules<'input'>, 'jvp' | 'transpose' | 'batch'> = {
  jvp: 'zero',
  transpose: 'notLinear',
  batch: (node) => node,
};
