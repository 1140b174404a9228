/** Whole networks as both exporters of PyTorch write them; see fixtures/networks.py. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readNpz } from '../../src/data/index.js';
import { loadOnnx } from '../../src/onnx/index.js';
import { difference, runModel } from './run.js';

const root = join(import.meta.dirname, '../..');
const arrays = await readNpz(join(import.meta.dirname, 'fixtures/networks.npz'));
const files = [...new Set([...arrays.keys()].map((k) => k.split('|')[0] as string))];
const of = (file: string, kind: 'in' | 'out') =>
  new Map(
    [...arrays].flatMap(([key, a]) =>
      key.startsWith(`${file}|${kind}|`) ? [[key.split('|')[2] as string, a] as const] : [],
    ),
  );

describe.each(files)('%s', (file) => {
  test.each(['float64', 'float32'] as const)('in %s', async (dtype) => {
    const model = await loadOnnx(join(root, file.replaceAll(':', '/')));
    expect(model.unsupported).toEqual([]);
    const found = runModel(model, of(file, 'in'), { dtype, parameters: 'inputs' });
    for (const [name, expected] of of(file, 'out')) {
      expect(found.get(name)!.shape).toEqual(expected.shape);
      expect(difference(found.get(name)!.data, expected.data as Float32Array)).toBeLessThan(1e-5);
    }
  });
});

describe('what is found in the examples', () => {
  test('parameters in file order, running statistics as buffers', async () => {
    const cnn = await loadOnnx(join(root, 'examples/cnn.onnx'));
    expect(cnn.parameters).toHaveLength(18);
    expect(cnn.parameters.slice(0, 5).map((p) => p.name)).toEqual([
      'conv1.weight',
      'conv1.bias',
      'bn1.weight',
      'bn1.bias',
      'depthwise.weight',
    ]);
    expect(cnn.buffers.map((b) => b.name).every((n) => n.includes('.running_'))).toBe(true);
    expect(cnn.parameters[0]!.consumers).toEqual(['Conv node_conv2d']);
    expect(cnn.inputs).toEqual([{ name: 'images', dtype: 'float32', shape: [null, 1, 28, 28] }]);
    expect(cnn.operators.get('BatchNormalization')).toBe(5);
    expect(cnn.fixedBatch).toBeNull();
    expect(cnn.warnings).toEqual([]);
    expect(cnn.fingerprint).toMatch(/^[0-9a-f]{64}$/);
    expect(cnn.parameters[0]!.values()).toHaveLength(16 * 9);
  });
  test('a position table counts, a causal mask does not', async () => {
    const gpt = await loadOnnx(join(root, 'examples/gpt.onnx'));
    expect(gpt.parameters.map((p) => p.name)).toContain('position');
    expect(gpt.buffers.map((b) => b.name)).toEqual(['blocks.0.future', 'blocks.1.future']);
    expect(gpt.inputs[0]).toEqual({ name: 'tokens', dtype: 'int32', shape: [null, 64] });
  });
  test('names made up by an exporter are pointed out', async () => {
    const folded = await loadOnnx(join(root, 'test/fixtures/tiny-cnn-folded.onnx'));
    expect(folded.warnings.join()).toContain('dynamo=True, optimize=False');
  });
  test('values of other names are returned on request', async () => {
    const mlp = await loadOnnx(join(root, 'examples/mlp.onnx'));
    const found = runModel(mlp, of('examples:mlp.onnx', 'in'), { also: ['relu'] });
    expect([...found.keys()]).toEqual(['logits', 'relu']);
  });
});
