import { Matrix } from 'ml-matrix';
import { describe, expect, it } from 'vitest';
import { ComputationError, InputError, InterruptedError } from '../../src/base/errors.js';
import type { LinearOperator } from '../../src/operators/linear-operator.js';
import { linearOperator, toOperator } from '../../src/operators/user-operator.js';
import { estimateFunctionTrace, estimateTrace, type TraceMethod } from '../../src/solvers/trace.js';
import { devices } from '../reference/devices.js';
import { gaussian, symmetric, withSpectrum } from '../reference/matrices.js';

const methods: TraceMethod[] = ['hutchinson', 'hutch++', 'xtrace'];
const decaying = Float64Array.from({ length: 300 }, (_unused, i) => (i + 1) ** -2);
const geometric = Float64Array.from({ length: 300 }, (_unused, i) => 0.7 ** i);
const flat = Float64Array.from({ length: 300 }, (_unused, i) => 1 + (2 * i) / 299);
const total = (values: Float64Array): number => values.reduce((a, b) => a + b, 0);

describe.each(devices)('trace on %s', (_, open) => {
  const device = open();

  describe.each(methods)('%s', (method) => {
    it('is within its own error, for most seeds', async () => {
      // A symmetric indefinite matrix with a flat spectrum; errors beyond 3 standard errors at these sample sizes
      // (10 and more) have probability below 1.5 % (t, 9 degrees of freedom): 5 of 30 by chance below 1e-4.
      const matrix = symmetric(60, 3);
      let misses = 0;
      for (let seed = 0; seed < 30; seed += 1) {
        const result = await estimateTrace(toOperator(matrix, { device }), { method, products: 30, seed });
        expect(result.products).toBeLessThanOrEqual(30);
        expect(result.standardError).toBeGreaterThan(0);
        if (!(Math.abs(result.estimate - matrix.trace()) <= 3 * (result.standardError as number))) misses += 1;
      }
      expect(misses).toBeLessThan(5);
    });

    it.each([
      ['zero', new Matrix(20, 20)],
      ['identity', Matrix.eye(20)],
      ['order 1', new Matrix([[-2]])],
      ['order 3', symmetric(3, 1)],
    ])('%s: exact', async (_name, matrix) => {
      if (method === 'hutchinson' && matrix.rows === 3) return; // samples of a dense matrix are not exact
      for (let seed = 0; seed < 8; seed += 1) {
        const result = await estimateTrace(toOperator(matrix, { device }), { method, products: 60, seed });
        expect(Math.abs(result.estimate - matrix.trace())).toBeLessThanOrEqual(1e-13);
      }
    });

    it('accepts any square matrix, symmetric or not', async () => {
      const matrix = gaussian(50, 50, 2);
      const result = await estimateTrace(toOperator(matrix, { device }), { method, products: 40, seed: 1 });
      expect(Math.abs(result.estimate - matrix.trace())).toBeLessThanOrEqual(4 * (result.standardError as number));
    });

    it('blocks and memory change nothing but rounding', async () => {
      const matrix = withSpectrum(decaying, 2);
      const operator = toOperator(matrix, { device });
      const whole = await estimateTrace(operator, { method, products: 30 });
      const split = await estimateTrace(operator, { method, products: 30, memory: 50 * 300 * 8 });
      expect(Math.abs(whole.estimate - split.estimate)).toBeLessThanOrEqual(1e-12);
      expect(operator.products).toBe(whole.products + split.products);
    });
  });

  it('low rank: the deflating methods are exact to rounding', async () => {
    const matrix = withSpectrum(Float64Array.of(...new Float64Array(97), 1, 2, -5), 3);
    for (const method of ['hutch++', 'xtrace'] as const) {
      const result = await estimateTrace(toOperator(matrix, { device }), { method, products: 30 });
      expect(Math.abs(result.estimate + 2)).toBeLessThanOrEqual(1e-11);
      expect(result.standardError).toBeLessThanOrEqual(1e-11);
    }
  });

  it('errors are those of the published comparison, within a factor of 3 (algorithm notes §4.5)', async () => {
    // There n = 1000; the decaying spectra's tails beyond 300 do not matter at these sizes.
    const rows: [Float64Array, TraceMethod, number][] = [
      [decaying, 'hutchinson', 8e-2],
      [decaying, 'hutch++', 1.6e-3],
      [decaying, 'xtrace', 8e-4],
      [geometric, 'hutch++', 1.5e-4],
      [geometric, 'xtrace', 6e-6],
    ];
    const operators = new Map<Float64Array, LinearOperator>(
      [decaying, geometric].map((v) => [v, toOperator(withSpectrum(v, 1, 6), { device })]),
    );
    for (const [values, method, published] of rows) {
      let sum = 0;
      for (let seed = 0; seed < 6; seed += 1) {
        const { estimate } = await estimateTrace(operators.get(values) as LinearOperator, {
          method,
          products: 60,
          seed,
        });
        sum += Math.abs(estimate / total(values) - 1) / 6;
      }
      expect(sum).toBeLessThanOrEqual(3 * published);
    }
  });

  it('on flat spectra plain sampling wins', async () => {
    const operator = toOperator(withSpectrum(flat, 1), { device });
    const plain = await estimateTrace(operator, { products: 60 });
    expect(Math.abs(plain.estimate / total(flat) - 1)).toBeLessThanOrEqual(3 * 1.1e-3 * Math.sqrt(1000 / 300));
  });

  it('one sample has no standard error', async () => {
    const { standardError } = await estimateTrace(toOperator(symmetric(5, 1), { device }), { products: 1 });
    expect(standardError).toBeNull();
  });

  it('refuses bad options and NaN, stops when aborted, frees everything', async () => {
    const fresh = open();
    const operator = toOperator(symmetric(10, 1), { device: fresh });
    await expect(estimateTrace(operator, { products: 0 })).rejects.toThrow(InputError);
    await expect(estimateTrace(operator, { method: 'hutch++', products: 5 })).rejects.toThrow(InputError);
    await expect(estimateTrace(operator, { method: 'guess' as TraceMethod })).rejects.toThrow(InputError);
    await expect(estimateTrace(operator, { distribution: 'uniform' as 'normal' })).rejects.toThrow(InputError);
    await expect(estimateTrace(operator, { memory: 10 })).rejects.toThrow(InputError);
    const broken = linearOperator({ rows: 4, columns: 4, device: fresh, apply: (x) => x.map(() => Number.NaN) });
    for (const method of methods) {
      await expect(estimateTrace(operator, { method, signal: AbortSignal.abort() })).rejects.toThrow(InterruptedError);
      await expect(estimateTrace(broken, { method })).rejects.toThrow(ComputationError);
      await estimateTrace(operator, { method, products: 30 });
    }
    await fresh.finish();
    expect(fresh.allocatedBytes).toBe(0);
  });
});

describe.each(devices)('estimateFunctionTrace on %s', (_, open) => {
  const device = open();
  it('is exact for f(A) = A² and tr I, and for any f at full depth up to the probes’ error', async () => {
    const values = Float64Array.from({ length: 30 }, (_unused, i) => 0.5 + i / 10);
    const operator = toOperator(withSpectrum(values, 1), { device });
    const ones = await estimateFunctionTrace(operator, { function: () => 1, steps: 2, probes: 2 });
    expect(Math.abs(ones.estimate - 30)).toBeLessThanOrEqual(1e-12);
    for (const name of ['log', 'sqrt', 'inverse', 'exp', 'square'] as const) {
      const f = {
        log: Math.log,
        sqrt: Math.sqrt,
        inverse: (x: number): number => 1 / x,
        exp: Math.exp,
        square: (x: number): number => x * x,
      }[name];
      const { estimate, standardError } = await estimateFunctionTrace(operator, {
        function: name,
        probes: 40,
        seed: 2,
      });
      // 39 degrees of freedom: 4 standard errors are exceeded with probability 3e-4
      expect(Math.abs(estimate - total(values.map(f)))).toBeLessThanOrEqual(4 * (standardError as number));
    }
  });

  it('says where a function is not defined', async () => {
    const operator = toOperator(withSpectrum(Float64Array.of(-1, 1, 2), 1), { device });
    await expect(estimateFunctionTrace(operator, { function: 'log' })).rejects.toThrow(
      /log of the eigenvalue estimate -[\d.]+ is NaN: shift/,
    );
    await expect(estimateFunctionTrace(operator, { function: 'tan' as 'log' })).rejects.toThrow(InputError);
  });
});
