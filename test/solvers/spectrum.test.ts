import { describe, expect, it } from 'vitest';
import { ComputationError, InputError, InterruptedError } from '../../src/base/errors.js';
import type { Device } from '../../src/device/device.js';
import type { LinearOperator } from '../../src/operators/linear-operator.js';
import { linearOperator, toOperator } from '../../src/operators/user-operator.js';
import type { FloatDType } from '../../src/program/format.js';
import { integrate, kernelWidth } from '../../src/solvers/density.js';
import { type SpectrumResult, spectrum } from '../../src/solvers/spectrum.js';
import { devices } from '../reference/devices.js';
import { bulkAndOutliers, distance, eigenvaluesOf, symmetric, withSpectrum } from '../reference/matrices.js';

function diagonal(
  values: Float64Array,
  device: Device,
  dtype: FloatDType = 'float64',
  maxBlock?: number,
): LinearOperator {
  const n = values.length;
  return linearOperator({
    rows: n,
    columns: n,
    symmetric: true,
    device,
    dtype,
    ...(maxBlock === undefined ? {} : { maxBlock }),
    apply: (x) => x.map((xi, i) => xi * (values[i] as number)),
  });
}

const distinct = (values: Float64Array): number[] => [...new Set(values)].sort((a, b) => a - b);
const valuesOf = (list: readonly { value: number }[]): number[] => list.map((v) => v.value);

/** What every result must satisfy. */
function checkForm(result: SpectrumResult): void {
  for (const { nodes, weights } of result.ritz) {
    expect(nodes.length).toBe(result.steps);
    expect(nodes).toEqual(Float64Array.from(nodes).sort());
    expect(weights.every((w) => w >= 0)).toBe(true);
    expect(Math.abs(weights.reduce((a, b) => a + b, 0) - 1)).toBeLessThanOrEqual(10 * result.steps * 2 ** -53);
  }
  const { grid, value, lower, upper, unreliable } = result.density;
  expect([value.length, lower.length, upper.length, unreliable.length]).toEqual(Array(4).fill(grid.length));
  expect(grid.every((x, i) => i === 0 || x > (grid[i - 1] as number))).toBe(true);
  expect(Math.abs(integrate(grid, value) - 1)).toBeLessThanOrEqual(1e-12);
  if (result.probes > 1) {
    expect(
      value.every((v, i) => (lower[i] as number) >= 0 && (lower[i] as number) <= v && v <= (upper[i] as number)),
    ).toBe(true);
  }
  const most = Math.max(...value);
  expect(Math.max(value[0] as number, value.at(-1) as number)).toBeLessThanOrEqual(1e-10 * most); // nothing is cut off
  // zᵀAz is the quadrature's first moment, and tr A its mean over probes
  const moments = result.ritz.map((q) => q.nodes.reduce((s, x, i) => s + x * (q.weights[i] as number), 0));
  const mean = (moments.reduce((a, b) => a + b, 0) / moments.length) * result.dimension;
  const size = Math.max(...result.ritz.flatMap((q) => Array.from(q.nodes, Math.abs)));
  expect(Math.abs(result.trace.estimate - mean)).toBeLessThanOrEqual(1e-12 * result.dimension * size);
  expect(result.largest.length).toBeGreaterThan(0);
  expect(result.largest.length).toBeLessThanOrEqual(10);
  expect(valuesOf(result.largest)).toEqual(valuesOf(result.largest).sort((a, b) => b - a));
  expect(valuesOf(result.smallest)).toEqual(valuesOf(result.smallest).sort((a, b) => a - b));
}

describe.each(devices)('spectrum on %s', (_, open) => {
  const device = open();

  it.each([
    ['order 1', Float64Array.of(-2.5)],
    ['order 2, indefinite', Float64Array.of(-1, 1)],
    ['order 3', Float64Array.of(0, 1, 1)],
    ['zero', new Float64Array(9)],
    ['identity', new Float64Array(9).fill(1)],
    ['minus identity', new Float64Array(9).fill(-1)],
    ['rank one', Float64Array.of(...new Float64Array(19), 4)],
    ['indefinite', Float64Array.from({ length: 40 }, (_unused, i) => i - 15)],
    ['multiple eigenvalues', Float64Array.from({ length: 40 }, (_unused, i) => Math.floor(i / 8))],
    ['tiny', Float64Array.from({ length: 30 }, (_unused, i) => 1e-12 * (i - 10))],
    ['huge', Float64Array.from({ length: 30 }, (_unused, i) => 1e12 * (i - 10))],
  ])('exact below 100 dimensions: %s', async (_name, values) => {
    const result = await spectrum(toOperator(withSpectrum(values, 2), { device }), { probes: 4 });
    checkForm(result);
    const n = values.length;
    const size = Math.max(...values.map(Math.abs));
    const all = distinct(values);
    expect(result.steps).toBe(n);
    for (const { nodes } of result.ritz) expect(distance(nodes, values)).toBeLessThanOrEqual(1e-12 * size);
    const count = Math.min(10, all.length);
    expect(distance(valuesOf(result.smallest), all.slice(0, count))).toBeLessThanOrEqual(1e-12 * size);
    expect(distance(valuesOf(result.largest), all.slice(-count).reverse())).toBeLessThanOrEqual(1e-12 * size);
    expect(result.converged).toBe(true);
    for (const { residual } of [...result.largest, ...result.smallest])
      expect(residual).toBeLessThanOrEqual(1e-12 * size);
    expect(result.products).toBe(4 * n + new Set([...valuesOf(result.largest), ...valuesOf(result.smallest)]).size);
  });

  for (const dtype of ['float64', 'float32'] as const) {
    it(`${dtype}: ten outliers over a bulk are found once each, with true residuals`, async () => {
      const n = 1000;
      const values = bulkAndOutliers(n, 5);
      const operator = diagonal(values, device, dtype);
      const result = await spectrum(operator, { steps: 90, probes: 5, seed: 1 });
      checkForm(result);
      const u = dtype === 'float32' ? 2 ** -24 : 2 ** -53;
      expect(distance(valuesOf(result.largest), values.slice(-10).reverse())).toBeLessThanOrEqual(90 * u * 50);
      for (const { residual } of result.largest) expect(residual).toBeLessThanOrEqual(90 * u * 50);
      // Every reported residual is a promise: an eigenvalue lies that near (plus float32's error in the value).
      for (const { value, residual } of [...result.largest, ...result.smallest]) {
        const nearest = Math.min(...values.map((x) => Math.abs(x - value)));
        expect(nearest).toBeLessThanOrEqual(residual + 4 * u * 50);
      }
      expect(result.converged).toBe(true);
      expect(operator.products).toBe(result.products);
    });
  }

  it('trace: within its own error, for most seeds', async () => {
    // 40 independent runs; each misses 2.262 standard errors (t, 9 degrees of freedom) with probability 5 %.
    // 8 or more misses have probability 0.1 % (binomial tail), and all errors zero would fail the second check.
    const values = bulkAndOutliers(300, 3);
    const exact = values.reduce((a, b) => a + b, 0);
    let misses = 0;
    for (let seed = 0; seed < 40; seed += 1) {
      const { trace } = await spectrum(diagonal(values, device), { steps: 3, probes: 10, seed });
      expect(trace.standardError).toBeGreaterThan(0);
      if (!(Math.abs(trace.estimate - exact) <= 2.262 * (trace.standardError as number))) misses += 1;
    }
    expect(misses).toBeLessThan(8);
    expect(misses).toBeGreaterThanOrEqual(0);
  });

  it('density: agrees with the smoothed true spectrum inside its band, where the band is reliable', async () => {
    const values = Float64Array.from({ length: 2000 }, (_unused, i) => Math.sin(i)); // arcsine law on [−1, 1]
    const result = await spectrum(diagonal(values, device), { steps: 60, probes: 10, width: 0.05, seed: 4 });
    checkForm(result);
    const { grid, value, lower, upper, unreliable, width } = result.density;
    expect(width).toBe(0.05);
    let inside = 0;
    let reliable = 0;
    grid.forEach((x, i) => {
      const truth =
        values.reduce((s, v) => s + Math.exp(-0.5 * ((x - v) / width) ** 2), 0) /
        (values.length * width * Math.sqrt(2 * Math.PI));
      if (unreliable[i] === true) return;
      reliable += 1;
      expect(Math.abs((value[i] as number) - truth)).toBeLessThanOrEqual(0.2 * truth);
      if ((lower[i] as number) <= truth && truth <= (upper[i] as number)) inside += 1;
    });
    expect(reliable).toBeGreaterThan(60);
    // Neighbouring points are correlated: 95 % coverage on average, far less sharp on one curve.
    expect(inside / reliable).toBeGreaterThan(0.8);
  });

  it('density: a spike and a wide gap are resolved', async () => {
    const values = Float64Array.of(1e6, ...new Float64Array(99));
    const result = await spectrum(diagonal(values, device), { probes: 3, width: 0.5 });
    checkForm(result);
    expect(result.density.grid.length).toBeLessThan(200);
    expect(result.density.unreliable.at(-1)).toBe(true);
  });

  it('one probe has no standard error and no band', async () => {
    const result = await spectrum(toOperator(symmetric(12, 1), { device }), { probes: 1 });
    expect(result.trace.standardError).toBeNull();
    expect(result.density.lower.every(Number.isNaN)).toBe(true);
    expect(result.density.unreliable.every(Boolean)).toBe(true);
  });

  it('grouping probes, by memory or block size, changes no number', async () => {
    const values = bulkAndOutliers(200, 2);
    const options = { steps: 20, probes: 5, seed: 9 };
    const together = await spectrum(diagonal(values, device), options);
    const vector = 200 * 8;
    const limited = await spectrum(diagonal(values, device), { ...options, memory: (40 + 2 * 22) * vector });
    const blocks = await spectrum(diagonal(values, device, 'float64', 3), options);
    for (const other of [limited, blocks]) {
      expect(other.ritz).toEqual(together.ritz);
      expect(other.trace).toEqual(together.trace);
      expect(distance(valuesOf(other.largest), valuesOf(together.largest))).toBeLessThanOrEqual(1e-13 * 50);
    }
  });

  it('keeps to its memory limit and frees everything', async () => {
    const fresh = open();
    const vector = 150 * 8;
    const memory = (40 + 2 * 12) * vector;
    let most = 0;
    const onProgress = (): void => {
      most = Math.max(most, fresh.allocatedBytes);
    };
    await spectrum(toOperator(symmetric(150, 1), { device: fresh }), { steps: 10, probes: 7, memory, onProgress });
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(memory);
    await fresh.finish();
    expect(fresh.allocatedBytes).toBe(0);
    await expect(
      spectrum(toOperator(symmetric(150, 1), { device: fresh }), { steps: 10, memory: 40 * vector }),
    ).rejects.toThrow(InputError);
  });

  it('values at the edge of a bulk are not passed off as the next eigenvalues', async () => {
    // A dense bulk: after 10 steps no Ritz value stands for one eigenvalue. The extreme one is reported, unconverged.
    const values = Float64Array.from({ length: 500 }, (_unused, i) => Math.cos((Math.PI * (i + 0.5)) / 500));
    const result = await spectrum(diagonal(values, device), { steps: 10, probes: 3 });
    expect(result.converged).toBe(false);
    expect(result.largest.length).toBe(1);
    expect(result.largest[0]?.residual).toBeGreaterThan(1e-3);
  });

  it('refuses bad options and stops when asked to', async () => {
    const operator = toOperator(symmetric(10, 1), { device });
    for (const bad of [
      { steps: 0 },
      { probes: 0 },
      { steps: 2.5 },
      { width: -1 },
      { width: 1e-15 },
      { tolerance: Number.NaN },
    ]) {
      await expect(spectrum(operator, bad)).rejects.toThrow(InputError);
    }
    await expect(spectrum(operator, { signal: AbortSignal.abort() })).rejects.toThrow(InterruptedError);
    const broken = linearOperator({
      rows: 3,
      columns: 3,
      symmetric: true,
      device,
      apply: (x) => x.map(() => Number.NaN),
    });
    await expect(spectrum(broken)).rejects.toThrow(ComputationError);
  });

  it('matches a dense eigensolver on a random matrix', async () => {
    const a = symmetric(80, 6);
    const result = await spectrum(toOperator(a, { device }), { steps: 200, probes: 2 });
    const truth = eigenvaluesOf(a);
    for (const { nodes } of result.ritz) expect(distance(nodes, truth)).toBeLessThanOrEqual(1e-10);
  });
});

describe('kernelWidth', () => {
  it('is the published one for ranges around 1, and follows the scale elsewhere', () => {
    expect(kernelWidth(0, 1)).toBeCloseTo(Math.sqrt(1e-5), 12);
    expect(kernelWidth(-1, 50)).toBeCloseTo(Math.sqrt(51e-5), 12);
    expect(kernelWidth(0, 1e-12)).toBeCloseTo(1e-14, 20);
    expect(kernelWidth(0, 1e12)).toBeCloseTo(1e8, 0);
    expect(kernelWidth(0, 0)).toBe(1e-2);
    expect(kernelWidth(3, 3)).toBeGreaterThan(0);
  });
});
