/** For every kind of layer: Σ D⊗A over samples, positions and a parameter's taps is its gradient. */
import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.js';
import { type Dataset, datasetFromArrays, type NdArray, readNpz } from '../../src/data/index.js';
import { openDataset } from '../../src/data/open.js';
import { crossEntropy, lossByName } from '../../src/model/loss.js';
import { type MeanLoss, meanLoss } from '../../src/model/mean-loss.js';
import { loadOnnx } from '../../src/onnx/index.js';
import { lossAndGradient } from '../../src/operators/create.js';
import { openLayerTaps } from '../../src/taps/evaluator.js';
import { layerTaps } from '../../src/taps/layer-taps.js';
import { nn, trace } from '../../src/trace/index.js';
import { relative } from '../reference/mfac.js';
import { type Case, cases, lossOver } from './models.js';
import { gradientsFromTaps, inOneVector } from './reference.js';

async function goldenData(name: string): Promise<Dataset> {
  const arrays = await readNpz(`test/golden/${name}.npz`);
  const input = arrays.has('x') ? 'x' : 'tokens';
  return datasetFromArrays({
    inputs: { [input]: arrays.get(input) as NdArray },
    target: arrays.get('target') as NdArray,
  });
}

/** @returns the kinds, in order */
async function check(f: MeanLoss, freeze: string[] = []): Promise<string> {
  await using taps = await openLayerTaps(f, { dtype: 'float64', group: 3, freeze });
  const found = inOneVector(await gradientsFromTaps(taps));
  const { gradient } = await lossAndGradient(f, { dtype: 'float64', freeze });
  expect(gradient.some((g) => g !== 0)).toBe(true);
  expect(relative(found, gradient)).toBeLessThanOrEqual(1e-13);
  return taps.taps.map((t) => t.kind).join(' ');
}

describe('layers', () => {
  test.each(cases.map((c) => [c.name, c] as const))('%s', async (_, { f, kinds }) => {
    expect(await check(f())).toBe(kinds);
  });
});

describe('files of both exporters', () => {
  const variants: [string, string, string][] = readdirSync('test/fixtures')
    .filter((file) => /^(tiny|mlp|cnn)-.*\.onnx$/.test(file) && file !== 'mlp-fixed-batch.onnx')
    .map((file) => {
      const name = file.replace('.onnx', '');
      const base = name.replace(/-(classic|folded|optimized|fused|add|external|opset18)$/, '');
      return [name, base, { 'tiny-mse': 'mse', 'tiny-bce': 'bce-with-logits' }[base] ?? 'cross-entropy'];
    });
  test.each(variants)('%s', async (name, base, loss) => {
    const model = await loadOnnx(`test/fixtures/${name}.onnx`);
    const data = base.startsWith('tiny')
      ? await goldenData(base)
      : await openDataset('examples/fashion-mnist-test.npz');
    const f = meanLoss(model, lossByName(loss), data, { batchSize: 5, samples: 6 });
    expect(await check(f, name === 'tiny-attention-add' ? ['mask'] : [])).not.toContain('other');
    await data.dispose();
  });
  test.each([
    ['mlp', 'fashion-mnist-test', 9],
    ['cnn', 'fashion-mnist-test', 4],
    ['gpt', 'gpt-test', 3],
  ] as const)('examples/%s', async (name, file, samples) => {
    const data = await openDataset(`examples/${file}.npz`);
    const f = meanLoss(await loadOnnx(`examples/${name}.onnx`), crossEntropy(), data, { samples, batchSize: 2 });
    expect(await check(f)).not.toContain('other');
    await data.dispose();
  });
  const unusual = readdirSync('test/fixtures/unusual')
    .filter((file) => file.endsWith('.onnx') && !/batch-coupled|loss-in-graph/.test(file))
    .map((file) => file.replace('.onnx', ''));
  test.each(unusual)('unusual/%s', async (name) => {
    const model = await loadOnnx(`test/fixtures/unusual/${name}.onnx`);
    const arrays = await readNpz(`test/fixtures/unusual/${name}.npz`);
    const shapes = Object.fromEntries(
      model.inputs.map((i) => [i.name, (arrays.get(i.name)?.shape ?? i.shape.map(() => 1)).slice(1)]),
    );
    await check(lossOver(model, shapes));
  });
});

test('what is listed', async () => {
  const taps = layerTaps(await loadOnnx('test/fixtures/tiny-cnn.onnx'), { freeze: ['conv1.*', 'head.*'] });
  const own = { consumer: 'Conv node_conv2d_1', kind: 'conv', parameter: 'conv2.weight', bias: null, weight: null };
  expect(taps.map(({ layout: { affine }, ...t }) => ({ ...t, affine }))).toEqual([
    expect.objectContaining({ parameter: 'norm.weight', kind: 'scale', positions: 25, groups: 4, in: 1, out: 1 }),
    expect.objectContaining({ parameter: 'norm.bias', kind: 'shift', positions: 25, groups: 1, in: 1, out: 4 }),
    {
      ...own,
      index: 2,
      inputShape: [1, 4, 4, 4],
      outputShape: [1, 4, 3, 3],
      positions: 9,
      groups: 2,
      in: 8,
      out: 2,
      affine: { offset: 0, strides: [16, 8, 1] },
    },
  ]);
  const [, , conv] = taps;
  expect(Array.from(conv!.layout.indices())).toEqual(Array.from({ length: 32 }, (_, i) => i));
});
test('biases are linked to their layers, both ways', async () => {
  const taps = layerTaps(await loadOnnx('test/fixtures/tiny-attention.onnx'));
  const links = taps.filter((t) => t.bias ?? t.weight).map((t) => [t.parameter, t.bias ?? t.weight]);
  expect(links).toEqual([
    ['qkv.weight', 'qkv.bias'],
    ['qkv.bias', 'qkv.weight'],
    ['up.weight', 'up.bias'],
    ['up.bias', 'up.weight'],
  ]);
});
test('transposed storage, steps as positions, tied tensors', () => {
  const of = (name: string) => layerTaps((cases.find((c) => c.name === name) as Case).f());
  const [, , second] = of('Gemm with every option, MatMul');
  expect(second?.layout.affine).toEqual({ offset: 0, strides: [0, 1, 3] });
  const lstm = of('LSTM');
  expect(lstm.map((t) => [t.parameter, t.positions, t.out, t.in])).toEqual([
    ['w', 5, 12, 2],
    ['r', 4, 12, 3], // the first step starts from zeros
    ['b', 5, 12, 1],
    ['b', 5, 12, 1],
  ]);
  const shared = of('a weight in two layers, multiplied with itself, normalised, repeated, in part');
  expect(shared.map((t) => t.parameter)).toEqual(['w', 'w', 'u', 'u', 'v', 'r', 's']);
});
test('a model with open shapes is refused without them, and a file of a fixed batch is listed', async () => {
  const fixed = await loadOnnx('test/fixtures/mlp-fixed-batch.onnx');
  expect(layerTaps(fixed).map((t) => t.positions)).toEqual(
    layerTaps(await loadOnnx('test/fixtures/mlp-classic.onnx')).map((t) => t.positions),
  );
  const open = trace((p, { x }) => nn.linear(x, p.w), { parameters: { w: [2, 3] }, inputs: { x: [null, null] } });
  expect(() => layerTaps(open)).toThrow(InputError);
  expect(layerTaps(open, { sampleShapes: { x: [3] } })).toHaveLength(1);
});
