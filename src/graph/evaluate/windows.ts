import type { Node } from '../node.js';
import { sizeOf } from '../node.js';
import { type Allocate, type Evaluator, input, product, shapeOf, type Value } from './common.js';
import { taps } from './taps.js';

/** Sums over windows, or their adjoint; `own` is the result's spatial shape. */
function overWindows(
  node: Node<'windowSum'> | Node<'windowSumTranspose'>,
  values: Value,
  own: readonly number[],
  adjoint: boolean,
  allocate: Allocate,
): Value {
  const out = allocate(node.dtype, sizeOf(node.shape));
  const other = shapeOf(node, 0).slice(-own.length);
  const [space, positions] = adjoint ? [own, other] : [other, own];
  const stride = product(own),
    step = product(other);
  for (const { position, source } of taps(space, positions, node.attributes)) {
    const [from, to] = adjoint ? [position, source] : [source, position];
    for (let n = 0; n * stride < out.length; n++) {
      for (let j = 0; j < to.length; j++) {
        const at = n * stride + (to[j] as number);
        out[at] = (out[at] as number) + (values[n * step + (from[j] as number)] as number);
      }
    }
  }
  return out;
}

export const windowEvaluators = {
  windowSum: ((node, inputs, allocate) =>
    overWindows(node, input(inputs, 0), node.attributes.positions, false, allocate)) as Evaluator<'windowSum'>,
  windowSumTranspose: ((node, inputs, allocate) =>
    overWindows(node, input(inputs, 0), node.attributes.size, true, allocate)) as Evaluator<'windowSumTranspose'>,
  windowArgMax: ((node, inputs, allocate) => {
    const x = input(inputs, 0),
      { positions } = node.attributes;
    // −1: no element of the window has been inside yet
    const out = allocate('int32', sizeOf(node.shape)).fill(-1);
    const space = shapeOf(node, 0).slice(-positions.length),
      S = product(space),
      P = product(positions);
    for (const { position, source } of taps(space, positions, node.attributes)) {
      for (let n = 0; n * P < out.length; n++) {
        for (let j = 0; j < position.length; j++) {
          const to = n * P + (position[j] as number),
            s = source[j] as number;
          const best = out[to] as number;
          const v = x[n * S + s] as number,
            b = x[n * S + best] as number;
          if (best < 0 || (!Number.isNaN(b) && (Number.isNaN(v) || v > b))) out[to] = s;
        }
      }
    }
    return out;
  }) as Evaluator<'windowArgMax'>,
};
