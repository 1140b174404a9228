/**
 * Problem Q of the algorithm notes: f(θ) = ½(θ₁² + 10θ₂²), θ₀ = (1, −2), η = 0.1, three steps; values to 1e-9.
 */
import { describe, expect, test } from 'vitest';
import { ComputationError, InputError, ShapeError } from '../../src/base/errors.js';
import * as o from '../../src/optimizers/index.js';
import { normals } from '../reference/matrices.js';

const gradientOfQ = (theta: Float64Array): Float64Array =>
  Float64Array.of(theta[0] as number, 10 * (theta[1] as number));
const start = Float64Array.of(1, -2);
function run(optimizer: o.Optimizer, steps = 3, gradient = gradientOfQ, from = start): Float64Array {
  let [theta, state]: [Float64Array, o.OptimizerState] = [from, optimizer.init(from)];
  for (let t = 0; t < steps; t++) ({ parameters: theta, state } = optimizer.update(state, gradient(theta), theta));
  return theta;
}
const learningRate = 0.1;

const table: [string, o.Optimizer, number, number, number?][] = [
  ['Adam', o.adam({ learningRate }), 0.701586274504, -1.700623391434],
  ['Adam + L2', o.adam({ learningRate, weightDecay: 0.01 }), 0.701586274474, -1.700623391434],
  ['AdamW', o.adamw({ learningRate, weightDecay: 0.01 }), 0.698911184716, -1.694944513773],
  ['RMSprop', o.rmsprop({ learningRate }), 0, -0.3096873701669],
  ['AdaGrad', o.adagrad({ learningRate }), 0.780456181366, -1.775821515009],
  ['AdaGradNorm', o.adagradNorm({ learningRate }), 0.988414252208, -1.776107255557],
  ['AdaBelief', o.adabelief({ learningRate, rectify: false }), 0.652305366226, -1.650570970774],
  ['AdaBelief rectified', o.adabelief({ learningRate }), 0.539491070069, 0.639403243517, 8],
  ['diffGrad', o.diffgrad({ learningRate }), 0.824228911632, -1.759796882302],
  ['Adan', o.adan({ learningRate }), 0.702129460066, -1.700600741649],
  ['Adan proximal', o.adan({ learningRate, weightDecay: 0.02 }), 0.69741702976, -1.689880918303],
  ['Adan AdamW-style', o.adan({ learningRate, weightDecay: 0.02, proximal: false }), 0.696821860357, -1.689264085396],
  ['δ-GClip', o.deltaClip({ learningRate }), 0.998495100061, -1.970037769685],
  ['exponentiated gradient', o.exponentiatedGradient({ learningRate }), 0.760986499766, -0.167963390476],
];

test.each(table)('%s', (name, optimizer, first, second, steps = 3) => {
  const theta = run(optimizer, steps);
  // RMSprop's first coordinate is given as 0 of magnitude below 1e-8
  expect(Math.abs((theta[0] as number) - first)).toBeLessThan(name === 'RMSprop' ? 1e-8 : 1e-9);
  expect(Math.abs((theta[1] as number) - second)).toBeLessThan(1e-9);
});

describe('closed forms', () => {
  test('SGD on a quadratic: (1 − ηh)ᵗ, and momentum by its companion recursion', () => {
    const plain = run(o.sgd({ learningRate: 0.05 }), 5);
    expect(Math.abs((plain[0] as number) - 0.95 ** 5)).toBeLessThan(1e-15);
    expect(Math.abs((plain[1] as number) + 2 * 0.5 ** 5)).toBeLessThan(1e-15);
    // heavy ball: θ_{t+1} = θ_t − ηg_t + μ(θ_t − θ_{t−1})
    let [before, now] = [1, 1];
    for (let t = 0; t < 5; t++) [before, now] = [now, now - 0.05 * now + 0.9 * (now - before)];
    expect(Math.abs((run(o.sgd({ learningRate: 0.05, momentum: 0.9 }), 5)[0] as number) - now)).toBeLessThan(1e-14);
    // Nesterov: y_t = θ_t + μ(θ_t − θ_{t−1}), θ_{t+1} = y_t − η∇(y_t); PyTorch's iterate is y
    let [x, y] = [1, 1];
    for (let t = 0; t < 5; t++) {
      const next = y - 0.05 * y;
      y = next + 0.9 * (next - x);
      x = next;
    }
    expect(
      Math.abs((run(o.sgd({ learningRate: 0.05, momentum: 0.9, nesterov: true }), 5)[0] as number) - y),
    ).toBeLessThan(1e-14);
    const decayed = run(o.sgd({ learningRate: 0.1, weightDecay: 0.5 }), 3, (theta) => theta.map(() => 0));
    expect(Math.abs((decayed[0] as number) - 0.95 ** 3)).toBeLessThan(1e-15);
  });
  test('Adam’s first step is η|g|/(|g|+ε); diffGrad’s is half of it under a constant gradient', () => {
    const g = Float64Array.of(3, -1e-8);
    const first = run(o.adam({ learningRate: 1 }), 1, () => g, new Float64Array(2));
    expect(Math.abs((first[0] as number) + 3 / (3 + 1e-8))).toBeLessThan(1e-15);
    expect(Math.abs((first[1] as number) - 0.5)).toBeLessThan(1e-12);
    const moved = (f: o.Optimizer, t: number): number =>
      (run(f, t, () => g, new Float64Array(2))[0] as number) -
      (run(f, t - 1, () => g, new Float64Array(2))[0] as number);
    for (const t of [2, 3, 7])
      expect(Math.abs(moved(o.diffgrad({ epsilon: 0 }), t) / moved(o.adam({ epsilon: 0 }), t) - 0.5)).toBeLessThan(
        1e-12,
      );
  });
  test('AdaBelief’s second moment under a constant gradient, ε staying in the state', () => {
    const [g, b1, b2, epsilon, t] = [0.7, 0.9, 0.99, 0.01, 6];
    const optimizer = o.adabelief({ beta1: b1, beta2: b2, epsilon });
    let state = optimizer.init(new Float64Array(1));
    for (let i = 0; i < t; i++) ({ state } = optimizer.update(state, Float64Array.of(g), new Float64Array(1)));
    let sum = 0;
    for (let i = 1; i <= t; i++) sum += b2 ** (t - i) * b1 ** (2 * i);
    const expected = (1 - b2) * g * g * sum + (epsilon * (1 - b2 ** t)) / (1 - b2);
    expect(Math.abs((state.vectors.s?.[0] as number) / expected - 1)).toBeLessThan(1e-13);
  });
  test('RMSprop on a quadratic settles into a two-cycle of amplitude η/2', () => {
    for (const h of [0.1, 1, 50]) {
      const end = run(
        o.rmsprop({ learningRate: 0.01, epsilon: 0 }),
        20_000,
        (x) => x.map((v) => h * v),
        Float64Array.of(1),
      );
      expect(Math.abs(Math.abs(end[0] as number) - 0.005)).toBeLessThan(1e-6);
    }
  });
  test('exponentiated gradient under a constant gradient: θ₀exp(−ηtg)', () => {
    const end = run(o.exponentiatedGradient({ learningRate: 0.1 }), 4, () => Float64Array.of(0.3), Float64Array.of(2));
    expect(Math.abs((end[0] as number) - 2 * Math.exp(-0.12))).toBeLessThan(1e-14);
  });
  test('clipping by global norm comes before anything else', () => {
    const g = Float64Array.of(3, 4);
    expect(o.globalNorm(g)).toBe(5);
    expect(o.globalNorm(Float64Array.of(3e200, 4e200)) / 5e200).toBeCloseTo(1, 14);
    const end = run(o.sgd({ learningRate: 1, clip: 1 }), 1, () => g, new Float64Array(2));
    expect(Math.abs((end[0] as number) + 0.6) + Math.abs((end[1] as number) + 0.8)).toBeLessThan(1e-15);
    expect(o.clipByNorm(g, 5)).toEqual(g);
  });
});

test('update is pure and its state plain: a copy of it goes on in the same bits', () => {
  for (const [, optimizer] of table) {
    let [theta, state]: [Float64Array, o.OptimizerState] = [start, optimizer.init(start)];
    for (let t = 0; t < 3; t++) {
      const [g, before, frozen] = [gradientOfQ(theta), theta.slice(), structuredClone(state)];
      const next = optimizer.update(state, g, theta);
      expect(state).toEqual(frozen);
      expect(theta).toEqual(before);
      expect(g).toEqual(gradientOfQ(before));
      expect(optimizer.update(structuredClone(state), g, theta)).toEqual(next);
      ({ parameters: theta, state } = next);
    }
  }
});

test('schedules', () => {
  const at = (s: o.Schedule, points: number[]): number[] => points.map((p) => Math.round(s(p) * 1e12) / 1e12);
  expect(at(o.constant(), [0, 99])).toEqual([1, 1]);
  expect(at(o.stepDecay([82, 123]), [0, 81, 82, 122, 123, 500])).toEqual([1, 1, 0.1, 0.1, 0.01, 0.01]);
  expect(at(o.linear(10, 0.5), [0, 5, 10, 20])).toEqual([1, 0.75, 0.5, 0.5]);
  expect(at(o.cosine(10), [0, 5, 10, 30])).toEqual([1, 0.5, 0, 0]);
  expect(at(o.warmUp(4, o.linear(10)), [0, 1, 3, 4, 9, 14])).toEqual([0.25, 0.5, 1, 1, 0.5, 0]);
  const end = run(o.sgd({ learningRate: 0.1, schedule: o.linear(2) }), 2, () => Float64Array.of(1), Float64Array.of(0));
  expect(Math.abs((end[0] as number) + 0.15)).toBeLessThan(1e-16);
  expect(() => o.cosine(0)).toThrow(InputError);
  expect(() => o.warmUp(-1)).toThrow(InputError);
});

test('what makes no sense is refused', () => {
  for (const make of [o.adam, o.adamw, o.sgd, o.rmsprop, o.adan, o.diffgrad, o.adabelief])
    for (const bad of [0, -1, Number.NaN]) expect(() => make({ learningRate: bad })).toThrow(InputError);
  expect(() => o.adam({ beta1: 1 })).toThrow(InputError);
  expect(() => o.sgd({ weightDecay: -1 })).toThrow(InputError);
  const adam = o.adam();
  const theta = normals(3, 1);
  expect(() => adam.update(adam.init(theta), theta.with(1, Number.NaN), theta)).toThrow(ComputationError);
  expect(() => adam.update(adam.init(theta), theta.subarray(1), theta)).toThrow(ShapeError);
  expect(() => adam.update(adam.init(theta.subarray(1)), theta, theta)).toThrow(ShapeError);
});
