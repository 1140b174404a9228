/** Mode train against PyTorch (make.py): derivatives through batch statistics, running statistics, what is refused. */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { InputError, UnsupportedError } from '../../src/base/errors.js';
import type { NdArray } from '../../src/base/ndarray.js';
import { datasetFromArrays, readNpz } from '../../src/data/index.js';
import { GradientRows } from '../../src/mfac/index.js';
import { crossEntropy } from '../../src/model/loss.js';
import { type MeanLoss, type MeanLossOptions, meanLoss } from '../../src/model/mean-loss.js';
import { loadOnnx, requireBatchNorm, writeOnnx } from '../../src/onnx/index.js';
import { curvature, execute, hessian, lossAndGradient } from '../../src/operators/create.js';
import { dense } from '../../src/operators/dense.js';
import { gradientCovariance } from '../../src/operators/derivatives.js';
import { TrainingStep } from '../../src/operators/training-step.js';
import { error } from '../trace/compute.js';

const arrays = await readNpz('test/modes/train.npz');
const values = (name: string): Float64Array => {
  const array = arrays.get(name);
  if (!array) throw new Error(`train.npz has no ${name}`);
  return Float64Array.from(array.data as Float64Array);
};
const data = datasetFromArrays({
  inputs: { x: arrays.get('x') as NdArray },
  target: arrays.get('target') as NdArray,
});
const file = (name: string): string => `test/modes/${name}.onnx`;
const open = async (name: string, options: MeanLossOptions = {}, mode: 'eval' | 'train' = 'train'): Promise<MeanLoss> =>
  meanLoss(await loadOnnx(file(name), { mode }), crossEntropy(), data, options);
const float64 = { dtype: 'float64' } as const;
/** ε is stored as float32 */
const tolerance = 1e-9;

describe.each([
  ['kept', 'exported in evaluation mode'],
  ['training', 'exported in training mode'],
])('%s.onnx, %s', (name) => {
  test.each([
    ['one', {}],
    ['fours', { batchSize: 4, batchCoupled: 'per-batch' }],
  ] as const)('loss, gradient and matrices with the statistics of %s', async (key, options) => {
    const f = await open(name, options);
    const found = await lossAndGradient(f, float64);
    expect(error([found.loss], values(`${key}/loss`))).toBeLessThanOrEqual(tolerance);
    expect(error(found.gradient, values(`${key}/gradient`))).toBeLessThanOrEqual(tolerance);
    for (const operator of ['hessian', 'gauss-newton', 'fisher-exact'] as const) {
      await using A = await curvature(operator, f, float64);
      const wanted = values(`${key}/${operator === 'hessian' ? 'hessian' : 'gauss-newton'}`);
      expect(error((await dense(A)).to1DArray(), wanted)).toBeLessThanOrEqual(tolerance);
    }
  });

  test('steps of gradient descent: losses, running statistics, parameters', async () => {
    await using trainer = await TrainingStep.create(await open(name, { batchSize: 4 }), float64);
    const before = await trainer.buffers();
    for (const [i, batch] of [
      [5, 0, 9, 3],
      [1, 8, 2, 4],
      [7, 6],
    ].entries()) {
      const { loss, gradient } = await trainer.step(batch);
      expect(error([loss], values(`step${i}/loss`))).toBeLessThanOrEqual(tolerance);
      trainer.parameters.addScaled(-0.1, gradient);
      const buffers = await trainer.buffers();
      expect(Object.keys(buffers).sort()).toEqual([
        '1.running_mean',
        '1.running_var',
        '5.running_mean',
        '5.running_var',
      ]);
      for (const [key, got] of Object.entries(buffers)) {
        expect(error(got, values(`step${i}/${key}`))).toBeLessThanOrEqual(tolerance);
        if (i > 0 || key.endsWith('mean')) continue;
        // PyTorch's own, by the sample's variance: of 4·2·2 positions in the convolution's, 4 in the last layer
        const [n, keep] = key.startsWith('1') ? [16, 0.875] : [4, 0.75];
        const sample = got.map((v, c) => {
          const initial = keep * (before[key]?.[c] as number);
          return initial + ((v - initial) * n) / (n - 1);
        });
        expect(error(sample, values(`step0/torch/${key}`))).toBeLessThanOrEqual(tolerance);
      }
    }
    for (const [key, got] of Object.entries(await trainer.values()))
      expect(error(got, values(`trained/${key}`))).toBeLessThanOrEqual(tolerance);
  });
});

test('trained parameters and running statistics are written back, and evaluation mode reads them', async () => {
  await using trainer = await TrainingStep.create(await open('kept'), float64);
  for (let i = 0; i < 3; i++) trainer.parameters.addScaled(-0.1, (await trainer.step([0, 1, 2, 3, 4])).gradient);
  const changed = { ...(await trainer.values()), ...(await trainer.buffers()) };
  const path = join(await mkdtemp(join(tmpdir(), 'hessia-modes-')), 'trained.onnx');
  await writeOnnx(file('kept'), new Map(Object.entries(changed)), path);
  const again = await TrainingStep.create(
    meanLoss(await loadOnnx(path, { mode: 'train' }), crossEntropy(), data),
    float64,
  );
  for (const [key, got] of Object.entries({ ...(await again.values()), ...(await again.buffers()) }))
    expect(error(got, changed[key] as Float64Array)).toBeLessThanOrEqual(2 ** -23);
  again.dispose();
  const [old, fresh] = await Promise.all(
    [file('kept'), path].map(async (p) => lossAndGradient(meanLoss(await loadOnnx(p), crossEntropy(), data), float64)),
  );
  expect(fresh?.loss).toBeLessThan(old?.loss as number);
});

test('the updated statistics are values of the model, by their names in the file', async () => {
  const model = await loadOnnx(file('training'), { mode: 'train' });
  expect(model.mode).toBe('train');
  const names = ['/1/BatchNormalization_output_1', '/1/BatchNormalization_output_2'];
  const { Graph } = await import('../../src/graph/index.js');
  const { evaluate } = await import('../../src/graph/evaluate.js');
  const graph = new Graph();
  const x = graph.input('x', [10, 1, 4, 4], 'float64');
  const built = model.build({
    graph,
    dtype: 'float64',
    inputs: new Map([['x', x]]),
    parameters: new Map(),
    also: names,
  });
  const got = evaluate(
    names.map((n) => built.get(n) as never),
    new Map([[x, values('x')]]),
  );
  await using trainer = await TrainingStep.create(await open('training'), float64);
  await trainer.step([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  const buffers = await trainer.buffers();
  expect(error(got[0] as Float64Array, buffers['1.running_mean'] as Float64Array)).toBeLessThanOrEqual(1e-12);
  expect(error(got[1] as Float64Array, buffers['1.running_var'] as Float64Array)).toBeLessThanOrEqual(1e-12);
});

describe('batch-coupled', () => {
  test('several batches and padding are refused unless each batch counts on its own', async () => {
    for (const batchSize of [1, 4])
      await expect(hessian(await open('kept', { batchSize }), float64)).rejects.toThrow(
        /influence one another.*mode eval.*--batch-coupled per-batch/,
      );
    await expect(lossAndGradient(await open('kept', { batchCoupled: 'both' as never }))).rejects.toThrow(
      'batchCoupled must be refuse or per-batch, not both',
    );
  });
  test('evaluation mode is not coupled', async () => {
    const [whole, split] = await Promise.all(
      [10, 3].map(async (batchSize) => lossAndGradient(await open('kept', { batchSize }, 'eval'), float64)),
    );
    expect(error(split?.gradient as Float64Array, whole?.gradient as Float64Array)).toBeLessThanOrEqual(1e-13);
  });
  test('per-sample gradients are refused even in one batch, and with batches of their own', async () => {
    for (const options of [{}, { batchSize: 4, batchCoupled: 'per-batch' }] as const) {
      const f = await open('kept', options);
      await expect(curvature('empirical-fisher', f, float64)).rejects.toThrow(
        /the empirical Fisher matrix needs the gradient of each sample alone/,
      );
      await expect(gradientCovariance(f, float64)).rejects.toThrow(InputError);
      const execution = await execute(f, float64);
      await expect(new GradientRows(execution).perSample()).rejects.toThrow(/a row per sample needs/);
      execution.dispose();
    }
  });
  test('the batch size is part of the function', async () => {
    const prints = await Promise.all(
      [4, 5].map(async (batchSize) => {
        await using H = await hessian(await open('kept', { batchSize, batchCoupled: 'per-batch' }), float64);
        return H.fingerprint;
      }),
    );
    expect(prints[0]).not.toBe(prints[1]);
  });
});

test('files without their batch normalisation are refused for training it', async () => {
  requireBatchNorm(await loadOnnx(file('kept'), { mode: 'train' }));
  requireBatchNorm(await loadOnnx(file('training'), { mode: 'train' }));
  const [merged, gone] = [await loadOnnx(file('merged')), await loadOnnx(file('gone'))];
  expect(() => requireBatchNorm(merged)).toThrow(
    /merged into 1 of its convolutions \(such as 'onnx::Conv_\d+'\).*PRESERVE/,
  );
  expect(() => requireBatchNorm(gone)).toThrow(/has no BatchNormalization to train.*optimize=False/);
});

test('a file in training mode is refused in evaluation mode, and unknown modes', async () => {
  const model = await loadOnnx(file('training'));
  expect(model.unsupported.join()).toContain('load the model in mode train');
  await expect(lossAndGradient(meanLoss(model, crossEntropy(), data))).rejects.toThrow(UnsupportedError);
  await expect(loadOnnx(file('kept'), { mode: 'training' as never })).rejects.toThrow('mode must be eval or train');
});
