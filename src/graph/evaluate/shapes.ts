import { sizeOf } from '../node.js';
import { addresses, around, type Evaluator, gather, input, scatter, shapeOf, stridesOf } from './common.js';

export const shapeEvaluators = {
  reshape: ((_, inputs) => input(inputs, 0)) as Evaluator<'reshape'>,
  transpose: ((node, inputs, allocate) => {
    const strides = stridesOf(shapeOf(node, 0));
    const at = addresses(
      node.shape,
      node.attributes.permutation.map((p) => strides[p] as number),
    );
    return gather(input(inputs, 0), at, allocate(node.dtype, at.length));
  }) as Evaluator<'transpose'>,
  broadcast: ((node, inputs, allocate) => {
    const { dims } = node.attributes,
      shape = shapeOf(node, 0),
      from = stridesOf(shape);
    const strides = node.shape.map((_, axis) => {
      const i = dims.indexOf(axis);
      return i < 0 || shape[i] === 1 ? 0 : (from[i] as number);
    });
    const at = addresses(node.shape, strides);
    return gather(input(inputs, 0), at, allocate(node.dtype, at.length));
  }) as Evaluator<'broadcast'>,
  slice: ((node, inputs, allocate) => {
    const { starts, strides } = node.attributes,
      from = stridesOf(shapeOf(node, 0));
    const offset = starts.reduce((sum, s, i) => sum + s * (from[i] as number), 0);
    const at = addresses(
      node.shape,
      strides.map((s, i) => s * (from[i] as number)),
      offset,
    );
    return gather(input(inputs, 0), at, allocate(node.dtype, at.length));
  }) as Evaluator<'slice'>,
  pad: ((node, inputs, allocate) => {
    const { low, interior } = node.attributes,
      to = stridesOf(node.shape);
    const offset = low.reduce((sum, s, i) => sum + s * (to[i] as number), 0);
    const at = addresses(
      shapeOf(node, 0),
      interior.map((n, i) => (n + 1) * (to[i] as number)),
      offset,
    );
    return scatter(input(inputs, 0), at, allocate(node.dtype, sizeOf(node.shape)));
  }) as Evaluator<'pad'>,
  concat: ((node, inputs, allocate) => {
    const out = allocate(node.dtype, sizeOf(node.shape));
    const { outer, size, inner } = around(node.shape, node.attributes.axis);
    let start = 0;
    inputs.forEach((part, i) => {
      const width = (shapeOf(node, i)[node.attributes.axis] as number) * inner;
      for (let o = 0; o < outer; o++) out.set(part.subarray(o * width, (o + 1) * width), o * size * inner + start);
      start += width;
    });
    return out;
  }) as Evaluator<'concat'>,
  reverse: ((node, inputs, allocate) => {
    const { axes } = node.attributes,
      from = stridesOf(node.shape);
    const offset = axes.reduce((sum, a) => sum + ((node.shape[a] as number) - 1) * (from[a] as number), 0);
    const at = addresses(
      node.shape,
      from.map((s, i) => (axes.includes(i) ? -s : s)),
      offset,
    );
    return gather(input(inputs, 0), at, allocate(node.dtype, at.length));
  }) as Evaluator<'reverse'>,
};
