/** Training steps against the mean loss of a data set that holds the step's samples alone; orders; many steps. */
import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.js';
import { philoxNormal } from '../../src/base/philox.js';
import { type Dataset, datasetFromArrays, shuffled } from '../../src/data/index.js';
import { openDevice } from '../../src/device/open.js';
import { crossEntropy, outputLoss } from '../../src/model/loss.js';
import { meanLoss } from '../../src/model/mean-loss.js';
import { lossAndGradient } from '../../src/operators/create.js';
import { TrainingStep } from '../../src/operators/training-step.js';
import { nn, trace } from '../../src/trace/index.js';
import { tanhNetwork } from '../reference/models.js';
import { error } from '../trace/compute.js';

const [samples, inputs, classes] = [11, 3, 4];
const x = philoxNormal(3, 0, 0, samples * inputs);
/** two ignored targets, so that batches differ in their numbers of terms */
const targets = Int32Array.from({ length: samples }, (_, i) => (i === 2 || i === 7 ? -100 : i % classes));
const subset = (of: ArrayLike<number>): Dataset => {
  const chosen = Array.from(of);
  return datasetFromArrays({
    inputs: {
      x: {
        data: Float64Array.from(chosen.flatMap((i) => [...x.subarray(i * inputs, (i + 1) * inputs)])),
        shape: [chosen.length, inputs],
      },
    },
    target: { data: Int32Array.from(chosen, (i) => targets[i] as number), shape: [chosen.length] },
  });
};
const all = subset(Array.from({ length: samples }, (_, i) => i));
/** the same data as streams and other data sets give them: in runs alone */
const runsOnly: Dataset = {
  samples,
  inputs: all.inputs,
  ...(all.target && { target: all.target }),
  batch: (start, count) => all.batch(start, count),
  dispose: () => all.dispose(),
  [Symbol.asyncDispose]: () => all.dispose(),
};
const network = tanhNetwork([inputs, 5, classes]);
const scalar = trace((p, { x: v }) => nn.mean(nn.square(nn.tanh(nn.linear(v, p.w)))), {
  parameters: { w: [2, inputs] },
  inputs: { x: [null, inputs] },
});
const cases = [
  ['cross-entropy', network, crossEntropy(), all],
  ['cross-entropy, data in runs alone', network, crossEntropy(), runsOnly],
  ['a model that ends in its loss', scalar, outputLoss(), all],
] as const;

describe.each(cases)('%s', (_, model, loss, data) => {
  test.each([
    ['float64', 1e-14],
    ['float32', 1e-6],
  ] as const)('%s: is the mean loss over the samples of the step', async (dtype, tolerance) => {
    const device = openDevice({ threads: 1 });
    {
      await using trainer = await TrainingStep.create(meanLoss(model, loss, data, { batchSize: 4, l2: 0.1 }), {
        dtype,
        device,
      });
      const steps = [[5, 0, 9, 3], [10], [1, 1, 6], [4, 5, 6, 8], [0, 1, 2, 3]];
      for (const [i, chosen] of steps.entries()) {
        const got = await trainer.step(chosen, { ahead: steps[i + 1] });
        const wanted = await lossAndGradient(meanLoss(model, loss, subset(chosen), { l2: 0.1 }), { dtype: 'float64' });
        expect(error([got.loss], [wanted.loss])).toBeLessThanOrEqual(tolerance);
        expect(error(await got.gradient.readFloat64(), wanted.gradient)).toBeLessThanOrEqual(tolerance);
      }
    }
    await device.finish();
    expect(device.allocatedBytes).toBe(0);
    device.dispose();
  });
});

test('steps are taken at the parameters that are written, and values() gives them by name', async () => {
  await using trainer = await TrainingStep.create(meanLoss(scalar, outputLoss(), all), { dtype: 'float64' });
  const theta = philoxNormal(9, 0, 0, 2 * inputs);
  trainer.parameters.write(theta);
  const { loss } = await trainer.step([4, 2]);
  const moved = scalar.withVector(theta);
  const wanted = await lossAndGradient(meanLoss(moved, outputLoss(), subset([4, 2])), { dtype: 'float64' });
  expect(error([loss], [wanted.loss])).toBeLessThanOrEqual(1e-14);
  expect(await trainer.values()).toEqual({ w: theta });
});

test('a batch whose targets are all ignored has loss 0 and no gradient', async () => {
  await using trainer = await TrainingStep.create(meanLoss(network, crossEntropy(), all), { dtype: 'float64' });
  const { loss, gradient } = await trainer.step([2, 7, 2]);
  expect(loss).toBe(0);
  expect((await gradient.readFloat64()).every((g) => g === 0)).toBe(true);
});

test('samples that are not there and batches too large are refused, and read-ahead does not hide it', async () => {
  await using trainer = await TrainingStep.create(meanLoss(network, crossEntropy(), all, { batchSize: 3 }));
  const wrong = [0, 11];
  await trainer.step([0, 1], { ahead: wrong });
  await expect(trainer.step(wrong)).rejects.toThrow('sample 11 is asked for, the data set has 11');
  for (const bad of [[], [0, 1, 2, 3], [-1], [0.5], [Number.NaN]])
    await expect(trainer.step(bad)).rejects.toThrow(InputError);
  await expect(trainer.step([0], { signal: AbortSignal.abort() })).rejects.toThrow(/interrupted/);
  expect(Number.isFinite((await trainer.step([0])).loss)).toBe(true);
});

test('shuffled is a permutation that seed and epoch determine', () => {
  const order = shuffled(100, 4, 2);
  expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i));
  expect(shuffled(100, 4, 2)).toEqual(order);
  for (const other of [shuffled(100, 5, 2), shuffled(100, 4, 3)]) expect(other).not.toEqual(order);
  // positions of 0 over epochs: mean (n−1)/2, variance (n²−1)/12; four standard errors
  const epochs = 400;
  let sum = 0;
  for (let e = 0; e < epochs; e++) sum += shuffled(10, 0, e).indexOf(0);
  expect(Math.abs(sum / epochs - 4.5)).toBeLessThanOrEqual(4 * Math.sqrt(99 / 12 / epochs));
});
