/** ExactOBS and OBQ against elimination by brute force: every candidate tried, the others solved for. */
import { describe, expect, test } from 'vitest';
import {
  eliminationTraces,
  exactObs,
  mergeTraces,
  obq,
  pruneRows,
  removeWeights,
  traceScores,
} from '../../../src/pruning/layerwise/exact-obs.js';
import { codes } from '../../../src/pruning/layerwise/grid.js';
import { type Layer, layerHessian, withoutDead } from '../../../src/pruning/layerwise/layer.js';
import { layerLosses } from '../../../src/pruning/layerwise/sweep.js';
import { best, cost, device, exhaustive, largestDifference, layerOf, random, row } from './oracle.js';

const tolerance = 1e-11; // 2⁻⁵² · 12 columns · condition ≤ 1e3

describe('ExactOBS', () => {
  const [rows, n] = [5, 12];
  const layer = layerOf(rows, n, 1);
  test('takes the weights that trying all of them takes, at the costs that trying finds', async () => {
    const traces = await eliminationTraces(layer);
    for (let r = 0; r < rows; r++) {
      const want = exhaustive(layer.hessian, n, row(layer.weights, n, r), n);
      expect(row(traces.order, n, r)).toEqual(want.order);
      expect(largestDifference(row(traces.costs, n, r), want.costs)).toBeLessThanOrEqual(tolerance);
    }
  });
  test('the weights that stay are the best there are, and the loss is the measured one', async () => {
    const { weights, losses } = await pruneRows(layer, Float64Array.from([0, 1, 5, 11, 12]));
    const measured = layerLosses(layer, weights);
    expect(largestDifference(losses, measured)).toBeLessThanOrEqual(tolerance);
    [0, 1, 5, 11, 12].forEach((k, r) => {
      const want = exhaustive(layer.hessian, n, row(layer.weights, n, r), k);
      expect(largestDifference(row(weights, n, r), want.weights)).toBeLessThanOrEqual(tolerance);
      expect(row(weights, n, r).filter((w) => w === 0).length).toBe(k);
    });
  });
  test('traces merged over rows reach every sparsity: the rows stop where one more would cost more than elsewhere', async () => {
    const traces = await eliminationTraces(layer);
    const scores = traceScores(traces);
    for (const count of [0, 1, 17, 30, 59, 60]) {
      const prune = mergeTraces(traces, count);
      expect(prune.reduce((a, b) => a + b, 0)).toBe(count);
      const { weights } = await exactObs(layer, count);
      expect(weights.filter((w) => w === 0).length).toBe(count);
      const gone = scores.filter((_, at) => weights[at] === 0);
      const left = scores.filter((_, at) => weights[at] !== 0);
      if (count > 0 && count < 60) expect(Math.max(...gone)).toBeLessThanOrEqual(Math.min(...left));
    }
  });
  test('N:M holds in every group, chosen as by trying', async () => {
    const pattern = { keep: 2, of: 4 };
    const { weights } = await exactObs(layer, null, { pattern });
    for (let r = 0; r < rows; r++) {
      const want = exhaustive(layer.hessian, n, row(layer.weights, n, r), n / 2, (gone, j) => {
        const group = Math.floor(j / 4);
        return [...gone.keys()].filter((g) => Math.floor(g / 4) === group).length < 2;
      });
      expect(largestDifference(row(weights, n, r), want.weights)).toBeLessThanOrEqual(tolerance);
      for (let g = 0; g < n; g += 4)
        expect(
          row(weights, n, r)
            .slice(g, g + 4)
            .filter((w) => w !== 0).length,
        ).toBe(2);
    }
  });
  test('blocks go whole, the cheapest first', async () => {
    const block = 3;
    const traces = await eliminationTraces(layer, { block });
    for (let r = 0; r < rows; r++) {
      const w = row(layer.weights, n, r);
      const gone = new Map<number, number>();
      for (let k = 0; k < n / block; k++) {
        const tried = [0, 1, 2, 3]
          .filter((b) => !gone.has(b * block))
          .map((b) => {
            const fixed = new Map([...gone, [b * 3, 0], [b * 3 + 1, 0], [b * 3 + 2, 0]] as [number, number][]);
            return { fixed, cost: cost(layer.hessian, n, w, best(layer.hessian, n, w, fixed)) };
          });
        const least = tried.reduce((a, b) => (b.cost < a.cost ? b : a));
        for (const j of least.fixed.keys()) gone.set(j, 0);
      }
      expect(row(traces.order, n, r)).toEqual([...gone.keys()]);
    }
  });
  test('a given set: the joint answer', async () => {
    const kept = random(rows * n, 9).map((x) => (x > 0 ? 1 : 0));
    const { weights } = await removeWeights(layer, kept);
    for (let r = 0; r < rows; r++) {
      const fixed = new Map(row(kept, n, r).flatMap((k, j) => (k ? [] : [[j, 0] as const])));
      expect(
        largestDifference(row(weights, n, r), best(layer.hessian, n, row(layer.weights, n, r), fixed)),
      ).toBeLessThanOrEqual(tolerance);
    }
  });
  test('past the depth of its updates, in several of them', async () => {
    const wide = layerOf(3, 200, 4);
    const { weights, losses } = await pruneRows(wide, Float64Array.from([150, 199, 64]));
    expect(largestDifference(losses, layerLosses(wide, weights))).toBeLessThanOrEqual(1e-10);
    const fixed = new Map(row(weights, 200, 0).flatMap((w, j) => (w === 0 ? [[j, 0] as const] : [])));
    expect(fixed.size).toBe(150);
    expect(
      largestDifference(row(weights, 200, 0), best(wide.hessian, 200, row(wide.weights, 200, 0), fixed)),
    ).toBeLessThanOrEqual(1e-10);
  });
});

describe('OBQ', () => {
  const [rows, n] = [60, 12];
  const layer = layerOf(rows, n, 3, 1e-3, 10); // nearly singular: weights are moved far
  test.each([2, 4])('rounds to %s bits in the order that trying finds', async (bits) => {
    const { weights, losses, grid } = await obq(layer, { bits });
    expect(largestDifference(losses, layerLosses(layer, weights))).toBeLessThanOrEqual(tolerance);
    let outliers = 0;
    for (let r = 0; r < rows; r++) {
      const w = row(layer.weights, n, r);
      const [scale, zero] = [grid.scales[r] as number, grid.zeros[r] as number];
      const rounded = (x: number): number =>
        scale * (Math.min(grid.high, Math.max(grid.low, Math.round(x / scale) + zero)) - zero);
      const fixed = new Map<number, number>();
      while (fixed.size < n) {
        const now = best(layer.hessian, n, w, fixed);
        const before = cost(layer.hessian, n, w, now);
        const tried = now.flatMap((x, j) => {
          if (fixed.has(j)) return [];
          const next = best(layer.hessian, n, w, new Map([...fixed, [j, rounded(x)]]));
          return [
            { j, to: rounded(x), error: Math.abs(x - rounded(x)), cost: cost(layer.hessian, n, w, next) - before },
          ];
        });
        const outside = tried.filter((t) => t.error ** 2 > scale ** 2 / 4).sort((a, b) => b.error - a.error);
        if (outside[0]) outliers++;
        const { j, to } = outside[0] ?? tried.reduce((a, b) => (b.cost < a.cost ? b : a));
        fixed.set(j, to);
      }
      expect(
        largestDifference(
          row(weights, n, r),
          Array.from({ length: n }, (_, j) => fixed.get(j) as number),
        ),
      ).toBe(0);
    }
    if (bits === 2) expect(outliers).toBeGreaterThan(0);
  });
  test('after pruning, what stays is quantised and zeros stay', async () => {
    const { weights, grid } = await pruneRows(layer, new Float64Array(rows).fill(4), {
      grid: { bits: 4, symmetric: true },
    });
    for (let r = 0; r < rows; r++) expect(row(weights, n, r).filter((w) => w === 0).length).toBeGreaterThanOrEqual(4);
    if (!grid) throw new Error('no grid');
    const q = codes(weights, n, grid);
    q.forEach((c, at) => {
      expect(Number.isInteger(c) && c >= -8 && c <= 7).toBe(true);
      expect(c * (grid.scales[Math.floor(at / n)] as number)).toBe(weights[at]);
    });
  });
});

describe('degenerate layers', () => {
  test('inputs that are always 0 lose their weights, and no other is touched by it', async () => {
    const n = 6;
    const full = layerOf(2, n, 5, 0);
    const moment = full.hessian.map((x, at) => (at % n === 2 || Math.floor(at / n) === 2 ? 0 : x / 2));
    const weights = withoutDead(full.weights, moment);
    expect([weights[2], weights[n + 2]]).toEqual([0, 0]);
    const layer: Layer = { device, rows: 2, columns: n, weights, hessian: layerHessian(moment, 1, 0) };
    const { order } = await eliminationTraces(layer);
    expect([order[0], order[n]]).toEqual([2, 2]); // free
    const { weights: left } = await pruneRows(layer, Float64Array.from([1, 1]));
    expect(largestDifference(left, weights)).toBe(0);
  });
  test('a singular Hessian is refused and says what helps', async () => {
    const layer = layerOf(2, 8, 6, 0, 4);
    await expect(eliminationTraces(layer)).rejects.toThrow(/singular.*more samples or a damping above 0/);
  });
  test('what does not divide is refused', async () => {
    const layer = layerOf(2, 6, 7);
    await expect(eliminationTraces(layer, { pattern: { keep: 2, of: 4 } })).rejects.toThrow('2:4 does not divide 6');
    await expect(eliminationTraces(layer, { block: 4 })).rejects.toThrow('blocks of 4 do not divide 6');
  });
});
