/** Which targets fit an output, and that those that do not are refused, not read in another order. */
import { describe, expect, test } from 'vitest';
import { InputError, ShapeError } from '../../src/base/errors.js';
import { philoxNormal } from '../../src/base/philox.js';
import { datasetFromArrays } from '../../src/data/index.js';
import type { Node } from '../../src/graph/index.js';
import { ops } from '../../src/graph/index.js';
import { crossEntropy, meanSquaredError } from '../../src/model/loss.js';
import { meanLoss } from '../../src/model/mean-loss.js';
import type { Model } from '../../src/model/model.js';
import type { CurvatureOptions } from '../../src/operators/create.js';
import { hessian, lossAndGradient } from '../../src/operators/create.js';

/** y = w·x, element by element */
const scaling = (sample: readonly number[]): Model => ({
  source: 'scaling',
  inputs: [{ name: 'x', dtype: 'float32', shape: [null, ...sample] }],
  outputs: [{ name: 'y' }],
  parameters: [{ name: 'w', shape: [1], consumers: [], values: () => Float32Array.of(2) }],
  buffers: [],
  operators: new Map(),
  unsupported: [],
  fixedBatch: null,
  warnings: [],
  fingerprint: 'scaling',
  build({ inputs, parameters }) {
    const x = inputs.get('x') as Node;
    return new Map([['y', ops.mul(x, ops.broadcastTo(parameters.get('w') as Node, x.shape))]]);
  },
});
const n = 5;
const size = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

async function loss(sample: number[], target: number[], classes: boolean): Promise<number> {
  const x = philoxNormal(0, 0, 0, n * size(sample));
  const shape = [n, ...target];
  const data = datasetFromArrays({
    inputs: { x: { data: x, shape: [n, ...sample] } },
    target: classes
      ? { data: Int32Array.from({ length: size(shape) }, (_, i) => i % 3), shape }
      : { data: Float64Array.from({ length: size(shape) }, (_, i) => 2 * (x[i] as number)), shape },
  });
  const f = meanLoss(scaling(sample), classes ? crossEntropy() : meanSquaredError(), data, { batchSize: 2 });
  return (await lossAndGradient(f, { dtype: 'float64' })).loss;
}

describe('mean squared error', () => {
  test.each([
    [
      [3, 4],
      [3, 4],
    ],
    [
      [3, 4],
      [3, 4, 1],
    ],
    [
      [3, 4],
      [1, 3, 4],
    ],
    [[1], []],
    [[], [1]],
  ])('output %j, target %j: fits', async (sample, target) => {
    expect(await loss(sample, target, false)).toBe(0);
  });
  test.each([
    [
      [3, 4],
      [4, 3],
    ],
    [[3, 4], [12]],
    [
      [3, 4],
      [2, 6],
    ],
  ])('output %j, target %j: as many values, but others', async (sample, target) => {
    await expect(loss(sample, target, false)).rejects.toThrow(ShapeError);
  });
});

describe('cross-entropy', () => {
  test.each([
    [[3], [], [1]],
    [
      [3, 4, 2],
      [4, 2],
      [1, 4, 2],
    ],
    [
      [3, 1, 2],
      [1, 2],
      [1, 1, 2],
    ],
    [[4, 3], [4], [4, 1]],
  ])('output %j, target %j: also as %j', async (sample, target, spare) => {
    expect(await loss(sample, spare, true)).toBe(await loss(sample, target, true));
  });
  test.each([
    [[3], [2]],
    [
      [3, 4, 2],
      [2, 4],
    ],
    [
      [3, 4, 2],
      [4, 2, 1, 1],
    ],
  ])('output %j, target %j: refused', async (sample, target) => {
    await expect(loss(sample, target, true)).rejects.toThrow(ShapeError);
  });
});

test('options that mean nothing are refused by name', async () => {
  const data = datasetFromArrays({
    inputs: { x: { data: new Float32Array(n), shape: [n, 1] } },
    target: { data: new Float32Array(n), shape: [n, 1] },
  });
  const f = meanLoss(scaling([1]), meanSquaredError(), data);
  const wrong: [string, CurvatureOptions][] = [
    ['dtype', { dtype: 'float16' as 'float32' }],
    ['threads', { threads: 1e6 }],
    ['seed', { seed: -1 }],
    ['fisherSamples', { fisherSamples: 0.5 }],
    ['memory', { memory: Number.NaN }],
  ];
  for (const [name, options] of wrong) {
    await expect(hessian(f, options), name).rejects.toThrow(InputError);
    await expect(hessian(f, options), name).rejects.toThrow(name);
  }
});
