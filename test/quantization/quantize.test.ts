/** Whole models: written, read back, run by onnxruntime (golden outputs), and from the command line. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { datasetFromArrays, type NdArray, readNpz } from '../../src/data/index.js';
import { openDataset } from '../../src/data/open.js';
import { crossEntropy, lossByName } from '../../src/model/loss.js';
import { type MeanLoss, meanLoss } from '../../src/model/mean-loss.js';
import { loadOnnx, writeOnnx, writeQuantizedOnnx } from '../../src/onnx/index.js';
import { evaluate } from '../../src/operators/evaluation.js';
import { dequantized, type QuantizeOptions, quantize } from '../../src/quantization/index.js';
import { hessia, temporaryFolder } from '../cli/cli.js';

const folder = temporaryFolder();

const fashion = 'examples/fashion-mnist-test.npz';
const data = await openDataset(fashion);
afterAll(() => data.dispose());
async function lossOf(model: string, samples = 64): Promise<MeanLoss> {
  return meanLoss(await loadOnnx(model), crossEntropy(), data, { samples });
}
async function written(
  model: string,
  options: QuantizeOptions,
): Promise<{ file: string; result: Awaited<ReturnType<typeof quantize>> }> {
  const result = await quantize(await lossOf(model), options);
  const file = join(folder, `${Math.random().toString(36).slice(2)}.onnx`);
  await writeQuantizedOnnx(model, result.weights, file);
  return { file, result };
}

describe('a quantised file', () => {
  test.each<[string, string, QuantizeOptions]>([
    ['an MLP, a scale a row', 'examples/mlp.onnx', { method: 'gptq', bits: 4 }],
    ['an MLP, in groups that do not divide', 'examples/mlp.onnx', { method: 'gptq', bits: 3, group: 100 }],
    ['an MLP, without zero points', 'examples/mlp.onnx', { method: 'rtn', bits: 8, symmetric: true, group: 64 }],
    ['a CNN', 'examples/cnn.onnx', { method: 'gptq', bits: 4, actOrder: true }],
    ['a CNN, in groups', 'examples/cnn.onnx', { method: 'rtn', bits: 4, group: 9 }],
    ['a file with data beside it', 'test/fixtures/mlp-external.onnx', { method: 'rtn', bits: 4 }],
  ])('%s: read back, it gives the loss of the weights it was made of', async (_, model, options) => {
    const { file, result } = await written(model, options);
    const back = await lossOf(file);
    for (const w of result.weights) expect(back.model.parameters.map((p) => p.name)).not.toContain(w.name);
    const of = await evaluate(back, { dtype: 'float64' });
    // the same numbers as weights of the original file
    const plain = join(folder, 'plain', 'weights.onnx');
    mkdirSync(join(folder, 'plain'), { recursive: true });
    await writeOnnx(model, new Map(result.weights.map((w) => [w.name, dequantized(w)])), plain);
    const want = await evaluate(await lossOf(plain), { dtype: 'float64' });
    // scale·(q − zero) in float64 here, rounded to float32 there: of the loss's digits, as many as of the weights'
    expect(Math.abs(of.loss - want.loss)).toBeLessThanOrEqual(1e-5 * want.loss);
    expect(Math.abs(result.after.loss - of.loss)).toBeLessThanOrEqual(1e-4 * of.loss);
  });
  test('every layer takes what the layers before it have become', async () => {
    const f = await lossOf('examples/mlp.onnx', 256);
    const [gptq, rtn] = [await quantize(f, { method: 'gptq', bits: 3 }), await quantize(f, { method: 'rtn', bits: 3 })];
    expect(gptq.after.loss).toBeLessThan(rtn.after.loss);
    expect(gptq.before.loss).toBe(rtn.before.loss);
    // alone, the last layer reads other inputs than behind its quantised predecessors
    const last = gptq.layers[gptq.layers.length - 1]!;
    const alone = await quantize(f, { method: 'gptq', bits: 3, parameters: [last.name] });
    expect(alone.layers[0]!.error).not.toBe(last.error);
  });
  test('the outputs that onnxruntime gave for the committed file', async () => {
    const golden = await readNpz('test/golden/quantized-cnn.npz');
    const model = await loadOnnx('test/fixtures/quantized-cnn.onnx');
    const target = golden.get('outputs') as NdArray;
    const given = datasetFromArrays({ inputs: { [model.inputs[0]!.name]: golden.get('x') as NdArray }, target });
    const { loss } = await evaluate(meanLoss(model, lossByName('mse'), given), { dtype: 'float64' });
    const scale = (target.data as Float32Array).reduce((s, v) => s + v * v, 0) / target.data.length;
    expect(loss).toBeLessThanOrEqual(1e-5 ** 2 * scale);
  });
});

describe('what cannot be done', () => {
  test.each<[string, QuantizeOptions, string]>([
    ['examples/mlp.onnx', { method: 'gptq', bits: 1 }, '2 to 8 bits, not 1'],
    ['examples/mlp.onnx', { method: 'obq', bits: 4, actOrder: true }, 'act-order is a choice of gptq'],
    ['examples/mlp.onnx', { method: 'rtn', bits: 4, group: 0 }, 'a group must be'],
    [
      'examples/cnn.onnx',
      { method: 'rtn', bits: 4, parameters: ['*bias*'] },
      'has no weights of linear layers or convolutions left to quantise',
    ],
  ])('%s %o', async (model, options, message) => {
    await expect(quantize(await lossOf(model, 8), options)).rejects.toThrow(message);
  });
});

test('hessia quantize', async () => {
  const out = join(folder, 'cli.onnx');
  const run = await hessia([
    ...['quantize', 'examples/mlp.onnx', '--data', fashion, '--samples', '64', '--method', 'obq', '--bits', '4'],
    ...['--params', 'fc2*', '--test', fashion, '--out', out, '--json'],
  ]);
  expect(run.stderr).toBe('');
  const document = JSON.parse(run.stdout) as {
    schemaVersion: number;
    before: { loss: number };
    after: { loss: number; accuracy: number };
    layers: { name: string; bits: number; error: number }[];
  };
  expect(document.schemaVersion).toBe(1);
  expect(document.layers.length).toBe(1);
  const back = meanLoss(await loadOnnx(out), crossEntropy(), data);
  const of = await evaluate(back);
  expect(Math.abs(of.loss - document.after.loss)).toBeLessThanOrEqual(1e-5 * of.loss);
  expect(of.accuracy).toBe(document.after.accuracy);
});
