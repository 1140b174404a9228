/** GPTQ and SparseGPT against the identities of their sources and against fixed-order elimination. */
import { describe, expect, test } from 'vitest';
import { removeWeights } from '../../../src/pruning/layerwise/exact-obs.js';
import { codes } from '../../../src/pruning/layerwise/grid.js';
import { gptq, layerLosses, rtn, sparseGpt } from '../../../src/pruning/layerwise/sweep.js';
import { best, cost, largestDifference, layerOf, row } from './oracle.js';

const sum = (x: ArrayLike<number>): number => Array.from(x).reduce((a, b) => a + b, 0);
const relative = (a: number, b: number): number => Math.abs(a - b) / Math.abs(b);

/** Columns in the given order, each rounded to its grid, the others at their best. */
function fixedOrder(
  layer: ReturnType<typeof layerOf>,
  r: number,
  order: readonly number[],
  round: (x: number) => number,
): number[] {
  const n = layer.columns;
  const w = row(layer.weights, n, r);
  const fixed = new Map<number, number>();
  for (const j of order) fixed.set(j, round(best(layer.hessian, n, w, fixed)[j] as number));
  return Array.from({ length: n }, (_, j) => fixed.get(j) as number);
}

describe('GPTQ', () => {
  test.each([
    [6, 40, undefined, false],
    [3, 300, undefined, false],
    [3, 300, 32, false],
    [3, 300, 96, false],
    [3, 300, 200, true],
  ])('%s × %s, groups of %s: ½tr((W−Q)H(W−Q)ᵀ) = ½Σe²', async (rows, columns, group, actOrder) => {
    const layer = layerOf(rows, columns, 11);
    const { weights, losses, grid } = await gptq(layer, { bits: 4, group, actOrder });
    expect(relative(sum(losses), sum(layerLosses(layer, weights)))).toBeLessThanOrEqual(1e-12);
    codes(weights, columns, grid).forEach((q, at) => {
      const g = Math.floor(at / columns) * grid.groups + Math.floor((at % columns) / grid.group);
      expect(q >= 0 && q <= 15).toBe(true);
      expect(Math.abs(weights[at]! - grid.scales[g]! * (q - grid.zeros[g]!))).toBe(0);
    });
    const naive = await rtn(layer, { bits: 4, group });
    expect(sum(losses)).toBeLessThan(sum(naive.losses));
  });
  test('is OBQ in a fixed order', async () => {
    const layer = layerOf(5, 14, 12);
    const { weights, grid } = await gptq(layer, { bits: 3 });
    for (let r = 0; r < 5; r++) {
      const [scale, zero] = [grid.scales[r]!, grid.zeros[r]!];
      const round = (x: number): number => scale * (Math.min(7, Math.max(0, Math.round(x / scale) + zero)) - zero);
      expect(
        largestDifference(
          row(weights, 14, r),
          fixedOrder(
            layer,
            r,
            Array.from({ length: 14 }, (_, j) => j),
            round,
          ),
        ),
      ).toBe(0);
    }
  });
  test('act-order goes by falling diagonal', async () => {
    const n = 12;
    const layer = layerOf(3, n, 13);
    const scaled = Float64Array.from({ length: n }, (_, j) => 1 + ((j * 5) % n));
    const hessian = layer.hessian.map((x, at) => x * scaled[at % n]! * scaled[Math.floor(at / n)]!);
    const own = { ...layer, hessian };
    const { weights, grid } = await gptq(own, { bits: 3, symmetric: true, actOrder: true });
    const order = Array.from({ length: n }, (_, j) => j).sort((a, b) => hessian[b * (n + 1)]! - hessian[a * (n + 1)]!);
    for (let r = 0; r < 3; r++) {
      const scale = grid.scales[r]!;
      const round = (x: number): number => scale * Math.min(3, Math.max(-4, Math.round(x / scale)));
      expect(largestDifference(row(weights, n, r), fixedOrder(own, r, order, round))).toBe(0);
    }
  });
  test.each([128, 96])('a later group of %s has the scale of what its weights have become', async (group) => {
    const n = 2 * group;
    const layer = layerOf(2, n, 14);
    const { weights, grid } = await gptq(layer, { bits: 2, group, symmetric: true });
    for (let r = 0; r < 2; r++) {
      const w = row(layer.weights, n, r);
      const fixed = new Map(
        row(weights, n, r)
          .slice(0, group)
          .map((x, j) => [j, x] as const),
      );
      const now = best(layer.hessian, n, w, fixed).slice(group);
      const want = (2 * Math.max(...now.map(Math.abs))) / 3;
      expect(relative(grid.scales[2 * r + 1]!, want)).toBeLessThanOrEqual(1e-7);
    }
  });
  test('rounding to nearest is that', async () => {
    const layer = layerOf(2, 30, 15);
    const { weights, grid, losses } = await rtn(layer, { bits: 8 });
    for (let r = 0; r < 2; r++) {
      row(layer.weights, 30, r).forEach((w, j) => {
        expect(Math.abs(w - weights[r * 30 + j]!)).toBeLessThanOrEqual(grid.scales[r]! * 0.5000001);
      });
      expect(
        relative(losses[r]!, cost(layer.hessian, 30, row(layer.weights, 30, r), row(weights, 30, r))),
      ).toBeLessThanOrEqual(1e-12);
    }
  });
});

describe('SparseGPT', () => {
  test('removes the promised share of each 128 columns, those of least w²/U²', async () => {
    const [rows, n] = [8, 140];
    const layer = layerOf(rows, n, 21);
    const { weights, losses } = await sparseGpt(layer, { sparsity: 0.6 });
    expect(relative(sum(losses), sum(layerLosses(layer, weights)))).toBeLessThanOrEqual(1e-12);
    for (const [from, to] of [
      [0, 128],
      [128, 140],
    ] as const) {
      const zeros = weights.filter((w, at) => w === 0 && at % n >= from && at % n < to).length;
      expect(zeros).toBe(Math.round(0.6 * rows * to) - Math.round(0.6 * rows * from));
    }
    // 1/U_jj² is what column j costs with all before it fixed: the Schur complement that solving shows
    const chosen = Array.from({ length: rows * 128 }, (_, i) => {
      const [r, j] = [Math.floor(i / 128), i % 128];
      const unit = best(
        layer.hessian,
        n,
        new Float64Array(n),
        new Map([...Array(j).keys()].map((k) => [k, 0] as [number, number])).set(j, 1),
      );
      return { at: r * n + j, r, j, curvature: r === 0 ? 2 * cost(layer.hessian, n, new Float64Array(n), unit) : 0 };
    });
    const curvature = chosen.slice(0, 128).map((c) => c.curvature);
    const score = chosen.map((c) => layer.weights[c.at]! ** 2 * curvature[c.j]!);
    const sorted = [...score].sort((a, b) => a - b);
    const threshold = sorted[Math.round(0.6 * rows * 128) - 1]!;
    chosen.forEach((c, i) => {
      expect(weights[c.at] === 0).toBe(score[i]! <= threshold);
    });
  });
  test('N:M holds in every group, alone and with a grid', async () => {
    const layer = layerOf(4, 264, 22);
    for (const grid of [undefined, { bits: 4 }]) {
      const { weights, losses } = await sparseGpt(layer, { pattern: { keep: 2, of: 4 }, grid });
      for (let at = 0; at < weights.length; at += 4) {
        const zeros = weights.subarray(at, at + 4).filter((w) => w === 0).length;
        if (grid) expect(zeros).toBeGreaterThanOrEqual(2);
        else expect(zeros).toBe(2);
      }
      expect(relative(sum(losses), sum(layerLosses(layer, weights)))).toBeLessThanOrEqual(1e-12);
    }
  });
  test('never beats the joint answer for its own choice, and comes near it', async () => {
    const layer = layerOf(4, 64, 23);
    const { weights, losses } = await sparseGpt(layer, { sparsity: 0.5 });
    const joint = await removeWeights(
      layer,
      weights.map((w) => (w === 0 ? 0 : 1)),
    );
    expect(sum(joint.losses)).toBeLessThanOrEqual(sum(losses) * (1 + 1e-12));
    expect(sum(losses)).toBeLessThan(3 * sum(joint.losses));
  });
  test('what does not fit is refused', async () => {
    const layer = layerOf(1, 6, 24);
    await expect(sparseGpt(layer, { sparsity: 1 })).rejects.toThrow('sparsity must be in [0, 1)');
    await expect(sparseGpt(layer, { pattern: { keep: 2, of: 4 } })).rejects.toThrow('2:4 does not divide 6 columns');
    await expect(gptq(layer, { bits: 1 })).rejects.toThrow('2 to 8 bits, not 1');
  });
});
