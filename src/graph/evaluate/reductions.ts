import { sizeOf } from '../node.js';
import { addresses, around, type Evaluator, input, shapeOf, stridesOf, type Value } from './common.js';

function reduce(
  start: number,
  combine: (sum: number, x: number) => number,
): Evaluator<'reduceSum' | 'reduceMax' | 'reduceMin'> {
  return (node, inputs, allocate) => {
    const x = input(inputs, 0),
      { axes } = node.attributes,
      shape = shapeOf(node, 0);
    // accumulated in float64 whatever the type
    const sums = new Float64Array(sizeOf(node.shape)).fill(start);
    const kept = stridesOf(node.shape);
    const at = addresses(
      shape,
      shape.map((_, i) => (axes.includes(i) ? 0 : (kept.shift() as number))),
    );
    for (let i = 0; i < x.length; i++) sums[at[i] as number] = combine(sums[at[i] as number] as number, x[i] as number);
    const out = allocate(node.dtype, sums.length);
    out.set(sums);
    return out;
  };
}

/** the first extremum; NaN counts as extreme, as in NumPy and PyTorch */
function arg(beats: (x: number, best: number) => boolean): Evaluator<'argMax' | 'argMin'> {
  return (node, inputs, allocate) => {
    const x = input(inputs, 0),
      out = allocate('int32', sizeOf(node.shape));
    const { size, inner } = around(shapeOf(node, 0), node.attributes.axis);
    for (let j = 0; j < out.length; j++) {
      const first = Math.floor(j / inner) * size * inner + (j % inner);
      let best = 0;
      for (let i = 1; i < size; i++) if (precedes(x, first + i * inner, first + best * inner, beats)) best = i;
      out[j] = best;
    }
    return out;
  };
}
function precedes(x: Value, i: number, best: number, beats: (x: number, best: number) => boolean): boolean {
  const b = x[best] as number,
    v = x[i] as number;
  return !Number.isNaN(b) && (Number.isNaN(v) || beats(v, b));
}

export const reductionEvaluators = {
  reduceSum: reduce(0, (s, x) => s + x) as Evaluator<'reduceSum'>,
  reduceMax: reduce(-Infinity, Math.max) as Evaluator<'reduceMax'>,
  reduceMin: reduce(Infinity, Math.min) as Evaluator<'reduceMin'>,
  argMax: arg((x, best) => x > best) as Evaluator<'argMax'>,
  argMin: arg((x, best) => x < best) as Evaluator<'argMin'>,
  cumsum: ((node, inputs, allocate) => {
    const x = input(inputs, 0),
      out = allocate(node.dtype, x.length),
      { axis, exclusive, reverse } = node.attributes;
    const { outer, size, inner } = around(node.shape, axis);
    for (let o = 0; o < outer; o++) {
      for (let j = 0; j < inner; j++) {
        let sum = 0;
        for (let step = 0; step < size; step++) {
          const at = (o * size + (reverse ? size - 1 - step : step)) * inner + j;
          const next = sum + (x[at] as number);
          out[at] = exclusive ? sum : next;
          sum = next;
        }
      }
    }
    return out;
  }) as Evaluator<'cumsum'>,
  argsort: ((node, inputs, allocate) => {
    const x = input(inputs, 0),
      out = allocate('int32', x.length),
      { axis, descending } = node.attributes;
    const { outer, size, inner } = around(node.shape, axis);
    for (let o = 0; o < outer; o++) {
      for (let j = 0; j < inner; j++) {
        const value = (i: number): number => x[(o * size + i) * inner + j] as number;
        // NaN counts as the largest; equal values keep their order
        const rank = (a: number, b: number): number =>
          Number(Number.isNaN(a)) - Number(Number.isNaN(b)) || (a < b ? -1 : a > b ? 1 : 0);
        const order = Array.from({ length: size }, (_, i) => i).sort(
          (p, q) => (descending ? rank(value(q), value(p)) : rank(value(p), value(q))) || p - q,
        );
        order.forEach((p, i) => {
          out[(o * size + i) * inner + j] = p;
        });
      }
    }
    return out;
  }) as Evaluator<'argsort'>,
};
