/** grad, jvp, vjp and hvp inside a trace: closed forms, finite differences, third order. */
import { expect, test } from 'vitest';
import type { Node } from '../../src/graph/index.js';
import { nn } from '../../src/trace/index.js';
import { compute, differences, error, random } from './compute.js';

const n = 5;
const x = random(n, 3);

/** Σ sin(x_i)·x_{i+1}², which mixes neighbours */
function traced(v: Node) {
  const next = nn.concat([nn.range(v, 0, 1, n), nn.range(v, 0, 0, 1)], 0);
  return nn.reduceSum(nn.mul(nn.sin(v), nn.square(next)));
}

test('grad is the closed form', () => {
  const [g] = compute([{ shape: [n], values: x }], (v) => nn.grad(traced(v), v));
  const want = x.map(
    (a, i) => Math.cos(a) * (x[(i + 1) % n] as number) ** 2 + 2 * a * Math.sin(x[(i + n - 1) % n] as number),
  );
  expect(error(g as number[], want)).toBeLessThan(n * 2 ** -50);
});

test('hvp is a column of differences of the gradient; jvp and vjp are each other transposed', () => {
  const gradient = (v: Float64Array): number[] =>
    compute([{ shape: [n], values: Array.from(v) }], (q) => nn.grad(traced(q), q))[0] as number[];
  const columns = differences(gradient, x);
  columns.forEach((column, j) => {
    const e = Array.from({ length: n }, (_, i) => (i === j ? 1 : 0));
    const [h, forward, back] = compute(
      [
        { shape: [n], values: x },
        { shape: [n], values: e },
      ],
      (v, d) => {
        const g = nn.grad(traced(v), v);
        return [nn.hvp(traced(v), v, d), nn.jvp(g, v, d), nn.vjp(g, d, v)];
      },
    );
    expect(error(h as number[], column)).toBeLessThan(1e-9);
    expect(error(forward as number[], h as number[])).toBeLessThan(n * 2 ** -50);
    expect(error(back as number[], h as number[])).toBeLessThan(n * 2 ** -50);
  });
});

test('derivatives of any order: the first six of x ↦ sin(x)·e^x', () => {
  const at = [0.3, -1.1];
  const orders = compute([{ shape: [2], values: at }], (v) => {
    const all = [nn.mul(nn.sin(v), nn.exp(v))];
    for (let i = 0; i < 6; i++) all.push(nn.grad(nn.reduceSum(all[i] as (typeof all)[number]), v));
    return all;
  });
  // d/dx multiplies the complex amplitude of e^{(1+i)x} by 1 + i = √2·e^{iπ/4}
  orders.forEach((got, k) => {
    const want = at.map((a) => 2 ** (k / 2) * Math.exp(a) * Math.sin(a + (k * Math.PI) / 4));
    expect(error(got, want)).toBeLessThan(2 ** k * 2 ** -48);
  });
});

test('no dependence gives zeros; shapes that do not fit are named', () => {
  const zeros = compute(
    [
      { shape: [2], values: [1, 2] },
      { shape: [3], values: [1, 2, 3] },
    ],
    (a, b) => [nn.grad(nn.reduceSum(a), b), nn.jvp(a, b, b), nn.vjp(a, a, b), nn.hvp(nn.reduceSum(nn.mul(2, b)), b, b)],
  );
  expect(zeros).toEqual([
    [0, 0, 0],
    [0, 0],
    [0, 0, 0],
    [0, 0, 0],
  ]);
  expect(() => compute([{ shape: [2] }], (a) => nn.grad(a, a))).toThrow('grad needs a scalar, got float64[2]');
  expect(() => compute([{ shape: [2] }, { shape: [3] }], (a, b) => nn.jvp(a, a, b))).toThrow(
    'jvp: tangent float64[3] does not fit float64[2]',
  );
});
