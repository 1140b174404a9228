/** Weights kept in few bits. Rounding has the derivative 0, so only dequantising passes gradient. */
import { InputError } from '../../base/errors.js';
import * as f from '../../graph/functions.js';
import { type Node, ops } from '../../graph/index.js';
import type { Op, OpTable } from '../op.js';

/** scale or zero point beside x: one for all, one per index of `axis`, or one per block of it */
function beside(op: Op, i: number, x: Node): Node {
  const w = op.x(i);
  if (w.shape.length === 0) return w;
  const axis = ops.normaliseAxis(op.int('axis', 1), x.shape.length),
    block = op.int('block_size', 0);
  if (w.shape.length === 1 && block === 0)
    return w.shape[0] === 1
      ? ops.reshape(w, [])
      : ops.reshape(
          w,
          x.shape.map((d, at) => (at === axis ? d : 1)),
        );
  if (block < 1 || w.shape.length !== x.shape.length)
    throw new InputError(`scale [${w.shape}] does not fit [${x.shape}]`);
  const wide = ops.broadcastTo(ops.expandDims(w, axis + 1), [
    ...w.shape.slice(0, axis + 1),
    block,
    ...w.shape.slice(axis + 1),
  ]);
  const long = ops.reshape(
    wide,
    w.shape.map((d, at) => (at === axis ? d * block : d)),
  );
  return ops.slice(
    long,
    x.shape.map(() => 0),
    x.shape,
  );
}
function dequantize(op: Op): Node {
  const x = op.x(0),
    scale = beside(op, 1, x);
  const from = op.hasInput(2) ? ops.sub(x, beside(op, 2, x)) : x;
  return ops.mul(ops.cast(from, scale.dtype), scale);
}

/** the ranges of the integer types, told apart by the zero point's values in the file */
function quantize(op: Op): Node {
  const x = op.floating(0),
    type =
      op.hasAttribute('output_dtype') && op.int('output_dtype', 0) !== 0 ? op.typeAttribute('output_dtype') : 'uint8';
  const [low, high] =
    type === 'int8' ? [-128, 127] : type === 'int16' ? [-32768, 32767] : type === 'uint16' ? [0, 65535] : [0, 255];
  const zero = op.hasInput(2) ? ops.cast(beside(op, 2, x), x.dtype) : 0;
  return ops.cast(f.clip(ops.add(ops.round(ops.div(x, beside(op, 1, x))), zero), low, high), 'int32');
}

export const quantizationOps: OpTable = {
  DequantizeLinear: { build: dequantize },
  QuantizeLinear: {
    limits: 'with a zero point, only where the output type is stated',
    refuse: (node) =>
      node.hasInput(2) && !node.hasAttribute('output_dtype')
        ? 'does not state its output type (output_dtype)'
        : undefined,
    build: quantize,
  },
};
