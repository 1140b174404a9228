/** Files in the style of tf2onnx, skl2onnx and paddle2onnx against onnxruntime; see fixtures/foreign.py. */
import { expect, test } from 'vitest';
import { derivativeFault } from './case-derivatives.js';
import { ofKind, packedModel, readPacked } from './packed.js';
import { difference, runModel } from './run.js';

const files = await readPacked('foreign.npz');
const keras = [
  'model/conv/Conv2D/ReadVariableOp:0',
  'model/conv/BiasAdd/ReadVariableOp:0',
  'model/dense/MatMul/ReadVariableOp:0',
  'model/dense/BiasAdd/ReadVariableOp:0',
];
const layers = (count: number): string[] =>
  Array.from({ length: count }, (_, i) => [`coefficient${i || ''}`, `intercepts${i || ''}`]).flat();
const parameters: Record<string, string[]> = {
  'tf2onnx-9': keras,
  'tf2onnx-13': keras,
  'skl2onnx-classifier': layers(3),
  // 1 − p is written with a weight
  'skl2onnx-binary': [...layers(2), 'unity'],
  'skl2onnx-regressor': layers(2),
  paddle2onnx: ['conv2d_0.w_0', 'batch_norm2d_0.w_0', 'batch_norm2d_0.b_0', 'linear_0.w_0', 'linear_0.b_0'],
};

test.each([...files.keys()])('%s', (name) => {
  const arrays = files.get(name)!;
  const model = packedModel(name, arrays);
  expect(model.unsupported).toEqual([]);
  expect(model.fixedBatch).toBeNull();
  expect(model.parameters.map((p) => p.name)).toEqual(parameters[name]);
  const expected = ofKind(arrays, 'out');
  expect(model.outputs.map((o) => o.name)).toEqual([...expected.keys()]);
  for (const kind of ['constants', 'inputs'] as const) {
    const found = runModel(model, ofKind(arrays, 'in'), { parameters: kind });
    for (const [key, want] of expected) {
      expect(found.get(key)!.shape).toEqual(want.shape);
      expect(difference(found.get(key)!.data, want.data as Float32Array)).toBeLessThanOrEqual(1e-6);
    }
  }
  expect(derivativeFault(model, Object.fromEntries(ofKind(arrays, 'in')))).toBeUndefined();
});

test('what stands before the labels can be asked for by name', () => {
  const arrays = files.get('skl2onnx-classifier')!;
  const found = runModel(packedModel('classifier', arrays), ofKind(arrays, 'in'), { also: ['probabilities'] });
  expect(found.get('probabilities')).toEqual(found.get('output_probability'));
});
