import { Matrix } from 'ml-matrix';
import { describe, expect, it } from 'vitest';
import { InputError, ShapeError } from '../../src/base/errors.js';
import { compose, restrict, scale, shift, sum, transpose } from '../../src/operators/algebra.js';
import type { LinearOperator } from '../../src/operators/linear-operator.js';
import { toOperator } from '../../src/operators/user-operator.js';
import { devices } from '../reference/devices.js';
import { distance, gaussian, symmetric } from '../reference/matrices.js';

/** The operator as a matrix, by its action on the identity in one block. */
async function dense(a: LinearOperator, adjoint = false): Promise<Matrix> {
  const [n, m] = adjoint ? [a.rows, a.columns] : [a.columns, a.rows];
  const identity = Float64Array.from(Matrix.eye(n).to1DArray());
  const block = await (adjoint ? a.applyAdjoint(identity) : a.apply(identity));
  const values = await block.readFloat64();
  block.dispose();
  return Matrix.from1DArray(n, m, Array.from(values)).transpose();
}

describe.each(devices)('operator algebra on %s', (_, open) => {
  const device = open();
  for (const dtype of ['float64', 'float32'] as const) {
    const [n, m] = [7, 5];
    const a = gaussian(n, n, 1);
    const b = gaussian(n, n, 2);
    const c = gaussian(n, m, 3);
    const s = symmetric(n, 4);
    const operator = (x: Matrix): LinearOperator => toOperator(x, { dtype, device });
    // Entries are sums of at most n products of two numbers below 4, each rounded at most three times.
    const eps = dtype === 'float32' ? 2 ** -24 : 2 ** -53;
    const bound = 3 * n * 16 * 4 * eps;

    const rows: [string, () => LinearOperator, Matrix][] = [
      ['a matrix', () => operator(c), c],
      ['sum', () => sum([operator(a), operator(b), operator(s)]), Matrix.add(a, b).add(s)],
      [
        'sum with coefficients',
        () => sum([operator(a), operator(b)], [-2, 0.5]),
        Matrix.sub(Matrix.mul(b, 0.5), Matrix.mul(a, 2)),
      ],
      ['scale', () => scale(operator(c), -3), Matrix.mul(c, -3)],
      ['shift', () => shift(operator(a), 1.5), Matrix.add(a, Matrix.eye(n).mul(1.5))],
      ['compose', () => compose([operator(a), operator(b), operator(c)]), a.mmul(b).mmul(c)],
      ['transpose', () => transpose(operator(c)), c.transpose()],
      [
        'restrict',
        () =>
          restrict(operator(a), [
            { from: 1, to: 3 },
            { from: 4, to: 7 },
          ]),
        a.selection([1, 2, 4, 5, 6], [1, 2, 4, 5, 6]),
      ],
    ];
    it.each(rows)(`${dtype} %s equals the dense matrix, and so does its adjoint`, async (_name, make, expected) => {
      const made = make();
      const slack = made.rows > 0 && _name === 'compose' ? 16 * n : 1;
      expect(distance((await dense(made)).to1DArray(), expected.to1DArray())).toBeLessThanOrEqual(bound * slack);
      expect(distance((await dense(made, true)).to1DArray(), expected.transpose().to1DArray())).toBeLessThanOrEqual(
        bound * slack,
      );
      expect(made.products).toBe(made.rows + made.columns);
    });
  }

  it('keeps track of symmetry and definiteness', () => {
    const s = toOperator(symmetric(4, 1), { device });
    const p = toOperator(Matrix.eye(4), { device, positiveSemidefinite: true });
    const g = toOperator(gaussian(4, 4, 1), { device });
    expect([s, p, g].map((x) => x.symmetric)).toEqual([true, true, false]);
    expect(sum([s, p]).symmetric).toBe(true);
    expect(sum([s, p]).positiveSemidefinite).toBe(false);
    expect(sum([p, p], [1, -1]).positiveSemidefinite).toBe(false);
    expect(shift(p, 1).positiveSemidefinite).toBe(true);
    expect(shift(p, -1).positiveSemidefinite).toBe(false);
    expect(compose([p, p]).symmetric).toBe(false);
    expect(compose([p, p], { symmetric: true }).symmetric).toBe(true);
  });

  it('refuses what does not fit', async () => {
    const a = toOperator(gaussian(4, 3, 1), { device });
    const b = toOperator(gaussian(4, 4, 1), { device });
    expect(() => sum([a, b])).toThrow(ShapeError);
    expect(() => sum([])).toThrow(InputError);
    expect(() => compose([a, b])).toThrow(ShapeError);
    expect(() => shift(a, 1)).toThrow(ShapeError);
    expect(() => restrict(b, [{ from: 2, to: 5 }])).toThrow(InputError);
    expect(() =>
      restrict(b, [
        { from: 2, to: 3 },
        { from: 2, to: 4 },
      ]),
    ).toThrow(InputError);
    expect(() => sum([b, toOperator(Matrix.eye(4), { device, dtype: 'float32' })])).toThrow(InputError);
    await expect(b.applyVector(new Float64Array(3))).rejects.toThrow(ShapeError);
  });

  it('frees everything it allocates', async () => {
    const fresh = open();
    const a = toOperator(symmetric(6, 1), { device: fresh });
    const all = restrict(compose([shift(a, 1), sum([a, a]), transpose(a)]), [{ from: 0, to: 2 }]);
    await all.applyVector(Float64Array.of(1, 2));
    await fresh.finish();
    expect(fresh.allocatedBytes).toBe(0);
  });
});
