/** Initial values: their variances, bounds and orthogonality, and that the seed alone decides them. */
import { describe, expect, test } from 'vitest';
import { type Initialiser, initialisers as init, nn, trace } from '../../src/trace/index.js';
import { parameterRandom } from '../../src/trace/initialisers.js';

const draw = (i: Initialiser, shape: number[], seed = 1): Float64Array => i(shape, parameterRandom(seed, 0));
const moments = (v: Float64Array): { mean: number; variance: number; largest: number } => {
  const mean = v.reduce((s, x) => s + x, 0) / v.length;
  return {
    mean,
    variance: v.reduce((s, x) => s + (x - mean) ** 2, 0) / v.length,
    largest: v.reduce((m, x) => Math.max(m, Math.abs(x)), 0),
  };
};

describe('variance, with fan_in 200·9 and fan_out 100·9', () => {
  const shape = [100, 200, 3, 3];
  const [inside, outside] = [1800, 900];
  test.each([
    ['kaimingUniform', init.kaimingUniform(), 2 / inside, Math.sqrt(6 / inside)],
    [
      'kaimingUniform, fan out, gain 1',
      init.kaimingUniform({ fan: 'out', gain: 1 }),
      1 / outside,
      Math.sqrt(3 / outside),
    ],
    ['kaimingNormal', init.kaimingNormal(), 2 / inside, Infinity],
    ['xavierUniform', init.xavierUniform(), 2 / (inside + outside), Math.sqrt(6 / (inside + outside))],
    ['xavierNormal', init.xavierNormal(3), 18 / (inside + outside), Infinity],
    ['truncatedNormal at ±2σ', init.truncatedNormal({ std: 0.5, low: -1, high: 1 }), 0.25 * 0.7737413, 1],
    ['the default', init.byDefault, 1 / (3 * inside), 1 / Math.sqrt(inside)],
  ] as const)('%s', (_, initialiser, variance, bound) => {
    const values = draw(initialiser, [...shape]);
    const found = moments(values);
    // a sample variance of n numbers deviates by √(2/n) relatively at most for these distributions; five deviations
    expect(Math.abs(found.variance / variance - 1)).toBeLessThan(5 * Math.sqrt(2 / values.length));
    expect(Math.abs(found.mean)).toBeLessThan(5 * Math.sqrt(variance / values.length));
    expect(found.largest).toBeLessThanOrEqual(bound);
  });
});

test.each([[[6, 4]], [[4, 6]], [[3, 2, 2]]])(
  'orthogonal %j: rows or columns are orthogonal with norm gain',
  (shape) => {
    const rows = shape[0] as number,
      columns = shape.slice(1).reduce((a, b) => a * b, 1);
    const q = draw(init.orthogonal(2), shape);
    const entry = (i: number, j: number): number =>
      (rows < columns ? q[i * columns + j] : q[j * columns + i]) as number;
    const [few, many] = [Math.min(rows, columns), Math.max(rows, columns)];
    for (let a = 0; a < few; a++) {
      for (let b = 0; b < few; b++) {
        let dot = 0;
        for (let k = 0; k < many; k++) dot += entry(a, k) * entry(b, k);
        expect(Math.abs(dot - (a === b ? 4 : 0))).toBeLessThan(2 ** -52 * 64 * many);
      }
    }
  },
);

test('the seed and the position decide, nothing else', () => {
  const make = (seed: number) =>
    trace((p, { x }) => nn.linear(nn.linear(x, p.a), p.b), {
      parameters: { a: [3, 3], b: [3, 3] },
      inputs: { x: [null, 3] },
      seed,
    }).vector();
  expect(make(4)).toEqual(make(4));
  expect(make(4)).not.toEqual(make(5));
  expect(make(4).slice(0, 9)).not.toEqual(make(4).slice(9));
});

test('what cannot be drawn is refused', () => {
  expect(() => draw(init.kaimingNormal(), [5])).toThrow('needs a weight of rank 2 or more, not [5]');
  expect(() => draw(init.truncatedNormal({ low: 40, high: 41 }), [1])).toThrow('hardly any number');
});
