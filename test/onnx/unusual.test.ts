/** Valid files of unusual shape against onnxruntime; see fixtures/unusual/make.py. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readNpz } from '../../src/data/index.js';
import { loadOnnx } from '../../src/onnx/index.js';
import { difference, runModel } from './run.js';

const folder = join(import.meta.dirname, '../fixtures/unusual');
const names = readdirSync(folder)
  .filter((f) => f.endsWith('.onnx'))
  .map((f) => f.slice(0, -5));
/** samples influence one another there */
const refused = 'batch-coupled';

describe.each(names.filter((n) => n !== refused))('%s', (name) => {
  test('has the outputs of onnxruntime and the parameters of PyTorch', async () => {
    const model = await loadOnnx(join(folder, `${name}.onnx`));
    const arrays = await readNpz(join(folder, `${name}.npz`));
    const keys = [...arrays.keys()];
    const gradients = keys.filter((k) => k.startsWith('gradient/')).map((k) => k.slice(9));
    if (gradients.length > 0) expect(model.parameters.map((p) => p.name).sort()).toEqual(gradients.sort());
    for (const parameters of ['constants', 'inputs'] as const) {
      const found = runModel(model, arrays, { parameters });
      for (const key of keys.filter((k) => k.startsWith('expected/'))) {
        const expected = arrays.get(key)!,
          output = found.get(key.slice(9))!;
        expect(output.shape).toEqual(expected.shape);
        expect(difference(output.data, expected.data as Float32Array)).toBeLessThan(2e-6);
      }
    }
  });
});

test('training-mode BatchNormalization is refused in words', async () => {
  const model = await loadOnnx(join(folder, `${refused}.onnx`));
  expect(model.unsupported.join()).toContain('training mode, where samples of a batch influence one another');
  expect(() => runModel(model, {})).toThrow();
});
