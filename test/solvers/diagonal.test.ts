import { Matrix } from 'ml-matrix';
import { describe, expect, it } from 'vitest';
import { ComputationError, InputError, InterruptedError } from '../../src/base/errors.js';
import { linearOperator, toOperator } from '../../src/operators/user-operator.js';
import { type DiagonalMethod, diagonal } from '../../src/solvers/diagonal.js';
import { devices } from '../reference/devices.js';
import { distance, gaussian, symmetric, withSpectrum } from '../reference/matrices.js';

const methods: DiagonalMethod[] = ['bekas', 'xdiag', 'exact'];

describe.each(devices)('diagonal on %s', (_, open) => {
  const device = open();

  it.each(methods)('%s: of a diagonal matrix, exactly', async (method) => {
    const values = [3, -1, 0, 1e6, 1e-6, 2];
    const result = await diagonal(toOperator(Matrix.diag(values), { device }), { method, products: 12 });
    expect(distance(result.estimate, values)).toBeLessThanOrEqual(method === 'xdiag' ? 1e-9 : 0);
    // one entry is zero: xdiag's sketch has rank 5, and the second half takes 5 products
    expect(result.products).toBe({ bekas: 12, xdiag: 11, exact: 6 }[method]);
  });

  it.each(methods)('%s: entries lie within their errors', async (method) => {
    const matrix = symmetric(80, 4);
    const { estimate, standardError } = await diagonal(toOperator(matrix, { device }), {
      method,
      products: 80,
      seed: 1,
    });
    // beyond 3 standard errors with at least 39 degrees of freedom: 0.5 % of 80 entries, so 5 have probability 1e-4
    const misses = matrix
      .diag()
      .filter((truth, i) => !(Math.abs((estimate[i] as number) - truth) <= 3 * (standardError?.[i] as number) + 1e-13));
    expect(misses.length).toBeLessThan(5);
  });

  it('xdiag: decaying spectra to the published accuracy, within a factor of 3 (algorithm notes §4.6)', async () => {
    const n = 300;
    const geometric = withSpectrum(
      Float64Array.from({ length: n }, (_unused, i) => 0.7 ** i),
      1,
      6,
    );
    const squares = withSpectrum(
      Float64Array.from({ length: n }, (_unused, i) => (i + 1) ** -2),
      1,
      6,
    );
    for (const [matrix, published] of [
      [geometric, 1e-8],
      [squares, 4e-3],
    ] as const) {
      const truth = matrix.diag();
      const { estimate } = await diagonal(toOperator(matrix, { device }), { method: 'xdiag', products: 120 });
      expect(distance(estimate, truth) / Math.max(...truth.map(Math.abs))).toBeLessThanOrEqual(3 * published);
    }
  });

  it('xdiag: exact to rounding for low rank, and for matrices that are not symmetric', async () => {
    const low = withSpectrum(Float64Array.of(...new Float64Array(97), 1, 2, -5), 3);
    const result = await diagonal(toOperator(low, { device }), { method: 'xdiag', products: 20 });
    expect(distance(result.estimate, low.diag())).toBeLessThanOrEqual(1e-12);
    const skew = gaussian(60, 3, 1).mmul(gaussian(3, 60, 2));
    const other = await diagonal(toOperator(skew, { device }), { method: 'xdiag', products: 20 });
    expect(distance(other.estimate, skew.diag())).toBeLessThanOrEqual(1e-11);
  });

  it('blocks and memory change nothing', async () => {
    const operator = toOperator(symmetric(50, 2), { device });
    const whole = await diagonal(operator, { products: 20 });
    const split = await diagonal(operator, { products: 20, memory: 7 * 50 * 8 });
    expect(split.estimate).toEqual(whole.estimate);
    expect(split.standardError).toEqual(whole.standardError);
  });

  it('one sample has no standard error', async () => {
    const result = await diagonal(toOperator(symmetric(5, 1), { device }), { products: 1 });
    expect(result.standardError).toBeNull();
  });

  it('refuses bad options and NaN, stops when aborted, frees everything', async () => {
    const fresh = open();
    const operator = toOperator(symmetric(10, 1), { device: fresh });
    await expect(diagonal(operator, { products: 0 })).rejects.toThrow(InputError);
    await expect(diagonal(operator, { method: 'xdiag', products: 3 })).rejects.toThrow(InputError);
    await expect(diagonal(operator, { method: 'guess' as DiagonalMethod })).rejects.toThrow(InputError);
    const broken = linearOperator({
      rows: 4,
      columns: 4,
      symmetric: true,
      device: fresh,
      apply: (x) => x.map(() => Number.NaN),
    });
    for (const method of methods) {
      await expect(diagonal(operator, { method, signal: AbortSignal.abort() })).rejects.toThrow(InterruptedError);
      await expect(diagonal(broken, { method })).rejects.toThrow(ComputationError);
      await diagonal(operator, { method, products: 12 });
    }
    await fresh.finish();
    expect(fresh.allocatedBytes).toBe(0);
  });
});
