/** Pruning from end to end: what is gone is exactly what was promised, in every pattern and through training. */
import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.js';
import type { NdArray } from '../../src/base/ndarray.js';
import type { MeanLoss } from '../../src/model/mean-loss.js';
import { withParameters } from '../../src/model/with-parameters.js';
import { evaluate } from '../../src/operators/evaluation.js';
import { adam, sgd } from '../../src/optimizers/index.js';
import {
  type PruneOptions,
  type PruneResult,
  prune,
  prunedLayers,
  pruningMethods,
  woodfisher,
} from '../../src/pruning/index.js';
import { candidates, parsePattern } from '../../src/pruning/pattern.js';
import { geometricSparsity, gradualSparsity } from '../../src/pruning/schedule.js';
import { onDevice, onHost, train } from '../../src/training/index.js';
import { cnn, mlp, regression } from './models.js';

const one = async (f: MeanLoss, options: PruneOptions): Promise<PruneResult> =>
  (await prune(f, { dtype: 'float64', steps: 1, ...options }))[0] as PruneResult;
function withValues(f: MeanLoss, values: Readonly<Record<string, Float64Array>>): MeanLoss {
  const arrays = new Map(
    f.model.parameters.map(({ name, shape }): [string, NdArray] => [
      name,
      { dtype: 'float64', shape, data: values[name] as Float64Array },
    ]),
  );
  return { ...f, model: withParameters(f.model, arrays) };
}
const names = Object.keys(pruningMethods) as (keyof typeof pruningMethods)[];
const method = (name: keyof typeof pruningMethods) => pruningMethods[name]({ damping: 1e-3 });
/** zeros of a result's pruned parameters, each of which the mask must have, and no more */
function zeros({ values, masks }: PruneResult): number {
  let count = 0;
  for (const [name, mask] of Object.entries(masks))
    mask.forEach((k, j) => {
      const isZero = Object.is(values[name]?.[j], 0);
      expect(isZero).toBe(k === 0);
      count += Number(isZero);
    });
  return count;
}

describe.each(names)('%s', (name) => {
  test.each([0, 0.3, 0.95])('takes exactly the share of weights that is asked for: %f', async (sparsity) => {
    const f = mlp();
    const result = await one(f, { method: method(name), sparsity });
    const total = 12 * 8 + 4 * 12;
    expect(Object.keys(result.masks)).toEqual(['0.weight', '2.weight']);
    expect(zeros(result)).toBe(Math.round(sparsity * total));
    expect(result.sparsity).toBeCloseTo(Math.round(sparsity * total) / total, 12);
    expect(result.layers.map((l) => l.removed).reduce((a, b) => a + b)).toBe(Math.round(sparsity * total));
    expect(result.measuredIncrease).toBeCloseTo(result.after.loss - result.before.loss, 12);
    expect(result.predictedIncrease === null).toBe(['magnitude', 'random', 'exact-obs', 'sparsegpt'].includes(name));
  });
  test('takes the same share of each layer where it is asked to', async () => {
    const result = await one(mlp(), { method: method(name), sparsity: 0.5, scope: 'layer', steps: 3 });
    expect(result.layers.map((l) => l.sparsity)).toEqual([0.5, 0.5]);
    expect(zeros(result)).toBe(72);
  });
  test('leaves two of every four', async () => {
    const result = await one(mlp(), { method: method(name), pattern: '2:4', steps: 2 });
    expect(result.sparsity).toBe(0.5);
    for (const [weight, columns] of [
      ['0.weight', 8],
      ['2.weight', 12],
    ] as const) {
      const mask = result.masks[weight] as Uint8Array;
      for (let i = 0; i < mask.length; i += 4) expect(mask.subarray(i, i + 4).reduce((a, b) => a + b)).toBe(2);
      expect(columns % 4).toBe(0);
    }
    expect(zeros(result)).toBe(72);
  });
});

test('one result for each sparsity, as if each were alone', async () => {
  for (const steps of [1, 2]) {
    const options = { method: woodfisher({ damping: 1e-3, blockSize: 16 }), steps, dtype: 'float64' } as const;
    const all = await prune(mlp(), { ...options, sparsity: [0.2, 0.6] });
    for (const [i, sparsity] of [0.2, 0.6].entries()) {
      const alone = (await prune(mlp(), { ...options, sparsity }))[0] as PruneResult;
      expect({ ...all[i], seconds: 0 }).toEqual({ ...alone, seconds: 0 });
    }
  }
});

test('at a minimum the predicted increase is the measured one, as far as the Fisher is the Hessian', async () => {
  const f = regression();
  const { values } = await train(f, {
    dtype: 'float64',
    epochs: 1500,
    algorithm: onHost(adam({ learningRate: 0.02 })),
    learningRate: () => 0,
    describe: '',
  });
  const options = { dtype: 'float64', method: woodfisher({ damping: 1e-6 }), sparsity: [0.4, 0.5], steps: 1 } as const;
  // a quarter of the weights costs nothing: adding the same to all four outputs changes none of the probabilities
  for (const r of await prune(withValues(f, values), options)) {
    const ratio = r.measuredIncrease / (r.predictedIncrease as number);
    expect(ratio).toBeGreaterThan(0.5);
    expect(ratio).toBeLessThan(2);
  }
});

describe('patterns', () => {
  test('rows and columns of a convolution are output and input channels, place by place', () => {
    const layers = prunedLayers(cnn(), { parameters: ['conv2'] });
    const groups = candidates(layers, parsePattern('4x1'));
    // four output channels at one place of one input channel: 4·3·3 apart
    const first = [...groups.members.subarray(0, 4)];
    expect(first).toEqual([0, 36, 72, 108]);
    const cells = candidates(layers, parsePattern('2:4'));
    // four input channels at one place: 9 apart
    expect([...cells.members.subarray(0, 8)]).toEqual([0, 9, 18, 27, 1, 10, 19, 28]);
    expect([...cells.cells!.of.subarray(0, 8)]).toEqual([0, 0, 0, 0, 1, 1, 1, 1]);
    expect(new Set(cells.members).size).toBe(8 * 4 * 9);
  });
  test.each(['magnitude', 'woodfisher', 'mfac'] as const)('whole blocks and filters go, by %s', async (name) => {
    const options = { parameters: ['conv2', 'fc'], method: pruningMethods[name]({ damping: 1e-3, gradients: 60 }) };
    const blocks = await one(cnn(), { ...options, sparsity: 0.5, pattern: '4x1' });
    expect(zeros(blocks)).toBe((8 * 4 * 9 + 4 * 8) / 2);
    const mask = blocks.masks.conv2 as Uint8Array;
    for (let o = 0; o < 8; o += 4)
      for (let i = 0; i < 36; i++) expect(new Set([0, 1, 2, 3].map((r) => mask[(o + r) * 36 + i])).size).toBe(1);
    const filters = await one(cnn(), { ...options, sparsity: 0.9, pattern: 'filter' });
    // of 8 and of 4 filters one stays at least: 10 of 12 are the 90 % that can go
    const left = (filters.masks.conv2 as Uint8Array).filter((k, j) => j % 36 === 0 && k);
    expect(left.length).toBeGreaterThanOrEqual(1);
    for (let o = 0; o < 8; o++)
      expect(new Set((filters.masks.conv2 as Uint8Array).subarray(o * 36, o * 36 + 36)).size).toBe(1);
    expect(filters.layers.every((l) => l.removed < l.count)).toBe(true);
    zeros(filters);
  });
  test.each<[Partial<PruneOptions>, RegExp]>([
    [{ pattern: '3:2', sparsity: 0.5 }, /a pattern is/],
    [{ pattern: '0x4', sparsity: 0.5 }, /a pattern is/],
    [
      { pattern: '2:4', freeze: ['tied'] },
      /2:4 does not divide 'conv1' \(4 outputs, 1 input channels\); leave it out with --freeze/,
    ],
    [{ pattern: '3x1', sparsity: 0.5, freeze: ['tied'] }, /does not divide 'conv1' .*, 'conv2' .*, 'fc'/],
    [{ pattern: '4x1', sparsity: 0.5 }, /'tied' is shared by .* and .*leave it out with --freeze 'tied'/],
    [{ pattern: '2:4', freeze: ['conv1', 'tied'], sparsity: 0.7 }, /2:4 has sparsity 0.5, not 0.7/],
    [{ pattern: '4x1', parameters: ['b'], sparsity: 0.5 }, /no rows and columns/],
  ])('%j is refused', async (options, message) => {
    await expect(one(cnn(), { method: method('magnitude'), ...options })).rejects.toThrow(message);
    await expect(one(cnn(), { method: method('magnitude'), ...options })).rejects.toThrow(InputError);
  });
  test('weights that two operators share are pruned once, for both', async () => {
    const result = await one(cnn(), { method: method('mfac'), sparsity: 0.5 });
    expect(Object.keys(result.masks)).toEqual(['conv1', 'conv2', 'tied', 'fc']);
    expect(zeros(result)).toBe(Math.round(0.5 * (36 + 288 + 64 + 32)));
  });
});

describe('fine-tuning', () => {
  test.each([
    ['sgd', onHost(sgd({ learningRate: 0.1, momentum: 0.9, weightDecay: 0.01 }))],
    ['adam', onHost(adam({ learningRate: 0.01 }))],
    ['mfac', onDevice({ learningRate: 0.05, capacity: 8, damping: 0.1, momentum: 0.9 })],
  ])('under %s what is gone stays +0, and the loss falls', async (_, algorithm) => {
    for (const dtype of ['float32', 'float64'] as const) {
      const options = { method: method('woodfisher'), sparsity: 0.8, dtype } as const;
      const before = await one(mlp(), options);
      const after = await one(mlp(), { ...options, fineTuning: { epochs: 3, algorithm } });
      expect(after.masks).toEqual(before.masks);
      expect(zeros(after)).toBe(Math.round(0.8 * 144));
      expect(after.after.loss).toBeLessThan(before.after.loss);
      expect(after.measuredIncrease).toBe(before.measuredIncrease);
    }
  });
  test('events follow the cubic, each mask within the last', async () => {
    const algorithm = onHost(sgd({ learningRate: 0.1 }));
    const result = await one(mlp(), {
      method: method('obs-diagonal'),
      sparsity: 0.9,
      events: 4,
      steps: 2,
      fineTuning: { epochs: 1, algorithm },
    });
    expect(zeros(result)).toBe(Math.round(0.9 * 144));
    expect([1, 2, 3, 4].map((k) => gradualSparsity(k, 4, 0.1, 0.9))).toEqual(
      [0.1, 0.9 - 0.8 * (2 / 3) ** 3, 0.9 - 0.8 / 27, 0.9].map((x) => expect.closeTo(x, 12)),
    );
    expect([1, 2].map((t) => geometricSparsity(t, 2, 0, 0.75))).toEqual([0.5, 0.75]);
  });
  test('the values that are given are those that were measured', async () => {
    const f = mlp();
    const result = await one(f, { method: method('mfac'), sparsity: 0.7, steps: 2 });
    expect(await evaluate(withValues(f, result.values), { dtype: 'float64' })).toEqual(result.after);
  });
});

test.each<[string, Partial<PruneOptions>, RegExp]>([
  ['sparsity 1', { sparsity: 1 }, /at least 0 and below 1, not 1/],
  ['a negative sparsity', { sparsity: [0.5, -0.1] }, /not -0.1/],
  ['NaN', { sparsity: Number.NaN }, /not NaN/],
  ['no sparsity', {}, /give a sparsity/],
  ['no steps', { sparsity: 0.5, steps: 0 }, /number of steps/],
  ['events without training', { sparsity: 0.5, events: 3 }, /fine-tuning between them/],
  [
    'more gradients than samples',
    { sparsity: 0.5, method: woodfisher({ gradients: 121 }) },
    /121 gradients of 1 sample each were asked for, but the calibration data hold 120/,
  ],
  [
    'batches larger than the data',
    { sparsity: 0.5, method: woodfisher({ gradientBatch: 500 }) },
    /1 gradients of 500 samples/,
  ],
  ['half a gradient', { sparsity: 0.5, method: woodfisher({ gradients: 1.5 }) }, /gradients must be a whole number/],
  ['no such parameter', { sparsity: 0.5, parameters: ['nothing'] }, /matches no parameter/],
  ['nothing left', { sparsity: 0.5, freeze: ['*.weight'] }, /no weights .* left to prune/],
  ['zero damping', { sparsity: 0.5, method: woodfisher({ damping: 0 }) }, /damping must be a positive number/],
])('%s is refused', async (_, options, message) => {
  await expect((async () => one(mlp(), { method: method('woodfisher'), ...options }))()).rejects.toThrow(message);
});

test('a block size that is none is refused at once', () => {
  expect(() => pruningMethods.mfac({ blockSize: 0 })).toThrow(/block size/);
  expect(() => woodfisher({ blockSize: 'whole' })).toThrow(/for mfac/);
});
