import { describe, expect, it } from 'vitest';
import { toOperator } from '../../src/operators/user-operator.js';
import { lanczos, type Tridiagonal } from '../../src/solvers/lanczos.js';
import { evaluate, quadrature } from '../../src/solvers/quadrature.js';
import { estimate, tQuantile } from '../../src/solvers/statistics.js';
import { devices } from '../reference/devices.js';
import { normals, withSpectrum } from '../reference/matrices.js';

describe.each(devices)('quadrature on %s', (_, open) => {
  const device = open();
  it.each([1, 2, 3, 5, 8])('%i steps are exact for polynomials of degree 2m − 1, not for 2m', async (steps) => {
    const n = 50;
    const values = normals(n, 1).map((x) => Math.tanh(x)); // within [−1, 1]: powers stay comparable
    const matrix = withSpectrum(values, 2);
    const z = normals(n, 3);
    const start = device.block('float64', n, 1);
    start.write(z);
    const run = await lanczos(toOperator(matrix, { device }), start, { steps });
    const q = quadrature(run.tridiagonals[0] as Tridiagonal);
    const moment = (degree: number): number => {
      let v = Float64Array.from(z);
      for (let i = 0; i < degree; i += 1)
        v = Float64Array.from(matrix.to2DArray(), (row) => row.reduce((s, x, j) => s + x * (v[j] as number), 0));
      return v.reduce((s, x, i) => s + x * (z[i] as number), 0) / z.reduce((s, x) => s + x * x, 0);
    };
    for (let degree = 0; degree <= 2 * steps - 1; degree += 1) {
      expect(Math.abs(evaluate(q, (x) => x ** degree) - moment(degree))).toBeLessThanOrEqual(2e-14);
    }
    expect(Math.abs(evaluate(q, (x) => x ** (2 * steps)) - moment(2 * steps))).toBeGreaterThan(1e-10);
    run.dispose();
    start.dispose();
  });
});

describe('statistics', () => {
  it('quantiles of Student’s t, as tabulated', () => {
    const table: [number, number][] = [
      [1, 12.7062],
      [2, 4.30265],
      [3, 3.18245],
      [4, 2.77645],
      [9, 2.26216],
      [30, 2.04227],
      [1000, 1.96234],
    ];
    for (const [freedom, t] of table) expect(tQuantile(0.95, freedom)).toBeCloseTo(t, freedom === 1 ? 4 : 5);
  });

  it('mean and standard error', () => {
    expect(estimate([1, 2, 3, 4])).toEqual({ estimate: 2.5, standardError: Math.sqrt(5 / 3 / 4) });
    expect(estimate([7])).toEqual({ estimate: 7, standardError: null });
  });
});
