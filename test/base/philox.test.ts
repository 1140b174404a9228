import { describe, expect, test } from 'vitest';
import { philoxNormal, philoxRounds, philoxUniform, RandomStream } from '../../src/base/philox.js';

describe('known answers of the Random123 distribution (philox4x32, 10 rounds)', () => {
  test.each([
    ['00000000 00000000 00000000 00000000', '00000000 00000000', '6627e8d5 e169c58d bc57ac4c 9b00dbd8'],
    ['ffffffff ffffffff ffffffff ffffffff', 'ffffffff ffffffff', '408f276d 41c83b0e a20bc7c6 6d5451fd'],
    ['243f6a88 85a308d3 13198a2e 03707344', 'a4093822 299f31d0', 'd16cfe09 94fdcceb 5001e420 24126ea1'],
  ])('counter %s, key %s', (counter, key, result) => {
    const words = Uint32Array.from(counter.split(' '), (word) => parseInt(word, 16));
    const [k0, k1] = key.split(' ').map((word) => parseInt(word, 16));
    philoxRounds(words, k0!, k1!);
    expect(Array.from(words, (word) => word.toString(16).padStart(8, '0')).join(' ')).toBe(result);
  });
});

test('seed, stream and block go into key and counter, low half first', () => {
  const counter = Uint32Array.of(7, 3, 5, 11);
  philoxRounds(counter, 13, 17);
  const stream = new RandomStream(13 + 17 * 2 ** 32, 5 + 11 * 2 ** 32);
  const first = 4 * (7 + 3 * 2 ** 32);
  expect([0, 1, 2, 3].map((i) => stream.word(first + i))).toEqual([...counter]);
});

test('the first numbers of stream 0 under seed 0, computed from the known words in 30 digits', () => {
  const stream = new RandomStream(0);
  const numbers = (of: (index: number) => number): number[] => [0, 1, 2, 3].map(of);
  expect(numbers((i) => stream.uniform(i))).toEqual([
    0.3990464707603678, 0.8805201979121193, 0.7357127844588831, 0.6054818538250402,
  ]);
  expect(numbers((i) => stream.rademacher(i))).toEqual([-1, 1, 1, 1]);
  const wanted = [0.9911376799303858, -0.924662587665535, -0.6176089594591906, -0.4820685874871797];
  for (const [i, value] of wanted.entries()) expect(Math.abs(stream.normal(i) - value)).toBeLessThan(1e-15);
});

test('numbers do not depend on the order in which they are asked for', () => {
  const forward = new RandomStream(1, 2);
  const backward = new RandomStream(1, 2);
  const up = Array.from({ length: 20 }, (_, i) => forward.normal(i));
  const down = Array.from({ length: 20 }, (_, i) => backward.normal(19 - i)).reverse();
  expect(up).toEqual(down);
  expect(philoxNormal(1, 2, 3, 10)).toEqual(Float64Array.from(up.slice(3, 13)));
  expect(philoxUniform(1, 2, 5, 2)).toEqual(Float64Array.of(forward.uniform(5), forward.uniform(6)));
  expect(new RandomStream(1, 3).word(0)).not.toBe(forward.word(0));
  expect(new RandomStream(2, 2).word(0)).not.toBe(forward.word(0));
});

/**
 * Kolmogorov–Smirnov: √n·D exceeds 1.95 with probability 2·exp(−2·1.95²) ≈ 0.001 if the numbers follow the
 * distribution. The seed is fixed, so the test passes always or never.
 */
function kolmogorov(values: number[], distribution: (x: number) => number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const n = sorted.length;
  const distance = sorted.map((x, i) => Math.max((i + 1) / n - distribution(x), distribution(x) - i / n));
  return Math.sqrt(n) * Math.max(...distance);
}

/** Standard normal distribution function by Simpson's rule on the density; good to 1e-10. */
function normalCdf(x: number): number {
  const steps = 400;
  const h = x / steps;
  const density = (t: number): number => Math.exp((-t * t) / 2) / Math.sqrt(2 * Math.PI);
  let sum = density(0) + density(x);
  for (let i = 1; i < steps; i++) sum += density(i * h) * (i % 2 === 1 ? 4 : 2);
  return 0.5 + (sum * h) / 3;
}

describe('distributions', () => {
  const n = 10_000;
  const stream = new RandomStream(42);
  const indices = Array.from({ length: n }, (_, i) => i);

  test('uniform', () => {
    const values = indices.map((i) => stream.uniform(i));
    expect(kolmogorov(values, (x) => x)).toBeLessThan(1.95);
    expect(Math.min(...values) > 0 && Math.max(...values) < 1).toBe(true);
  });

  test('normal', () => {
    expect(
      kolmogorov(
        indices.map((i) => stream.normal(i)),
        normalCdf,
      ),
    ).toBeLessThan(1.95);
  });

  test('rademacher', () => {
    const values = indices.map((i) => stream.rademacher(i));
    expect(new Set(values)).toEqual(new Set([-1, 1]));
    // The sum has standard deviation √n; 3.3 of them are exceeded with probability 0.001.
    expect(Math.abs(values.reduce((a, b) => a + b))).toBeLessThan(3.3 * Math.sqrt(n));
  });
});

test('seeds that are no whole numbers are refused', () => {
  for (const seed of [-1, 0.5, NaN, 2 ** 53]) expect(() => new RandomStream(seed)).toThrow('seed must be');
});
