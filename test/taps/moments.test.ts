/** Sums over taps against what the taps deliver, and sampled labels against the Fisher drawn with them. */
import { describe, expect, test } from 'vitest';
import { InputError, UnsupportedError } from '../../src/base/errors.js';
import { openDataset } from '../../src/data/open.js';
import { crossEntropy, outputLoss } from '../../src/model/loss.js';
import { meanLoss } from '../../src/model/mean-loss.js';
import { loadOnnx } from '../../src/onnx/index.js';
import { fisher } from '../../src/operators/create.js';
import { dense } from '../../src/operators/dense.js';
import { type LayerTaps, openLayerTaps, type TapMoments } from '../../src/taps/evaluator.js';
import type { LayerTap } from '../../src/taps/list.js';
import { relative } from '../reference/mfac.js';
import { cases } from './models.js';
import { addOuter } from './reference.js';

/** Σ x xᵀ of each group, over rows of groups × width numbers */
function outer(rows: Float64Array, groups: number, width: number): Float64Array {
  const out = new Float64Array(groups * width * width);
  for (let at = 0; at < rows.length; at += groups * width)
    for (let g = 0; g < groups; g++)
      for (let i = 0; i < width; i++)
        for (let j = 0; j < width; j++) {
          const k = (g * width + i) * width + j;
          const x = at + g * width;
          out[k] = (out[k] as number) + (rows[x + i] as number) * (rows[x + j] as number);
        }
  return out;
}
async function rowsOf(taps: LayerTaps, tap: LayerTap, side: 'inputs' | 'cotangents'): Promise<Float64Array> {
  const parts: number[] = [];
  for await (const batch of taps.batches({ taps: [tap] })) parts.push(...(await batch[side](tap).readFloat64()));
  return Float64Array.from(parts);
}
const read = async (m: TapMoments, side: 'input' | 'cotangent') => (await m[side]?.readFloat64()) as Float64Array;

describe('moments are the sums of what is delivered', () => {
  test.each(cases.map((c) => [c.name, c] as const))('%s', async (_, { f }) => {
    await using taps = await openLayerTaps(f(), { dtype: 'float64', group: 3 });
    const moments = await taps.moments();
    expect(moments.map((m) => m.tap)).toEqual(taps.taps);
    for (const m of moments) {
      const { tap } = m;
      const d = await rowsOf(taps, tap, 'cotangents');
      expect(d.length).toBe(m.rows * tap.groups * tap.out);
      expect(relative(await read(m, 'cotangent'), outer(d, tap.groups, tap.out))).toBeLessThanOrEqual(1e-14);
      const a = await rowsOf(taps, tap, 'inputs');
      const counts = new Float64Array(tap.in);
      if (tap.kind === 'embedding') for (const i of a) counts[i] = (counts[i] as number) + 1;
      const expected = tap.kind === 'embedding' ? counts : outer(a, tap.groups, tap.in);
      expect(relative(await read(m, 'input'), expected)).toBeLessThanOrEqual(1e-14);
      m.input?.dispose();
      m.cotangent?.dispose();
    }
  });
});

test('in float32 they are summed in float64: many rows lose no more digits than one product of 512', async () => {
  const data = await openDataset('examples/fashion-mnist-test.npz');
  const f = meanLoss(await loadOnnx('examples/cnn.onnx'), crossEntropy(), data, { samples: 32 });
  const moments = async (dtype: 'float32' | 'float64') => {
    await using taps = await openLayerTaps(f, { dtype });
    const chosen = taps.taps.filter((t) => t.kind === 'conv').slice(0, 2);
    const found = await taps.moments({ taps: chosen, cotangents: false });
    expect(found.every((m) => m.cotangent === null)).toBe(true);
    expect((found[0] as TapMoments).rows).toBe(32 * 28 * 28);
    return Promise.all(found.map((m) => read(m, 'input')));
  };
  const [single, double] = [await moments('float32'), await moments('float64')];
  single.forEach((m, i) => {
    // rounding of the values themselves (2 u each way) and of a product's 512 terms, which add up like √512 u
    expect(relative(m, double[i] as Float64Array)).toBeLessThanOrEqual(32 * 2 ** -24);
  });
  await data.dispose();
});

test('sampled labels: (1/s)·Σₙ GₙGₙᵀ is the Fisher with the same seed, Gₙ = Σ D⊗A of sample n', async () => {
  const classWeights = [0.3, 2, 1, 0.5, 1.5, 1, 0.2, 3, 1, 0.7];
  const data = await openDataset('examples/fashion-mnist-test.npz');
  const f = meanLoss(await loadOnnx('test/fixtures/mlp-classic.onnx'), crossEntropy({ classWeights }), data, {
    samples: 6,
    batchSize: 4,
  });
  const parameters = [f.model.parameters[f.model.parameters.length - 1]?.name as string];
  await using F = await fisher(f, { dtype: 'float64', seed: 3, parameters });
  const expected = await dense(F);
  const n = F.rows;
  for (const seed of [3, 4]) {
    await using taps = await openLayerTaps(f, { dtype: 'float64', labels: 'sampled', seed, parameters, group: 1 });
    const found = new Float64Array(n * n);
    for await (const batch of taps.batches()) {
      const g = new Float64Array(n);
      for (const tap of taps.taps)
        addOuter(tap, await batch.inputs(tap).readFloat64(), await batch.cotangents(tap).readFloat64(), g);
      for (let i = 0; i < n; i++)
        for (let j = 0; j < n; j++)
          found[i * n + j] = (found[i * n + j] as number) + taps.lossTerms * (g[i] as number) * (g[j] as number);
    }
    const difference = relative(found, Float64Array.from(expected.to1DArray()));
    if (seed === 3) expect(difference).toBeLessThanOrEqual(1e-13);
    else expect(difference).toBeGreaterThan(0.01);
  }
  await data.dispose();
});

test('what is refused', async () => {
  const data = await openDataset('examples/fashion-mnist-test.npz');
  const mlp = await loadOnnx('test/fixtures/mlp-classic.onnx');
  const f = meanLoss(mlp, crossEntropy(), data, { samples: 4 });
  await using taps = await openLayerTaps(f);
  await using others = await openLayerTaps(f);
  await expect(taps.moments({ taps: others.taps })).rejects.toThrow(InputError);
  await expect(openLayerTaps(f, { group: 0 })).rejects.toThrow(InputError);
  await expect(openLayerTaps(f, { labels: 'drawn' as 'data' })).rejects.toThrow(InputError);
  await expect(openLayerTaps(f, { scale: 'sum' as 'mean' })).rejects.toThrow(InputError);
  await expect(openLayerTaps({ ...f, loss: outputLoss() })).rejects.toThrow(InputError);
  const fixed = { ...f, model: { ...mlp, fixedBatch: 4 } };
  await expect(openLayerTaps(fixed)).rejects.toThrow(UnsupportedError);
  await data.dispose();
});
