import { Matrix } from 'ml-matrix';
import { describe, expect, it } from 'vitest';
import { ComputationError, InputError, InterruptedError } from '../../src/base/errors.js';
import type { Block } from '../../src/device/block.js';
import type { LinearOperator } from '../../src/operators/linear-operator.js';
import { linearOperator, toOperator } from '../../src/operators/user-operator.js';
import type { FloatDType } from '../../src/program/format.js';
import { type LanczosRun, lanczos, type Tridiagonal } from '../../src/solvers/lanczos.js';
import { tridiagonalEigen } from '../../src/solvers/tridiagonal.js';
import { devices } from '../reference/devices.js';
import { bulkAndOutliers, distance, normals, symmetric, withSpectrum } from '../reference/matrices.js';

const roundoff: Record<FloatDType, number> = { float32: 2 ** -24, float64: 2 ** -53 };

function starts(operator: LinearOperator, count: number, seed = 7): Block {
  const block = operator.device.block(operator.dtype, operator.rows, count);
  block.write(normals(operator.rows * count, seed));
  return block;
}

const denseT = ({ diagonal, coupling }: Tridiagonal): Matrix => {
  const t = Matrix.diag(Array.from(diagonal));
  coupling.forEach((b, i) => {
    t.set(i, i + 1, b);
    t.set(i + 1, i, b);
  });
  return t;
};

/** Rows are basis vectors. */
async function basisOf(run: LanczosRun, p: number): Promise<Matrix> {
  const view = run.basis(p);
  const values = await view.readFloat64();
  const matrix = Matrix.from1DArray(view.count, view.dimension, Array.from(values));
  view.dispose();
  return matrix;
}

async function orthogonalityLoss(run: LanczosRun, p: number): Promise<number> {
  const v = await basisOf(run, p);
  return distance(v.mmul(v.transpose()).to1DArray(), Matrix.eye(v.rows).to1DArray());
}

describe.each(devices)('lanczos on %s', (_, open) => {
  const device = open();

  for (const dtype of ['float64', 'float32'] as const) {
    const u = roundoff[dtype];

    it(`${dtype}: A V = V T + β v eᵀ, at several depths and for three start vectors`, async () => {
      const n = 40;
      const a = symmetric(n, 1);
      const operator = toOperator(a, { dtype, device });
      for (const steps of [1, 2, 5, 17, 39]) {
        const start = starts(operator, 3);
        const run = await lanczos(operator, start, { steps });
        for (let p = 0; p < 3; p += 1) {
          const v = await basisOf(run, p);
          const next = run.continuation(p);
          const last = await next.readFloat64();
          next.dispose();
          const t = run.tridiagonals[p] as Tridiagonal;
          const left = v.mmul(a);
          const right = denseT(t).mmul(v);
          for (let i = 0; i < n; i += 1)
            right.set(steps - 1, i, right.get(steps - 1, i) + t.next * (last[i] as number));
          // per entry: the product of n terms, steps terms removed twice, all at most ‖A‖ ≤ 2√n·1.5
          expect(distance(left.to1DArray(), right.to1DArray())).toBeLessThanOrEqual(
            (n + 4 * steps) * u * 3 * Math.sqrt(n),
          );
          expect(await orthogonalityLoss(run, p)).toBeLessThanOrEqual(20 * u);
        }
        run.dispose();
        start.dispose();
      }
    });

    it(`${dtype}: invents no outliers (algorithm notes §4.1)`, async () => {
      const n = 1000;
      const values = bulkAndOutliers(n, 5);
      // a diagonal matrix and a dense start vector are as good as any rotation of both
      const operator = linearOperator({
        rows: n,
        columns: n,
        symmetric: true,
        dtype,
        device,
        apply: (x) => x.map((xi, i) => xi * (values[i] as number)),
      });
      const start = starts(operator, 2);
      const run = await lanczos(operator, start, { steps: 90 });
      for (const [p, t] of run.tridiagonals.entries()) {
        const { values: ritz } = tridiagonalEigen(t.diagonal, t.coupling);
        const outliers = ritz.filter((x) => x > 2);
        expect(outliers.length).toBe(10);
        expect(distance(outliers, values.slice(-10))).toBeLessThanOrEqual(90 * u * 50);
        // a float64 sum of n terms of size 1/n, and the rounding of each stored vector
        expect(await orthogonalityLoss(run, p)).toBeLessThanOrEqual((20 + Math.sqrt(n)) * u);
      }
      expect(run.asymmetry).toBeLessThanOrEqual(90 * u);
      run.dispose();
      start.dispose();
    });
  }

  it('recovers every eigenvalue at full depth, and stops there', async () => {
    const values = Float64Array.from({ length: 30 }, (_unused, i) => i - 10);
    const operator = toOperator(withSpectrum(values, 3), { device });
    const start = starts(operator, 1);
    const run = await lanczos(operator, start, { steps: 100 });
    expect(run.steps).toBe(30);
    const t = run.tridiagonals[0] as Tridiagonal;
    expect(t.next).toBe(0);
    expect(distance(tridiagonalEigen(t.diagonal, t.coupling).values, values)).toBeLessThanOrEqual(1e-12);
  });

  it.each([
    ['zero', new Float64Array(12)],
    ['identity', new Float64Array(12).fill(1)],
    ['rank one', Float64Array.of(...new Float64Array(11), 3)],
    ['two values', Float64Array.of(...new Float64Array(8).fill(-1), ...new Float64Array(4).fill(2))],
    ['rank one, tiny', Float64Array.of(...new Float64Array(11), 3e-12)],
    ['rank one, huge', Float64Array.of(...new Float64Array(11), 3e12)],
  ])('continues after a breakdown: %s', async (_name, values) => {
    const operator = toOperator(withSpectrum(values, 1), { device });
    const start = starts(operator, 3);
    const run = await lanczos(operator, start, { steps: 12 });
    const size = Math.max(...values.map(Math.abs));
    for (const [p, t] of run.tridiagonals.entries()) {
      expect(distance(tridiagonalEigen(t.diagonal, t.coupling).values, values)).toBeLessThanOrEqual(1e-13 * size);
      expect(await orthogonalityLoss(run, p)).toBeLessThanOrEqual(1e-14);
      // a coupling of zero, or of rounding error that found the next direction by itself
      expect(Math.min(...t.coupling)).toBeLessThanOrEqual(1e-14 * size);
    }
  });

  it.each(['float32', 'float64'] as const)(
    '%s: keeps the structure of a bulk far below the outliers',
    async (dtype) => {
      // Couplings in this bulk are 2.5e-6 of ‖A‖: more than float32's rounding (6e-8), not to be taken for a breakdown.
      const n = 400;
      const values = Float64Array.from({ length: n }, (_unused, i) =>
        i < 3 ? 100 : 1e-3 * Math.cos((Math.PI * i) / n),
      );
      const operator = linearOperator({
        rows: n,
        columns: n,
        symmetric: true,
        dtype,
        device,
        apply: (x) => x.map((xi, i) => xi * (values[i] as number)),
      });
      const start = starts(operator, 1);
      const run = await lanczos(operator, start, { steps: 60 });
      const t = run.tridiagonals[0] as Tridiagonal;
      expect(t.coupling.every((b) => b > 0)).toBe(true);
      const { values: ritz } = tridiagonalEigen(t.diagonal, t.coupling);
      expect(ritz.filter((x) => x > 0.01).length).toBeLessThanOrEqual(3);
      expect(ritz.filter((x) => Math.abs(x) < 1.1e-3).length).toBeGreaterThanOrEqual(57);
      run.dispose();
    },
  );

  it('gives the same numbers whichever start vectors run together', async () => {
    const operator = toOperator(symmetric(25, 4), { device });
    const start = starts(operator, 3);
    const together = await lanczos(operator, start, { steps: 10 });
    const one = start.rows(2, 3);
    const alone = await lanczos(operator, one, { steps: 10 });
    expect(alone.tridiagonals[0]).toEqual(together.tridiagonals[2]);
  });

  it('refuses what is not symmetric', async () => {
    const a = Matrix.from1DArray(2, 2, [1, 2, 3, 4]);
    const honest = toOperator(a, { device });
    await expect(lanczos(honest, starts(honest, 1), { steps: 2 })).rejects.toThrow(InputError);
    const g = symmetric(10, 1);
    g.set(0, 9, g.get(0, 9) + 2);
    const liar = linearOperator({
      rows: 10,
      columns: 10,
      symmetric: true,
      device,
      apply: (x) => Float64Array.from(g.mmul(Matrix.columnVector(x)).to1DArray()),
    });
    await expect(lanczos(liar, starts(liar, 1), { steps: 5 })).rejects.toThrow(/declared symmetric but is not/);
  });

  it('names the step that produced NaN, and frees its memory', async () => {
    const fresh = open();
    let calls = 0;
    const operator = toOperator(symmetric(8, 1), { device: fresh });
    const spoiled: LinearOperator = Object.create(operator, {
      apply: {
        value: async (input: Block, output: Block) => {
          calls += 1;
          await operator.apply(input, output);
          if (calls === 3) output.write(new Float64Array(8).fill(Number.NaN));
          return output;
        },
      },
    }) as LinearOperator;
    const start = starts(operator, 1);
    const failure = lanczos(spoiled, start, { steps: 6 });
    await expect(failure).rejects.toThrow(ComputationError);
    await expect(failure).rejects.toThrow(/step 3/);
    start.dispose();
    await fresh.finish();
    expect(fresh.allocatedBytes).toBe(0);
  });

  it('stops at the next step when aborted', async () => {
    const controller = new AbortController();
    const operator = toOperator(symmetric(20, 1), { device });
    const steps: number[] = [];
    const onStep = (step: number): void => {
      steps.push(step);
      if (step === 4) controller.abort();
    };
    await expect(
      lanczos(operator, starts(operator, 2), { steps: 15, signal: controller.signal, onStep }),
    ).rejects.toThrow(InterruptedError);
    expect(steps).toEqual([1, 2, 3, 4]);
  });
});
