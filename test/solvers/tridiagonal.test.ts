import { Matrix } from 'ml-matrix';
import { describe, expect, it } from 'vitest';
import { ComputationError } from '../../src/base/errors.js';
import { tridiagonalEigen } from '../../src/solvers/tridiagonal.js';
import { distance, eigenvaluesOf, normals } from '../reference/matrices.js';

const eps = 2 ** -53;
const fill = (n: number, value: number): Float64Array => new Float64Array(n).fill(value);
const largest = (...lists: Float64Array[]): number =>
  Math.max(...lists.map((l) => l.reduce((m, x) => Math.max(m, Math.abs(x)), 0)));

function dense(d: Float64Array, e: Float64Array): Matrix {
  const a = Matrix.diag(Array.from(d));
  e.forEach((x, i) => {
    a.set(i, i + 1, x);
    a.set(i + 1, i, x);
  });
  return a;
}

/** QR rotates each entry O(n) times, each time with a few roundings of ‖T‖: backward error c·n·eps·‖T‖. */
const bound = (d: Float64Array, e: Float64Array): number => 10 * d.length * eps * 3 * largest(d, e, fill(1, 0));

/** T V = V Λ, VᵀV = I, ends agree with vectors, and the short form gives the same values. */
function check(d: Float64Array, e: Float64Array): void {
  const n = d.length;
  const { values, vectors, first, last } = tridiagonalEigen(d, e, { vectors: true });
  const v = new Matrix(n, n);
  // row i is eigenvector i
  vectors?.forEach((x, i) => {
    v.set(Math.floor(i / n), i % n, x);
  });
  const tv = v.mmul(dense(d, e));
  const lv = Matrix.diag(Array.from(values)).mmul(v);
  expect(distance(tv.to1DArray(), lv.to1DArray())).toBeLessThanOrEqual(bound(d, e));
  expect(distance(v.mmul(v.transpose()).to1DArray(), Matrix.eye(n).to1DArray())).toBeLessThanOrEqual(10 * n * eps);
  expect(first).toEqual(Float64Array.from(v.getColumn(0)));
  expect(last).toEqual(Float64Array.from(v.getColumn(n - 1)));
  const short = tridiagonalEigen(d, e);
  expect(short.values).toEqual(values);
  expect(short.first).toEqual(first);
  expect(short.last).toEqual(last);
}

describe('tridiagonalEigen', () => {
  const random = (n: number, seed: number): [Float64Array, Float64Array] => [
    normals(n, seed),
    normals(n - 1, seed + 1),
  ];
  const cases: [string, Float64Array, Float64Array][] = [
    ['one entry', Float64Array.of(-3), new Float64Array(0)],
    ['zero', fill(5, 0), fill(4, 0)],
    ['two entries, zero diagonal', fill(2, 0), fill(1, 1)],
    ['equal diagonal', fill(2, 1), fill(1, -2)],
    ['random 2', ...random(2, 1)],
    ['random 3', ...random(3, 2)],
    ['random 60', ...random(60, 3)],
    ['zero couplings among others', normals(30, 5), normals(29, 6).map((x, i) => (i % 4 === 0 ? 0 : x))],
    ['all couplings zero', normals(9, 7), fill(8, 0)],
    [
      'graded downwards',
      Float64Array.from({ length: 20 }, (_, i) => 10 ** -i),
      Float64Array.from({ length: 19 }, (_, i) => 10 ** (-i - 1)),
    ],
    [
      'graded upwards',
      Float64Array.from({ length: 20 }, (_, i) => 10 ** i),
      Float64Array.from({ length: 19 }, (_, i) => 10 ** (i - 1)),
    ],
    ['huge', ...(random(12, 8).map((l) => l.map((x) => x * 1e300)) as [Float64Array, Float64Array])],
    ['tiny', ...(random(12, 9).map((l) => l.map((x) => x * 1e-300)) as [Float64Array, Float64Array])],
    ['tiny couplings', normals(15, 10), fill(14, 1e-14)],
    [
      'glued: nearly equal eigenvalues',
      Float64Array.from({ length: 42 }, (_, i) => Math.abs(10 - (i % 21))),
      fill(41, 1).map((x, i) => (i === 20 ? 1e-10 : x)),
    ],
  ];
  it.each(cases)('%s', (_name, d, e) => check(d, e));

  it.each(cases.filter(([name]) => name.startsWith('random')))('%s: as a dense solver', (_name, d, e) => {
    expect(distance(tridiagonalEigen(d, e).values, eigenvaluesOf(dense(d, e)))).toBeLessThanOrEqual(bound(d, e));
  });

  it.each([1, 2, 10, 100, 1000])('2 on the diagonal, −1 beside it, n = %i: 2 − 2 cos(jπ/(n+1))', (n) => {
    const { values, first } = tridiagonalEigen(fill(n, 2), fill(n - 1, -1));
    const expected = Float64Array.from({ length: n }, (_, j) => 2 - 2 * Math.cos(((j + 1) * Math.PI) / (n + 1)));
    expect(distance(values, expected)).toBeLessThanOrEqual(10 * n * eps * 4);
    // first components: √(2/(n+1)) sin(jπ/(n+1)). Neighbours are 4/n² apart at the ends of the spectrum.
    const weights = Float64Array.from(
      { length: n },
      (_, j) => (2 / (n + 1)) * Math.sin(((j + 1) * Math.PI) / (n + 1)) ** 2,
    );
    expect(
      distance(
        first.map((x) => x * x),
        weights,
      ),
    ).toBeLessThanOrEqual(10 * n * eps * 4 * n);
  });

  it('keeps the small eigenvalues of a graded matrix to relative accuracy, whichever end is large', () => {
    // d_i = 100⁻ⁱ, couplings √(d_i d_j)/4: well conditioned once scaled to a unit diagonal. The product of the
    // eigenvalues is that of the pivots p_i = d_i − e²/p_{i−1}, which do not cancel: relative accuracy n eps.
    const n = 12;
    const d = Float64Array.from({ length: n }, (_, i) => 100 ** -i);
    const e = Float64Array.from({ length: n - 1 }, (_, i) => Math.sqrt((d[i] as number) * (d[i + 1] as number)) / 4);
    let logarithm = 0;
    d.reduce((before, x, i) => {
      const pivot = i === 0 ? x : x - (e[i - 1] as number) ** 2 / before;
      logarithm += Math.log(pivot);
      return pivot;
    }, 1);
    for (const [diagonal, coupling] of [
      [d, e],
      [d.toReversed(), e.toReversed()],
    ] as const) {
      const { values } = tridiagonalEigen(diagonal, coupling);
      expect(Math.min(...values)).toBeGreaterThan(0);
      expect(Math.abs(values.reduce((s, x) => s + Math.log(x), 0) - logarithm)).toBeLessThanOrEqual(1e-12);
    }
  });

  it('refuses NaN', () => {
    expect(() => tridiagonalEigen([1, Number.NaN], [0])).toThrow(ComputationError);
  });
});
