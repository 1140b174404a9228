/** Loss and accuracy against counts by hand: ignored labels, padding, weights, soft targets, binary labels. */
import { describe, expect, test } from 'vitest';
import { philoxNormal } from '../../src/base/philox.js';
import { datasetFromArrays } from '../../src/data/index.js';
import { binaryCrossEntropy, crossEntropy, type Loss, meanSquaredError } from '../../src/model/loss.js';
import { meanLoss } from '../../src/model/mean-loss.js';
import { evaluate } from '../../src/operators/evaluation.js';
import { nn, trace } from '../../src/trace/index.js';

const [samples, positions, classes] = [11, 4, 3];
const z = philoxNormal(3, 0, 0, samples * positions * classes);
const noise = philoxNormal(3, 1, 0, samples * positions * classes);
/** the logits are the data */
const model = trace((p, { x }) => nn.mul(x, p.scale), {
  parameters: { scale: { shape: [1], values: [1] } },
  inputs: { x: [null, positions, classes] },
});

type Target = { dtype: 'int32' | 'float64'; shape: number[]; data: Int32Array | Float64Array };
const run = (loss: Loss, target: Target, batchSize: number) =>
  evaluate(
    meanLoss(
      model,
      loss,
      datasetFromArrays({
        inputs: { x: { dtype: 'float64', shape: [samples, positions, classes], data: z } },
        target: target as never,
      }),
      { batchSize },
    ),
    { dtype: 'float64' },
  );
const argMax = (values: ArrayLike<number>, from: number): number =>
  [1, 2].reduce((best, c) => ((values[from + c] as number) > (values[from + best] as number) ? c : best), 0);

describe.each([3, 4, 11])('accuracy in batches of %i', (batchSize) => {
  test.each([-100, 2])('of classes, those of index %i ignored, some weighted', async (ignoreIndex) => {
    const labels = Int32Array.from({ length: samples * positions }, (_, i) =>
      i % 5 === 0 ? ignoreIndex : argMax(noise, i * classes),
    );
    let [right, counted] = [0, 0];
    labels.forEach((label, i) => {
      if (label === ignoreIndex) return;
      counted++;
      if (argMax(z, i * classes) === label) right++;
    });
    expect(right).toBeGreaterThan(3);
    const target: Target = { dtype: 'int32', shape: [samples, positions], data: labels };
    const loss = crossEntropy({ classWeights: [1, 2, 3], ignoreIndex });
    const { accuracy } = await run(loss, target, batchSize);
    expect(accuracy).toBe(right / counted);
  });
  test('of soft targets', async () => {
    const soft = Float64Array.from(noise, (v, i) => {
      const from = i - (i % classes);
      const all = [0, 1, 2].map((c) => Math.exp(noise[from + c] as number));
      return Math.exp(v) / all.reduce((a, b) => a + b);
    });
    const right = Array.from({ length: samples * positions }, (_, i) => i).filter(
      (i) => argMax(z, i * classes) === argMax(noise, i * classes),
    ).length;
    const target: Target = { dtype: 'float64', shape: [samples, positions, classes], data: soft };
    const { accuracy } = await run(crossEntropy({ softTargets: true, classAxis: 2 }), target, batchSize);
    expect(accuracy).toBe(right / (samples * positions));
  });
  test('of binary labels', async () => {
    // soft ones too: from a half on they are positive
    const levels = [0, 0.4, 0.5, 1];
    const labels = Float64Array.from(noise, (_, i) => levels[i % 4] as number);
    const right = labels.filter((l, i) => l >= 0.5 === (z[i] as number) >= 0).length;
    const target: Target = { dtype: 'float64', shape: [samples, positions, classes], data: labels };
    const { accuracy } = await run(binaryCrossEntropy(), target, batchSize);
    expect(accuracy).toBe(right / labels.length);
  });
  test('of values there is none, and the loss is the gradient evaluation’s', async () => {
    const target: Target = { dtype: 'float64', shape: [samples, positions, classes], data: noise };
    const { loss, accuracy } = await run(meanSquaredError(), target, batchSize);
    expect(accuracy).toBeNull();
    const expected = z.reduce((s, v, i) => s + (v - (noise[i] as number)) ** 2, 0) / z.length;
    expect(Math.abs(loss - expected)).toBeLessThanOrEqual(1e-13 * expected);
  });
});
