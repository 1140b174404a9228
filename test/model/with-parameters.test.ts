/** Parameters out of a model and into it, against models that were made with them. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { numberToHalf } from '../../src/base/convert.js';
import type { NdArray } from '../../src/base/ndarray.js';
import { datasetFromArrays, readNpz, readSafetensors, writeSafetensors } from '../../src/data/index.js';
import { crossEntropy } from '../../src/model/loss.js';
import { meanLoss } from '../../src/model/mean-loss.js';
import { parameterArrays, withParameters } from '../../src/model/with-parameters.js';
import { loadOnnx, writeOnnx } from '../../src/onnx/index.js';
import { lossAndGradient } from '../../src/operators/create.js';

const folder = mkdtempSync(join(tmpdir(), 'hessia-parameters-'));
const fixture = (name: string): string => join(import.meta.dirname, '../fixtures', name);
const golden = (name: string): string => join(import.meta.dirname, '../golden', name);

/** exact in every type that is tried */
const changed = (arrays: Map<string, NdArray>): Map<string, NdArray> =>
  new Map(
    [...arrays].map(([name, { shape, data }]) => [
      name,
      { dtype: 'float32', shape, data: Float32Array.from(data as Float32Array, (_, i) => (((i * 7) % 31) - 15) / 32) },
    ]),
  );

test('a model with new parameters computes as a file that has them, the frozen ones included', async () => {
  const path = fixture('tiny-cnn.onnx');
  const model = await loadOnnx(path);
  const values = changed(parameterArrays(model));
  const flat = new Map([...values].map(([name, { data }]) => [name, Float64Array.from(data as Float32Array)]));
  await writeOnnx(path, flat, join(folder, 'changed.onnx'));
  await writeSafetensors(join(folder, 'changed.safetensors'), values);
  const loaded = withParameters(model, await readSafetensors(join(folder, 'changed.safetensors')));
  const wanted = await loadOnnx(join(folder, 'changed.onnx'));
  const arrays = await readNpz(golden('tiny-cnn.npz'));
  const data = datasetFromArrays({
    inputs: { x: arrays.get('x') as NdArray },
    target: arrays.get('target') as NdArray,
  });
  const before = await lossAndGradient(meanLoss(model, crossEntropy(), data), { dtype: 'float64' });
  for (const parameters of [[], [model.parameters[0]?.name as string]]) {
    const options = { dtype: 'float64', parameters } as const;
    const found = await lossAndGradient(meanLoss(loaded, crossEntropy(), data), options);
    expect(found).toEqual(await lossAndGradient(meanLoss(wanted, crossEntropy(), data), options));
    expect(found.loss).not.toBe(before.loss);
  }
  // the one it was made from is as it was
  expect((await lossAndGradient(meanLoss(model, crossEntropy(), data), { dtype: 'float64' })).loss).toBe(before.loss);
  expect(loaded.fingerprint).not.toBe(model.fingerprint);
  expect(withParameters(model, values).fingerprint).toBe(loaded.fingerprint);
});

test('halves are widened, and what is taken out goes in again', async () => {
  const model = await loadOnnx(fixture('tiny-mlp.onnx'));
  const values = changed(parameterArrays(model));
  const halves = Object.fromEntries(
    [...values].map(([name, { shape, data }]) => {
      const bits = Uint16Array.from(data as Float32Array, numberToHalf);
      return [name, { dtype: 'float16', shape, data: bits } as const];
    }),
  );
  expect(parameterArrays(withParameters(model, halves))).toEqual(values);
  expect(parameterArrays(withParameters(model, parameterArrays(model)))).toEqual(parameterArrays(model));
});

describe('values that do not fit are listed', () => {
  test('missing, unknown, misshapen, of another kind', async () => {
    const model = await loadOnnx(fixture('tiny-mlp.onnx'));
    const names = model.parameters.map((p) => p.name);
    const [first, second] = names as [string, string];
    const values = parameterArrays(model);
    const without = new Map(values);
    without.delete(first);
    without.delete(second);
    const one = { dtype: 'float32', shape: [1], data: new Float32Array(1) } as const;
    expect(() => withParameters(model, new Map([...without, ['a', one], ['b', one]]))).toThrow(
      `no values are given for ${first}, ${second}; a, b are no parameters`,
    );
    const shape = values.get(first)?.shape;
    expect(() => withParameters(model, new Map([...values, [first, one]]))).toThrow(
      `${first} is [${shape?.join(', ')}], given [1]`,
    );
    const whole = {
      dtype: 'int32',
      shape: shape ?? [],
      data: new Int32Array(values.get(first)?.data.length ?? 0),
    } as const;
    expect(() => withParameters(model, new Map([...values, [first, whole as NdArray]]))).toThrow('must hold floats');
  });
});
