import { Matrix } from 'ml-matrix';
import { describe, expect, it } from 'vitest';
import { ComputationError, InputError, InterruptedError } from '../../src/base/errors.js';
import { linearOperator, toOperator } from '../../src/operators/user-operator.js';
import { type EigsOptions, eigs, type Which } from '../../src/solvers/eigs.js';
import { devices } from '../reference/devices.js';
import { bulkAndOutliers, distance, eigenvaluesOf, symmetric, withSpectrum } from '../reference/matrices.js';

/** The k wanted of ascending true eigenvalues, in the order of the result. */
function expected(values: Float64Array, k: number, which: Which): number[] {
  const up = Array.from(values).sort((a, b) => a - b);
  const down = [...up].reverse();
  if (which === 'largest') return down.slice(0, k);
  if (which === 'smallest') return up.slice(0, k);
  if (which === 'magnitude') return up.sort((a, b) => Math.abs(b) - Math.abs(a)).slice(0, k);
  return [...down.slice(0, Math.ceil(k / 2)), ...up.slice(0, Math.floor(k / 2)).reverse()];
}

const wheres: Which[] = ['largest', 'smallest', 'both', 'magnitude'];

describe.each(devices)('eigs on %s', (_, open) => {
  const device = open();

  describe.each([
    ['random, indefinite', symmetric(120, 1)],
    ['outliers', withSpectrum(bulkAndOutliers(150, 5), 2)],
    [
      'spread over six orders',
      withSpectrum(
        Float64Array.from({ length: 60 }, (_unused, i) => 10 ** (6 - 0.1 * i)),
        3,
      ),
    ],
  ])('%s', (_name, matrix) => {
    const truth = eigenvaluesOf(matrix);
    const size = Math.max(Math.abs(truth[0] as number), Math.abs(truth.at(-1) as number));
    it.each(wheres)('%s', async (which) => {
      const k = 7;
      const operator = toOperator(matrix, { device });
      const result = await eigs(operator, { k, which, tolerance: 1e-9 });
      expect(result.status).toBe('all 7 eigenvalues converged');
      expect(result.converged).toBe(true);
      // a residual r puts an eigenvalue within r of the value
      expect(
        distance(
          result.eigenvalues.map((e) => e.value),
          expected(truth, k, which),
        ),
      ).toBeLessThanOrEqual(1e-9 * size);
      for (const e of result.eigenvalues) expect(e.residual).toBeLessThanOrEqual(1e-9 * size);
      expect(result.products).toBe(operator.products);
    });
  });

  it('returns orthonormal eigenvectors with the residuals it states', async () => {
    const a = symmetric(50, 3);
    const result = await eigs(toOperator(a, { device }), { k: 4, vectors: true, tolerance: 1e-10 });
    const flat = await result.vectors?.readFloat64();
    const v = Matrix.from1DArray(4, 50, Array.from(flat ?? []));
    expect(distance(v.mmul(v.transpose()).to1DArray(), Matrix.eye(4).to1DArray())).toBeLessThanOrEqual(1e-14);
    const r = Matrix.sub(v.mmul(a), Matrix.diag(result.eigenvalues.map((e) => e.value)).mmul(v));
    result.eigenvalues.forEach((e, i) => {
      expect(Math.abs(r.getRowVector(i).norm() - e.residual)).toBeLessThanOrEqual(1e-13);
    });
    result.vectors?.dispose();
  });

  it('finds every copy of eigenvalues of multiplicity up to the block size', async () => {
    const values = Float64Array.of(
      9,
      9,
      9,
      7,
      7,
      5,
      ...Float64Array.from({ length: 114 }, (_unused, i) => Math.cos(i)),
    );
    const result = await eigs(toOperator(withSpectrum(values, 4), { device }), { k: 6, block: 3, tolerance: 1e-10 });
    expect(
      distance(
        result.eigenvalues.map((e) => e.value),
        [9, 9, 9, 7, 7, 5],
      ),
    ).toBeLessThanOrEqual(1e-8);
  });

  it.each<[string, Float64Array]>([
    ['order 1', Float64Array.of(-3)],
    ['order 2', Float64Array.of(-1, 1)],
    ['order 3', Float64Array.of(0, 1, 1)],
    ['zero', new Float64Array(20)],
    ['identity', new Float64Array(20).fill(1)],
    ['rank one', Float64Array.of(...new Float64Array(29), -4)],
    ['two values', Float64Array.of(...new Float64Array(8).fill(2), ...new Float64Array(4).fill(-1))],
    ['tiny', Float64Array.from({ length: 40 }, (_unused, i) => 1e-12 * i)],
    ['huge', Float64Array.from({ length: 40 }, (_unused, i) => 1e12 * i)],
  ])('%s', async (_name, values) => {
    const size = Math.max(...values.map(Math.abs));
    for (const which of wheres) {
      for (const k of [1, 4]) {
        const result = await eigs(toOperator(withSpectrum(values, 5), { device }), {
          k,
          which,
          tolerance: 1e-9,
          block: 2,
          vectors: true,
        });
        const flat = await result.vectors?.readFloat64();
        const v = Matrix.from1DArray(result.eigenvalues.length, values.length, Array.from(flat ?? []));
        expect(distance(v.mmul(v.transpose()).to1DArray(), Matrix.eye(v.rows).to1DArray())).toBeLessThanOrEqual(1e-14);
        result.vectors?.dispose();
        const wanted = expected(values, Math.min(k, values.length), which).map((x) =>
          which === 'magnitude' ? Math.abs(x) : x,
        );
        const found = result.eigenvalues.map((e) => (which === 'magnitude' ? Math.abs(e.value) : e.value));
        expect(distance(found, wanted)).toBeLessThanOrEqual(1e-8 * size);
        expect(result.converged).toBe(true);
      }
    }
  });

  it.each<[string, Float64Array]>([
    ['identity', new Float64Array(12).fill(1)],
    ['two values', Float64Array.of(...new Float64Array(8).fill(2), ...new Float64Array(4).fill(-1))],
  ])('%s: all eigenvectors, though most come from rounding errors, are orthonormal', async (_name, values) => {
    for (const block of [1, 2, 3]) {
      const operator = toOperator(withSpectrum(values, 1), { device });
      const result = await eigs(operator, { k: 12, vectors: true, block, tolerance: 1e-9 });
      const v = Matrix.from1DArray(12, 12, Array.from((await result.vectors?.readFloat64()) ?? []));
      expect(distance(v.mmul(v.transpose()).to1DArray(), Matrix.eye(12).to1DArray())).toBeLessThanOrEqual(1e-14);
      result.vectors?.dispose();
    }
  });

  it('float32: residuals are true, and the status says what limits them', async () => {
    const a = symmetric(100, 3);
    const truth = eigenvaluesOf(a);
    const usual = await eigs(toOperator(a, { device, dtype: 'float32' }), { k: 3, tolerance: 1e-5 });
    expect(usual.converged).toBe(true);
    expect(
      distance(
        usual.eigenvalues.map((e) => e.value),
        expected(truth, 3, 'largest'),
      ),
    ).toBeLessThanOrEqual(1e-5 * 15);
    const strict = await eigs(toOperator(a, { device, dtype: 'float32' }), { k: 3, tolerance: 1e-12 });
    expect(strict.converged).toBe(false);
    expect(strict.status).toMatch(/0 of 3 .* float64/);
    for (const e of strict.eigenvalues) expect(e.residual).toBeGreaterThan(1e-12 * 14);
  });

  it('works within little memory, and frees everything', async () => {
    const fresh = open();
    const n = 200;
    const a = toOperator(withSpectrum(bulkAndOutliers(n, 1), 1), { device: fresh });
    const memory = 20 * n * 8;
    let most = 0;
    const onProgress = (): void => {
      most = Math.max(most, fresh.allocatedBytes);
    };
    const result = await eigs(a, { k: 5, memory, tolerance: 1e-8, onProgress });
    expect(result.converged).toBe(true);
    expect(
      distance(
        result.eigenvalues.map((e) => e.value),
        [50, 45, 40, 35, 30],
      ),
    ).toBeLessThanOrEqual(1e-6);
    expect(most).toBeLessThanOrEqual(memory);
    await fresh.finish();
    expect(fresh.allocatedBytes).toBe(0);
    await expect(eigs(a, { k: 5, memory: 8 * n * 8 })).rejects.toThrow(InputError);
  });

  it('stops at its limit of products and says so', async () => {
    const values = Float64Array.from({ length: 400 }, (_unused, i) => 1 + 1e-4 * i);
    const operator = linearOperator({
      rows: 400,
      columns: 400,
      symmetric: true,
      device,
      apply: (x) => x.map((v, i) => v * (values[i] as number)),
    });
    const result = await eigs(operator, { k: 3, maxProducts: 30, tolerance: 1e-9 });
    expect(result.converged).toBe(false);
    expect(result.status).toMatch(/more products/);
    expect(result.products).toBeLessThanOrEqual(40);
  });

  it('refuses bad options, asymmetry and NaN; stops when aborted', async () => {
    const operator = toOperator(symmetric(10, 1), { device });
    const bad: EigsOptions[] = [
      { k: 0 },
      { tolerance: 0 },
      { block: 0 },
      { which: 'middle' as Which },
      { maxProducts: -1 },
    ];
    for (const options of bad) await expect(eigs(operator, options)).rejects.toThrow(InputError);
    await expect(eigs(operator, { signal: AbortSignal.abort() })).rejects.toThrow(InterruptedError);
    const skew = linearOperator({
      rows: 12,
      columns: 12,
      symmetric: true,
      device,
      apply: (x) => x.map((v, i) => v * i + (i > 0 ? (x[i - 1] as number) : 0)),
    });
    await expect(eigs(skew, { k: 3 })).rejects.toThrow(/declared symmetric but is not/);
    const broken = linearOperator({
      rows: 3,
      columns: 3,
      symmetric: true,
      device,
      apply: (x) => x.map(() => Number.NaN),
    });
    await expect(eigs(broken)).rejects.toThrow(ComputationError);
  });
});
