import { sizeOf } from '../node.js';
import { type Evaluator, input, product, shapeOf } from './common.js';
import { taps } from './taps.js';

export const windowEvaluators = {
  windowSum: ((node, inputs, allocate) => {
    const x = input(inputs, 0),
      out = allocate(node.dtype, sizeOf(node.shape)),
      { positions } = node.attributes;
    const space = shapeOf(node, 0).slice(-positions.length),
      S = product(space),
      P = product(positions);
    for (const { position, source } of taps(space, positions, node.attributes)) {
      for (let n = 0; n * P < out.length; n++) {
        for (let j = 0; j < position.length; j++) {
          const to = n * P + (position[j] as number);
          out[to] = (out[to] as number) + (x[n * S + (source[j] as number)] as number);
        }
      }
    }
    return out;
  }) as Evaluator<'windowSum'>,
  windowSumTranspose: ((node, inputs, allocate) => {
    const y = input(inputs, 0),
      out = allocate(node.dtype, sizeOf(node.shape)),
      { size } = node.attributes;
    const positions = shapeOf(node, 0).slice(-size.length),
      S = product(size),
      P = product(positions);
    for (const { position, source } of taps(size, positions, node.attributes)) {
      for (let n = 0; n * S < out.length; n++) {
        for (let j = 0; j < position.length; j++) {
          const to = n * S + (source[j] as number);
          out[to] = (out[to] as number) + (y[n * P + (position[j] as number)] as number);
        }
      }
    }
    return out;
  }) as Evaluator<'windowSumTranspose'>,
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
