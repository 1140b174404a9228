/** Statistics of per-sample gradients against the gradients themselves. */
import { describe, expect, test } from 'vitest';
import { InputError, OutOfMemoryError } from '../../src/base/errors.js';
import { openDataset } from '../../src/data/open.js';
import { compileSampleGradients } from '../../src/mfac/sample-program.js';
import { batchGraph } from '../../src/model/batch-graph.js';
import { crossEntropy, outputLoss } from '../../src/model/loss.js';
import { type MeanLoss, meanLoss } from '../../src/model/mean-loss.js';
import { loadOnnx } from '../../src/onnx/index.js';
import { execute, lossAndGradient } from '../../src/operators/create.js';
import { perSampleGradients } from '../../src/taps/per-sample.js';
import { compileStatistics, gradientStatistics, SampleGradients } from '../../src/taps/statistics.js';
import { relative, split } from '../reference/mfac.js';
import { cases } from './models.js';

const all = { mean: true, variance: true, norms: true, gram: true } as const;

async function rowsOf(f: MeanLoss, chunk?: number | 'all'): Promise<Float64Array[]> {
  const out: Float64Array[] = [];
  for await (const { from, gradients } of perSampleGradients(f, { dtype: 'float64', chunk })) {
    expect(from).toBe(out.length);
    out.push(...split(await gradients.readFloat64(), gradients.dimension));
  }
  return out;
}
/** by their definitions */
function dense(rows: readonly Float64Array[]) {
  const n = rows.length;
  const d = rows[0]?.length ?? 0;
  const mean = new Float64Array(d);
  for (const g of rows)
    g.forEach((x, i) => {
      mean[i] = (mean[i] as number) + x / n;
    });
  const variance = new Float64Array(d);
  for (const g of rows)
    g.forEach((x, i) => {
      variance[i] = (variance[i] as number) + (x - (mean[i] as number)) ** 2 / n;
    });
  const dot = (a: Float64Array, b: Float64Array): number => a.reduce((s, x, i) => s + x * (b[i] as number), 0);
  const gram = Float64Array.from(rows.flatMap((a) => rows.map((b) => dot(a, b))));
  return { mean, variance, gram, squaredNorms: Float64Array.from(rows, (g) => dot(g, g)) };
}

async function compare(f: MeanLoss, group: number): Promise<void> {
  const rows = await rowsOf(f);
  const expected = dense(rows);
  const found = await gradientStatistics(f, { dtype: 'float64', group, ...all });
  const { loss } = await lossAndGradient({ ...f, l2: 0 }, { dtype: 'float64' });
  expect(Math.abs(found.loss - loss)).toBeLessThanOrEqual(1e-13 * Math.abs(loss));
  for (const name of ['mean', 'variance', 'squaredNorms', 'gram'] as const)
    expect([name, relative(found[name] as Float64Array, expected[name])]).toEqual([
      name,
      expect.toSatisfy((e: number) => e <= 1e-12),
    ]);
  // each alone may go another way
  for (const name of ['mean', 'variance', 'norms', 'gram'] as const) {
    const { loss: again, ...alone } = await gradientStatistics(f, { dtype: 'float64', [name]: true });
    const key = name === 'norms' ? 'squaredNorms' : name;
    expect(Object.keys(alone)).toEqual([key]);
    expect(Math.abs(again - loss)).toBeLessThanOrEqual(1e-13 * Math.abs(loss));
    expect(relative(alone[key] as Float64Array, expected[key])).toBeLessThanOrEqual(1e-12);
  }
}

describe('equal the gradients’ own', () => {
  test.each(cases.map((c) => [c.name, c] as const))('%s', async (_, { f }) => {
    await compare({ ...f(), l2: 0.3 }, 3);
  });
  test.each([
    ['mlp', 'fashion-mnist-test', 11],
    ['cnn', 'fashion-mnist-test', 5],
    ['gpt', 'gpt-test', 4],
  ] as const)('examples/%s', async (name, file, samples) => {
    const data = await openDataset(`examples/${file}.npz`);
    await compare(
      meanLoss(await loadOnnx(`examples/${name}.onnx`), crossEntropy(), data, { samples, batchSize: 4 }),
      3,
    );
    await data.dispose();
  });
});

test('the Gram matrix does not depend on what is kept', async () => {
  const data = await openDataset('examples/fashion-mnist-test.npz');
  const f = meanLoss(await loadOnnx('examples/mlp.onnx'), crossEntropy(), data, { samples: 40, batchSize: 16 });
  const whole = await gradientStatistics(f, { dtype: 'float64', gram: true, group: 8 });
  const bit = await gradientStatistics(f, { dtype: 'float64', gram: true, group: 8, memory: 200_000 });
  expect(relative(bit.gram as Float64Array, whole.gram as Float64Array)).toBeLessThanOrEqual(1e-15);
  const single = await gradientStatistics(f, { ...all });
  for (const name of ['mean', 'variance', 'squaredNorms', 'gram'] as const) {
    const exact = (await gradientStatistics(f, { dtype: 'float64', ...all }))[name] as Float64Array;
    expect(relative(single[name] as Float64Array, exact)).toBeLessThanOrEqual(64 * 2 ** -24);
  }
  await data.dispose();
});

test('rows in chunks, all at once, and what is refused', async () => {
  const f = (cases[0] as (typeof cases)[number]).f();
  const rows = await rowsOf(f);
  expect(rows).toHaveLength(f.data.samples);
  for (const chunk of [3, 'all'] as const)
    expect((await rowsOf(f, chunk)).map((g) => Array.from(g))).toEqual(rows.map((g) => Array.from(g)));
  const first = async (g: AsyncGenerator<unknown>) => g.next();
  await expect(first(perSampleGradients(f, { chunk: 0 }))).rejects.toThrow(InputError);
  await expect(first(perSampleGradients({ ...f, loss: outputLoss() }))).rejects.toThrow(InputError);
  await expect(first(perSampleGradients(f, { chunk: 'all', memory: 500 }))).rejects.toThrow(OutOfMemoryError);
  await expect(gradientStatistics(f, { mean: true, group: 1.5 })).rejects.toThrow(InputError);
  await expect(gradientStatistics(f, { gram: true, memory: 500 })).rejects.toThrow(OutOfMemoryError);
});

test('unformed is cheaper: the MLP’s norms and variance write no gradients', async () => {
  const data = await openDataset('examples/fashion-mnist-test.npz');
  const f = meanLoss(await loadOnnx('examples/mlp.onnx'), crossEntropy(), data, { samples: 64 });
  const execution = await execute(f, {});
  const k = 64;
  const formed = compileSampleGradients(batchGraph(execution.objective, 1, 'float32', 0), k);
  const source = new SampleGradients(execution);
  const norms = compileStatistics(source, k, { norms: true });
  const variance = compileStatistics(source, k, { variance: true });
  const rowBytes = 4 * k * execution.objective.dimension;
  // forwards and backwards remain: the products that form the weights' gradients are gone
  const weights = 784 * 64 + 64 * 32 + 32 * 10;
  const d = (program: typeof norms): number => program.scratchBytes;
  expect(formed.flops - norms.flops).toBe(2 * k * weights);
  expect(d(norms)).toBeLessThanOrEqual(rowBytes / 16);
  // mean and squares of all parameters at once, not of every sample
  expect(d(variance)).toBeLessThanOrEqual(rowBytes / 16);
  execution.dispose();
  await data.dispose();
});
