/** Gradient rows against the operators that are their sums. */
import { describe, expect, test } from 'vitest';
import { toFloat64 } from '../../src/base/convert.js';
import { InputError, ShapeError } from '../../src/base/errors.js';
import type { NdArray } from '../../src/data/index.js';
import { datasetFromArrays, readNpz } from '../../src/data/index.js';
import { mfac, mfacBlocks } from '../../src/mfac/create.js';
import { GradientRows } from '../../src/mfac/gradients.js';
import { lossByName } from '../../src/model/loss.js';
import type { MeanLoss, MeanLossOptions } from '../../src/model/mean-loss.js';
import { meanLoss } from '../../src/model/mean-loss.js';
import { loadOnnx } from '../../src/onnx/index.js';
import { type CurvatureOptions, execute, lossAndGradient } from '../../src/operators/create.js';
import { normals } from '../reference/matrices.js';
import { denseInverse, relative, split } from '../reference/mfac.js';

async function tiny(
  name: string,
  loss: string,
  options: MeanLossOptions = {},
): Promise<{ f: MeanLoss; fisher: Float64Array }> {
  const arrays = await readNpz(`test/golden/${name}.npz`);
  const input = arrays.has('x') ? 'x' : 'tokens';
  const data = datasetFromArrays({
    inputs: { [input]: arrays.get(input) as NdArray },
    target: arrays.get('target') as NdArray,
  });
  const model = await loadOnnx(`test/fixtures/${name}.onnx`);
  const fisher = toFloat64(arrays.get('matrix/empirical-fisher') as NdArray);
  return { f: meanLoss(model, lossByName(loss), data, options), fisher };
}

async function rowsOf(
  f: MeanLoss,
  kind: 'perSample' | 'minibatch',
  options: CurvatureOptions & { group?: number } = {},
): Promise<Float64Array> {
  const execution = await execute(f, { dtype: 'float64', ...options });
  const block = await new GradientRows(execution, { group: options.group })[kind]();
  const values = await block.readFloat64();
  block.dispose();
  execution.dispose();
  return values;
}

/** GᵀG/n, dense */
function outer(values: Float64Array, d: number): Float64Array {
  const rows = split(values, d);
  const out = new Float64Array(d * d);
  for (const g of rows)
    for (let i = 0; i < d; i++)
      for (let j = 0; j < d; j++)
        out[i * d + j] = (out[i * d + j] as number) + ((g[i] as number) * (g[j] as number)) / rows.length;
  return out;
}

const nets: [string, string, number][] = [
  ['tiny-mlp', 'cross-entropy', 1e-12],
  ['tiny-cnn', 'cross-entropy', 1e-9],
  ['tiny-residual', 'cross-entropy', 1e-9],
  ['tiny-segmentation', 'cross-entropy', 1e-12],
  ['tiny-mse', 'mse', 1e-12],
  ['tiny-bce', 'bce-with-logits', 1e-12],
  ['tiny-attention', 'cross-entropy', 1e-6],
];

describe.each(nets)('%s', (name, loss, tolerance) => {
  test('GᵀG/N of per-sample gradients is PyTorch’s empirical Fisher, however they are grouped', async () => {
    const { f, fisher } = await tiny(name, loss);
    const rows = await rowsOf(f, 'perSample');
    const d = Math.sqrt(fisher.length);
    expect(relative(outer(rows, d), fisher)).toBeLessThan(tolerance);
    for (const [batchSize, group] of [
      [4, 3],
      [5, 1],
      [7, 64],
    ] as const) {
      const { f: g } = await tiny(name, loss, { batchSize });
      expect(relative(await rowsOf(g, 'perSample', { group }), rows)).toBeLessThan(1e-13);
    }
  });
  test('minibatch gradients are those of the samples of each batch alone', async () => {
    const batchSize = 5;
    const { f } = await tiny(name, loss, { batchSize });
    const rows = split(await rowsOf(f, 'minibatch'), (await lossAndGradient(f, { dtype: 'float64' })).gradient.length);
    const first = await lossAndGradient({ ...f, samples: batchSize }, { dtype: 'float64' });
    expect(relative(rows[0] as Float64Array, first.gradient)).toBeLessThan(1e-13);
    expect(rows).toHaveLength(Math.ceil(f.data.samples / batchSize));
  });
});

test('GᵀG/N·v equals the product with the empirical Fisher', async () => {
  const { empiricalFisher } = await import('../../src/operators/create.js');
  for (const [name, loss] of nets) {
    const { f } = await tiny(name, loss, { batchSize: 6 });
    await using A = await empiricalFisher(f, { dtype: 'float64' });
    const v = normals(A.rows, 1);
    const rows = split(await rowsOf(f, 'perSample'), A.rows);
    const product = new Float64Array(A.rows);
    for (const g of rows) {
      const c = g.reduce((s, x, i) => s + x * (v[i] as number), 0) / rows.length;
      for (let i = 0; i < A.rows; i++) product[i] = (product[i] as number) + c * (g[i] as number);
    }
    expect(relative(product, await A.applyVector(v))).toBeLessThan(1e-12);
  }
});

test('M-FAC of a loss: its forward operator is λ plus the empirical Fisher, its inverse the dense one', async () => {
  const { f, fisher } = await tiny('tiny-mlp', 'cross-entropy');
  const d = Math.sqrt(fisher.length);
  await using A = await mfac(f, { dtype: 'float64', damping: 0.01 });
  const v = normals(d, 2);
  const expected = v.map((x, i) => 0.01 * x + v.reduce((s, y, j) => s + (fisher[i * d + j] as number) * y, 0));
  expect(relative(await A.forward().applyVector(v), expected)).toBeLessThan(1e-12);
  expect(relative(await A.inverse().applyVector(expected), v)).toBeLessThan(1e-10);
  await using again = await mfac(f, { dtype: 'float64', damping: 0.01 });
  await using fewer = await mfac(f, { dtype: 'float64', damping: 0.01, count: 5, divisor: f.data.samples });
  expect(again.inverse().fingerprint).toBe(A.inverse().fingerprint);
  for (const other of [fewer.inverse(), A.forward()]) expect(other.fingerprint).not.toBe(A.inverse().fingerprint);
  await using B = await mfacBlocks(f, { dtype: 'float64', damping: 0.01, blockSize: d });
  expect(relative(await B.applyVector(expected), v)).toBeLessThan(1e-10);
  await using C = await mfac(
    { ...f, batchSize: 3 },
    { dtype: 'float64', damping: 0.01, gradients: 'minibatch', count: 2 },
  );
  const rows = split(await rowsOf({ ...f, batchSize: 3 }, 'minibatch'), d).slice(0, 2);
  const dense = denseInverse(rows, 0.01);
  expect(relative(await C.diagonal(), dense.diagonal())).toBeLessThan(1e-11);
});

test('regularisation is no part of the rows', async () => {
  const { f } = await tiny('tiny-mlp', 'cross-entropy', { batchSize: 5 });
  for (const kind of ['perSample', 'minibatch'] as const)
    expect(relative(await rowsOf({ ...f, l2: 0.3 }, kind), await rowsOf(f, kind))).toBeLessThan(1e-13);
});

test('parts of the samples, float32, and what is refused', async () => {
  const { f } = await tiny('tiny-mlp', 'cross-entropy', { batchSize: 4 });
  const all = await rowsOf(f, 'perSample');
  const execution = await execute(f, { dtype: 'float32' });
  const d = execution.objective.dimension;
  const source = new GradientRows(execution);
  const part = await source.perSample({ from: 3, count: 6 });
  expect(relative(await part.read(), all.slice(3 * d, 9 * d))).toBeLessThan(64 * 2 ** -24);
  part.dispose();
  await expect(source.perSample({ from: f.data.samples })).rejects.toThrow(InputError);
  await expect(source.minibatch({ count: 1.5 })).rejects.toThrow(InputError);
  const wrong = execution.device.block('float32', d + 1, 2);
  await expect(source.perSample({ count: 2, output: wrong })).rejects.toThrow(ShapeError);
  wrong.dispose();
  expect(() => new GradientRows(execution, { group: 0 })).toThrow(InputError);
  execution.dispose();
});
