/** Scores and updates of the Fisher methods against the formula of Hassibi and Stork with a dense inverse. */
import { inverse, Matrix } from 'ml-matrix';
import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.js';
import { openDevice } from '../../src/device/open.js';
import { FisherBlocks } from '../../src/pruning/fisher-blocks.js';
import type { GradientSource } from '../../src/pruning/gradients.js';
import type { Groups, PruningPoint, Scorer } from '../../src/pruning/method.js';
import { StoredFisher } from '../../src/pruning/stored-fisher.js';
import { normals } from '../reference/matrices.js';

const device = openDevice({ device: 'cpu', threads: 2 });
const [d, m, lambda, divisor] = [24, 9, 0.03, 4.5];
const weights = normals(d, 3);
/** of two layers, and with the last quarter of the weights gone already */
const layers = [
  { name: 'a', offset: 0, count: 10 },
  { name: 'b', offset: 10, count: 14 },
] as unknown as PruningPoint['layers'];
const kept = Uint8Array.from({ length: d }, (_, j) => (j % 4 === 3 ? 0 : 1));
const start = weights.map((w, j) => (kept[j] ? w : 0));
const point = { layers, weights: start, kept, seed: 0, step: 0 } as unknown as PruningPoint;
const g = normals(m * d, 4).map((x, i) => x * (1 + (i % d) / 6));

function source(values = g, dtype: 'float32' | 'float64' = 'float64'): GradientSource {
  return {
    count: m,
    divisor,
    device,
    async rows(from, to) {
      const block = device.block(dtype, d, to - from);
      block.write(values.subarray(from * d, to * d));
      return block;
    },
  };
}

/** λI + GᵀG/n, coupled only within blocks of `size`, without what is gone */
function fisher(size: number): Matrix {
  const F = Matrix.zeros(d, d);
  for (let i = 0; i < d; i++)
    for (let j = 0; j < d; j++) {
      let sum = i === j ? lambda : 0;
      if (kept[i] && kept[j] && Math.floor(i / size) === Math.floor(j / size))
        for (let r = 0; r < m; r++) sum += ((g[r * d + i] as number) * (g[r * d + j] as number)) / divisor;
      F.set(i, j, sum);
    }
  return F;
}
/** −F⁻¹E_S A⁻¹w_S and ½w_SᵀA⁻¹w_S, A = [F⁻¹]_SS */
function obs(F: Matrix, w: Float64Array, S: number[]): { delta: number[]; cost: number } {
  if (S.length === 0) return { delta: new Array<number>(d).fill(0), cost: 0 };
  const H = inverse(F);
  const wS = Matrix.columnVector(S.map((s) => w[s] as number));
  const solved = inverse(H.subMatrixRow(S).subMatrixColumn(S)).mmul(wS);
  const delta = H.subMatrixColumn(S).mmul(solved).mul(-1).to1DArray();
  return { delta, cost: wS.transpose().mmul(solved).get(0, 0) / 2 };
}
const groupsOf = (sets: number[][]): Groups => {
  const starts = [0];
  for (const s of sets) starts.push((starts.at(-1) as number) + s.length);
  return { count: sets.length, starts: Int32Array.from(starts), members: Int32Array.from(sets.flat()), cells: null };
};
const singles = Array.from({ length: d }, (_, j) => [j]);
const close = (a: ArrayLike<number>, b: ArrayLike<number>, tolerance: number): void => {
  const scale = Math.max(...Array.from(b, Math.abs));
  const error = Math.max(...Array.from(a, (x, i) => Math.abs(x - (b[i] as number))));
  expect(a.length).toBe(b.length);
  expect(error).toBeLessThanOrEqual(tolerance * scale);
};

const forms: [string, number, (blockSize: number) => Promise<Scorer>][] = [
  ['explicit, whole', d, () => FisherBlocks.create(point, source(), d, lambda)],
  ['explicit blocks of 7', 7, (b) => FisherBlocks.create(point, source(), b, lambda)],
  ['explicit diagonal', 1, (b) => FisherBlocks.create(point, source(), b, lambda)],
  ['through gradients, whole', d, () => StoredFisher.create(point, source(), d, lambda)],
  ['through gradients, blocks of 11', 11, (b) => StoredFisher.create(point, source(), b, lambda)],
];
describe.each(forms)('%s', (_, size, create) => {
  const F = fisher(size);
  // float64 throughout; the inverse's condition is what amplifies rounding
  const tolerance = 2 ** -52 * d * d * (F.norm() / lambda);

  test('scores single weights and groups as the formula does', async () => {
    await using scorer = await create(size);
    const pairs = [
      [0, 12],
      [2, 1, 20, 5],
      [3, 7],
      [3, 4],
      [22, 21, 18, 17, 16, 14],
    ];
    for (const sets of [singles, pairs])
      close(
        await scorer.score(groupsOf(sets)),
        sets.map(
          (s) =>
            obs(
              F,
              start,
              s.filter((j) => kept[j]),
            ).cost,
        ),
        tolerance,
      );
  });

  test.each([[[0]], [[1, 2, 8, 9, 10, 20, 22]], [[...kept].flatMap((k, j) => (k ? [j] : []))]])(
    'removes %j at once as the formula does',
    async (S) => {
      await using scorer = await create(size);
      const { delta, cost } = obs(F, start, S);
      const after = kept.slice();
      for (const j of S) after[j] = 0;
      const update = await scorer.update(after);
      close(
        update.weights,
        start.map((w, j) => (after[j] ? w + (delta[j] as number) : 0)),
        tolerance,
      );
      expect(S.map((j) => update.weights[j])).toEqual(S.map(() => 0));
      close([update.increase?.reduce((a, b) => a + b, 0) as number], [cost], tolerance);
    },
  );
});

test('one weight after another, each with a new matrix, costs what all at once cost', async () => {
  const S = [0, 5, 9, 16, 21];
  let w: Float64Array = start;
  let [left, total] = [kept.slice(), 0];
  for (const j of S) {
    await using one = await FisherBlocks.create({ ...point, weights: w, kept: left }, source(), d, lambda);
    left = left.slice();
    left[j] = 0;
    const { weights: next, increase } = await one.update(left);
    total += increase?.reduce((a, b) => a + b, 0) as number;
    w = next;
  }
  await using joint = await StoredFisher.create(point, source(), d, lambda);
  const update = await joint.update(left);
  close(w, update.weights, 1e-11);
  close([total], [update.increase?.reduce((a, b) => a + b, 0) as number], 1e-11);
});

test('the sum of the updates of single weights costs more', async () => {
  const F = fisher(d);
  const S = [0, 1, 2, 8, 9, 10, 20, 22];
  const { cost } = obs(F, start, S);
  const sum = S.map((s) => obs(F, start, [s]).delta).reduce((a, b) => a.map((x, j) => x + (b[j] as number)));
  // what is removed ends at zero, whatever the sum says of it
  const delta = Matrix.columnVector(sum.map((x, j) => (S.includes(j) ? -(start[j] as number) : x)));
  const independent = delta.transpose().mmul(F).mmul(delta).get(0, 0) / 2;
  expect(independent).toBeGreaterThan(1.01 * cost);
});

test('float32 gradients give float64 scores, to the rounding of the gradients', async () => {
  const sets = groupsOf(singles);
  const rounded = Float64Array.from(Float32Array.from(g));
  await using exact = await StoredFisher.create(point, source(rounded), d, lambda);
  await using single = await StoredFisher.create(point, source(rounded, 'float32'), d, lambda);
  // 1 − y of a float64 diagonal: only the Gram matrix saw float32 products
  close(await single.score(sets), await exact.score(sets), 1e-4);
});

test.each([
  ['zero damping', g, 0, /damping must be a positive number/],
  ['gradients that are all zero', new Float64Array(m * d), lambda, /all gradients are zero/],
  ['gradients that are not finite', new Float64Array(m * d).fill(Number.NaN), lambda, /not finite/],
])('%s is refused', async (_, values, damping, message) => {
  await expect(FisherBlocks.create(point, source(values), 7, damping)).rejects.toThrow(message);
  await expect(StoredFisher.create(point, source(values), d, damping)).rejects.toThrow(message);
  if (damping === 0) await expect(StoredFisher.create(point, source(), d, damping)).rejects.toThrow(InputError);
});

test('a weight that no gradient reaches costs λw²/2', async () => {
  const dead = g.map((x, i) => (i % d === 5 ? 0 : x));
  for (const scorer of [
    await FisherBlocks.create(point, source(dead), 7, lambda),
    await StoredFisher.create(point, source(dead), d, lambda),
  ]) {
    const scores = await scorer.score(groupsOf(singles));
    close([scores[5] as number], [(lambda * (start[5] as number) ** 2) / 2], 1e-9);
    await scorer[Symbol.asyncDispose]();
  }
});
