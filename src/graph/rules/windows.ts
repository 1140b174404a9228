import { ShapeError } from '../../base/errors.js';
import type { Signature } from '../graph.js';
import type { DType, Node, WindowAttributes } from '../node.js';
import { describe, isFloat } from '../node.js';
import * as ops from '../ops.js';
import type { Rules } from '../rules.js';
import { operand } from './common.js';

function trailing(
  x: Node,
  { window, strides, padLow, dilations }: WindowAttributes,
  space: readonly number[],
  dtype: DType = x.dtype,
): Signature {
  const n = window.length;
  if (n < 1 || n > 3 || x.shape.length < n || [strides, padLow, dilations, space].some((l) => l.length !== n))
    throw new ShapeError(`windows [${window}] do not fit ${describe(x)}`);
  if (!isFloat(x.dtype)) throw new ShapeError(`windows do not take ${describe(x)}`);
  return { shape: [...x.shape.slice(0, x.shape.length - n), ...space], dtype };
}

/** Leading axes are free, so a batch axis changes nothing. */
export const windowRules = {
  windowSum: {
    shape: ([x], a) => trailing(x as Node, a, a.positions),
    jvp: (node, [dx]) => (dx ? ops.windowSum(dx, node.attributes, node.attributes.positions) : null),
    transpose: (ct, node) =>
      ops.windowSumTranspose(ct, node.attributes, operand(node.inputs, 0).shape.slice(-node.attributes.window.length)),
    batch: (node, inputs) => ops.windowSum(operand(inputs, 0), node.attributes, node.attributes.positions),
  } satisfies Rules<'windowSum'>,
  windowSumTranspose: {
    shape: ([y], a) => trailing(y as Node, a, a.size),
    jvp: (node, [dy]) => (dy ? ops.windowSumTranspose(dy, node.attributes, node.attributes.size) : null),
    transpose: (ct, node) =>
      ops.windowSum(ct, node.attributes, operand(node.inputs, 0).shape.slice(-node.attributes.window.length)),
    batch: (node, inputs) => ops.windowSumTranspose(operand(inputs, 0), node.attributes, node.attributes.size),
  } satisfies Rules<'windowSumTranspose'>,
  windowArgMax: {
    shape: ([x], a) => trailing(x as Node, a, a.positions, 'int32'),
    jvp: 'zero',
    transpose: 'notLinear',
    batch: (node, inputs) => ops.windowArgMax(operand(inputs, 0), node.attributes, node.attributes.positions),
  } satisfies Rules<'windowArgMax'>,
};
