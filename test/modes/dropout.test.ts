/** Dropout in mode train: which elements fall, that running twice agrees, and that batches may fall anyhow. */
import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.js';
import { philoxNormal } from '../../src/base/philox.js';
import { datasetFromArrays } from '../../src/data/index.js';
import { GradientRows } from '../../src/mfac/index.js';
import { crossEntropy } from '../../src/model/loss.js';
import { meanLoss } from '../../src/model/mean-loss.js';
import { loadOnnx } from '../../src/onnx/index.js';
import { empiricalFisher, execute, hessian, lossAndGradient } from '../../src/operators/create.js';
import { dense } from '../../src/operators/dense.js';
import { TrainingStep } from '../../src/operators/training-step.js';
import { nn, trace } from '../../src/trace/index.js';
import { error } from '../trace/compute.js';

const float64 = { dtype: 'float64' } as const;
const [samples, width, ratio] = [40, 50, 0.25];
const ones = datasetFromArrays({
  inputs: { x: { data: new Float64Array(samples * width).fill(1), shape: [samples, width] } },
  target: { data: new Int32Array(samples), shape: [samples] },
});
/** logits [Σ over the features of w·dropout(x), 0] of ones: the gradient of w tells how often each feature stayed */
const counting = trace(
  (p, { x }) => {
    const y = nn.linear(nn.dropout(x, ratio), p.w);
    return nn.concat([y, nn.zerosLike(y)], 1);
  },
  {
    parameters: { w: { shape: [1, width], values: new Float64Array(width) } },
    inputs: { x: [null, width] },
    mode: 'train',
  },
);
/** how often each feature stayed among these samples of one step */
async function stayed(trainer: TrainingStep, chosen: number[], step: number): Promise<Float64Array> {
  const { gradient } = await trainer.step(chosen, { step });
  // at w = 0 each sample gives (softmax − 1)·dropout(1) = −½·mask/(1 − ratio), divided by their number
  return (await gradient.readFloat64()).map((g) => g * -2 * (1 - ratio) * chosen.length);
}
const everyone = Array.from({ length: samples }, (_, i) => i);

describe('traced', () => {
  test('elements stay with probability 1 − ratio, scaled to keep the mean', async () => {
    await using trainer = await TrainingStep.create(meanLoss(counting, crossEntropy(), ones), float64);
    const steps = 20;
    let total = 0;
    for (let s = 0; s < steps; s++) {
      const counts = await stayed(trainer, everyone, s);
      for (const c of counts) {
        expect(Math.abs(c - Math.round(c))).toBeLessThanOrEqual(1e-10);
        total += c;
      }
    }
    // binomial: four standard deviations
    const n = steps * samples * width;
    expect(Math.abs(total - n * (1 - ratio))).toBeLessThanOrEqual(4 * Math.sqrt(n * ratio * (1 - ratio)));
  });
  test('a sample has its numbers whatever its batch; steps, samples and seeds have others', async () => {
    const create = (seed: number) =>
      TrainingStep.create(meanLoss(counting, crossEntropy(), ones), { ...float64, seed });
    await using trainer = await create(3);
    await using other = await create(4);
    const one = await stayed(trainer, [7], 5);
    const without = await stayed(trainer, [2, 3, 31], 5);
    const among = await stayed(trainer, [2, 7, 3, 31], 5);
    expect(
      error(
        among,
        without.map((v, i) => v + (one[i] as number)),
      ),
    ).toBeLessThanOrEqual(1e-12);
    expect(error(await stayed(trainer, [7], 5), one)).toBe(0);
    for (const [t, sample, step] of [
      [trainer, 7, 6],
      [trainer, 8, 5],
      [other, 7, 5],
    ] as const)
      expect(error(await stayed(t, [sample], step), one)).toBeGreaterThan(0.5);
  });
  test('evaluation mode and ratio 0 are the identity; other ratios are refused', async () => {
    const wanted = new Float64Array(width).fill(samples);
    const evaluated = counting.withMode('eval');
    const { gradient } = await lossAndGradient(meanLoss(evaluated, crossEntropy(), ones), float64);
    expect(
      error(
        gradient.map((g) => g * -2 * samples),
        wanted,
      ),
    ).toBeLessThanOrEqual(1e-14);
    for (const bad of [-0.1, 1, Number.NaN])
      expect(() =>
        trace((p, { x }) => nn.dropout(nn.mul(x, p.w), bad), {
          parameters: { w: [width] },
          inputs: { x: [null, width] },
        }),
      ).toThrow(InputError);
  });
});

const x = philoxNormal(2, 0, 0, 12 * 16);
const images = datasetFromArrays({
  inputs: { x: { data: x, shape: [12, 1, 4, 4] } },
  target: { data: Int32Array.from({ length: 12 }, (_, i) => i % 3), shape: [12] },
});
describe('an ONNX file exported in training mode', () => {
  const open = async (batchSize: number) =>
    meanLoss(await loadOnnx('test/modes/dropout.onnx', { mode: 'train' }), crossEntropy(), images, { batchSize });
  test('running twice agrees in the same bits, and any batches give the same Hessian', async () => {
    const matrices = [];
    for (const batchSize of [12, 12, 5]) {
      await using H = await hessian(await open(batchSize), { ...float64, seed: 1 });
      matrices.push((await dense(H)).to1DArray());
    }
    const [whole, again, split] = matrices as [number[], number[], number[]];
    expect(again).toEqual(whole);
    expect(error(split, whole)).toBeLessThanOrEqual(1e-13);
    await using H = await hessian(await open(12), { ...float64, seed: 2 });
    expect(error((await dense(H)).to1DArray(), whole)).toBeGreaterThan(1e-3);
  });
  test('per-sample gradients see the same numbers as the batch', async () => {
    const f = await open(5);
    const execution = await execute(f, float64);
    const G = await new GradientRows(execution, { group: 3 }).perSample();
    const rows = await G.readFloat64();
    const d = execution.objective.dimension;
    const fisher = Array.from({ length: d * d }, (_, ij) => {
      let sum = 0;
      for (let n = 0; n < 12; n++)
        sum += (rows[n * d + Math.floor(ij / d)] as number) * (rows[n * d + (ij % d)] as number);
      return sum / 12;
    });
    await using F = await empiricalFisher(f, float64);
    expect(error((await dense(F)).to1DArray(), fisher)).toBeLessThanOrEqual(1e-12);
    G.dispose();
    execution.dispose();
  });
});
