import { ComputationError } from '../../base/errors.js';
import { sizeOf } from '../node.js';
import { addresses, around, type Evaluator, input, shapeOf, stridesOf, type Value } from './common.js';

function checked(index: Value, i: number, size: number, op: string): number {
  const at = index[i] as number;
  if (at < 0 || at >= size) throw new ComputationError(`${op}: index ${at} is outside an axis of ${size}`);
  return at;
}

/** addresses in a value of shape `full` of the elements of one of shape `part` with their position on `axis` left out */
function withoutAxis(part: readonly number[], full: readonly number[], axis: number): { at: Int32Array; step: number } {
  const strides = stridesOf(full);
  return {
    at: addresses(
      part,
      strides.map((s, i) => (i === axis ? 0 : s)),
    ),
    step: strides[axis] as number,
  };
}

export const indexEvaluators = {
  take: ((node, inputs, allocate) => {
    const x = input(inputs, 0),
      index = input(inputs, 1),
      out = allocate(node.dtype, sizeOf(node.shape));
    const { outer, size, inner } = around(shapeOf(node, 0), node.attributes.axis);
    for (let o = 0; o < outer; o++) {
      for (let j = 0; j < index.length; j++) {
        const from = (o * size + checked(index, j, size, 'take')) * inner;
        out.set(x.subarray(from, from + inner), (o * index.length + j) * inner);
      }
    }
    return out;
  }) as Evaluator<'take'>,
  takeTranspose: ((node, inputs, allocate) => {
    const y = input(inputs, 0),
      index = input(inputs, 1),
      out = allocate(node.dtype, sizeOf(node.shape));
    const { outer, size, inner } = around(node.shape, node.attributes.axis);
    for (let o = 0; o < outer; o++) {
      for (let j = 0; j < index.length; j++) {
        const to = (o * size + checked(index, j, size, 'takeTranspose')) * inner;
        const from = (o * index.length + j) * inner;
        for (let i = 0; i < inner; i++) out[to + i] = (out[to + i] as number) + (y[from + i] as number);
      }
    }
    return out;
  }) as Evaluator<'takeTranspose'>,
  gatherElements: ((node, inputs, allocate) => {
    const x = input(inputs, 0),
      index = input(inputs, 1),
      out = allocate(node.dtype, index.length);
    const shape = shapeOf(node, 0),
      { axis } = node.attributes;
    const { at, step } = withoutAxis(node.shape, shape, axis);
    for (let i = 0; i < out.length; i++)
      out[i] = x[(at[i] as number) + checked(index, i, shape[axis] as number, 'gatherElements') * step] as number;
    return out;
  }) as Evaluator<'gatherElements'>,
  scatterElements: ((node, inputs, allocate) => {
    const y = input(inputs, 0),
      index = input(inputs, 1),
      out = allocate(node.dtype, sizeOf(node.shape));
    const { axis, size } = node.attributes;
    const { at, step } = withoutAxis(shapeOf(node, 1), node.shape, axis);
    for (let i = 0; i < y.length; i++) {
      const to = (at[i] as number) + checked(index, i, size, 'scatterElements') * step;
      out[to] = (out[to] as number) + (y[i] as number);
    }
    return out;
  }) as Evaluator<'scatterElements'>,
};
