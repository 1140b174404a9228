/** Traced models: parameters, layers, values, errors, curvature. */
import { describe, expect, test } from 'vitest';
import { datasetFromArrays } from '../../src/data/index.js';
import { Graph, type Node } from '../../src/graph/index.js';
import { crossEntropy, meanSquaredError } from '../../src/model/loss.js';
import { meanLoss } from '../../src/model/mean-loss.js';
import { gaussNewton, hessian, lossAndGradient } from '../../src/operators/create.js';
import { TrainingStep } from '../../src/operators/training-step.js';
import { initialisers, layers, nn, trace } from '../../src/trace/index.js';
import { tanhNetwork } from '../reference/models.js';
import { error, random } from './compute.js';

const data = datasetFromArrays({
  inputs: { x: { data: Float64Array.from(random(20 * 3)), shape: [20, 3] } },
  target: { data: Int32Array.from({ length: 20 }, (_, i) => i % 4), shape: [20] },
});

test('the tanh network in layers equals the one in primitives, with its curvature', async () => {
  const primitive = tanhNetwork([3, 5, 4]);
  const net = layers.sequential(layers.linear(3, 5), nn.tanh, layers.linear(5, 4));
  const traced = trace((p, { x }) => net.apply(p, x), {
    parameters: net.parameters,
    inputs: { x: [null, 3] },
  }).withVector(primitive.parameters.flatMap((p) => Array.from(p.values())));
  expect(traced.parameters.map((p) => p.name)).toEqual(['0.weight', '0.bias', '2.weight', '2.bias']);
  const v = Float64Array.from(random(44, 9));
  for (const make of [hessian, gaussNewton]) {
    await using A = await make(meanLoss(primitive, crossEntropy(), data), { dtype: 'float64' });
    await using B = await make(meanLoss(traced, crossEntropy(), data, { batchSize: 7 }), { dtype: 'float64' });
    expect(error(await B.applyVector(v), await A.applyVector(v))).toBeLessThan(1e-13);
  }
});

test('a convolutional network with normalisation, pooling and attention-free head runs in both types', async () => {
  const net = layers.sequential(
    layers.conv2d(1, 4, 3, { padding: 1, init: initialisers.kaimingNormal() }),
    layers.batchNorm(4, { mean: [0, 1, 2, 3], variance: [1, 2, 3, 4] }),
    nn.relu,
    (x) => nn.maxPool2d(x, 2),
    nn.flatten,
    layers.linear(16, 3),
  );
  const model = trace((p, { images }) => net.apply(p, images), {
    parameters: net.parameters,
    inputs: { images: [null, 1, 4, 4] },
  });
  const images = datasetFromArrays({
    inputs: { images: { data: Float32Array.from(random(5 * 16)), shape: [5, 1, 4, 4] } },
    target: { data: Int32Array.of(0, 1, 2, 1, 0), shape: [5] },
  });
  const f = meanLoss(model, crossEntropy(), images);
  const [single, double] = [await lossAndGradient(f), await lossAndGradient(f, { dtype: 'float64' })];
  expect(error(single.gradient, double.gradient)).toBeLessThan(1e-5);
  expect(Object.fromEntries(model.operators)).toMatchObject({ conv: 1, windowArgMax: 1 });
  expect(model.parameters.find((p) => p.name === '0.weight')?.consumers).toEqual(['conv']);
});

test('several outputs, an embedding, and frozen parameters', async () => {
  const model = trace(
    (p, { t }) => {
      const h = nn.embedding(t, p.table);
      return { hidden: h, y: nn.linear(nn.mean(h, [1]), p.head) };
    },
    {
      parameters: { table: { shape: [6, 4], init: initialisers.normal() }, head: [2, 4] },
      inputs: { t: { shape: [null, 3], dtype: 'int32' } },
    },
  );
  expect(model.outputs.map((o) => o.name)).toEqual(['hidden', 'y']);
  const tokens = datasetFromArrays({
    inputs: { t: { data: Int32Array.from({ length: 12 }, (_, i) => (i * 5) % 6), shape: [4, 3] } },
    target: { data: Float64Array.from(random(8)), shape: [4, 2] },
  });
  const f = meanLoss(model, meanSquaredError(), tokens, { output: 'y' });
  const all = await lossAndGradient(f, { dtype: 'float64' });
  const some = await lossAndGradient(f, { dtype: 'float64', freeze: ['table'] });
  expect(some.loss).toBe(all.loss);
  expect(error(some.gradient, all.gradient.slice(24))).toBeLessThan(1e-14);
});

test('fingerprints tell models apart by values and by what they compute, and equal ones are equal', () => {
  const make = (scale: number) =>
    trace((p, { x }) => nn.mul(scale, nn.linear(x, p.w)), { parameters: { w: [2, 3] }, inputs: { x: [null, 3] } });
  expect(make(2).fingerprint).toBe(make(2).fingerprint);
  expect(make(2).fingerprint).not.toBe(make(3).fingerprint);
  expect(make(2).withValues({ w: [1, 2, 3, 4, 5, 6] }).fingerprint).not.toBe(make(2).fingerprint);
  expect(
    Array.from(
      make(2)
        .withValues({ w: [1, 2, 3, 4, 5, 6] })
        .vector(),
    ),
  ).toEqual([1, 2, 3, 4, 5, 6]);
});

test('modes have different fingerprints, also where shapes stay open', () => {
  const open = trace((p, { x }) => nn.linear(nn.dropout(nn.mean(x, [1])), p.w), {
    parameters: { w: [2, 3] },
    inputs: { x: [null, null, 3] },
  });
  expect(open.withMode('train').fingerprint).not.toBe(open.fingerprint);
});

test('running statistics keep nine tenths of what they were', async () => {
  const model = trace((p, { x }) => nn.linear(layers.batchNorm(3).apply(p, x), p.head), {
    parameters: { ...layers.batchNorm(3).parameters, head: [4, 3] },
    inputs: { x: [null, 3] },
    mode: 'train',
  });
  await using trainer = await TrainingStep.create(meanLoss(model, crossEntropy(), data), { dtype: 'float64' });
  await trainer.step(Array.from({ length: 20 }, (_, i) => i));
  const columns = [0, 1, 2].map((c) => Array.from({ length: 20 }, (_, n) => random(60)[3 * n + c] as number));
  const means = columns.map((x) => x.reduce((a, v) => a + v, 0) / 20);
  const variances = columns.map((x, c) => x.reduce((a, v) => a + (v - (means[c] as number)) ** 2, 0) / 20);
  const [mean, variance] = Object.values(await trainer.buffers());
  expect(
    error(
      mean as Float64Array,
      means.map((m) => 0.1 * m),
    ),
  ).toBeLessThanOrEqual(20 * 2 ** -52);
  expect(
    error(
      variance as Float64Array,
      variances.map((v) => 0.9 + 0.1 * v),
    ),
  ).toBeLessThanOrEqual(40 * 2 ** -52);
});

describe('what is refused, at once and in one line', () => {
  const w = { parameters: { w: [2, 3] as const }, inputs: { x: [null, 4] as const } };
  test.each([
    ['linear: input float32[2, 4] does not fit weight float32[2, 3]', () => trace((p, { x }) => nn.linear(x, p.w), w)],
    [
      "axis 0 of input 'x' counts samples; give null for it, not 5",
      () => trace((_, { x }) => x, { parameters: {}, inputs: { x: [5, 2] } }),
    ],
    [
      "parameter 'w' of shape [2,3] needs 6 values, got 1",
      () => trace((_, { x }) => x, { ...w, parameters: { w: { shape: [2, 3], values: [1] } } }),
    ],
    ["parameter 'w' has shape [0]", () => trace((_, { x }) => x, { ...w, parameters: { w: [0] } })],
    ["has no parameter 'v'; it has w", () => trace((_, { x }) => x, w).withValues({ v: [1] })],
    ['has 6 parameter values, got 2', () => trace((_, { x }) => x, w).withVector([1, 2])],
    ['returned no output', () => trace(() => ({}), w)],
    [
      "'output' was made in another run",
      () => {
        let first: Node | undefined;
        const model = trace((p, { x }) => (first ??= nn.linear(x, p.w)), {
          parameters: { w: [2, 3] },
          inputs: { x: [null, 3] },
        });
        const graph = new Graph();
        const inputs = new Map([['x', graph.input('x', [2, 3], 'float32')]]);
        model.build({ graph, dtype: 'float32', inputs, parameters: new Map() });
      },
    ],
    ['do not form 3 groups', () => layers.conv2d(4, 6, 3, { groups: 3 })],
  ])('%s', (message, run) => {
    expect(run).toThrow(message);
  });
});
