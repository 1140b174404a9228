/** Single operators in every version from opset 9 to 23 against onnxruntime; see fixtures/operators.py. */
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { type ArrayDType, fromBytes, itemSize, type NdArray } from '../../src/base/ndarray.js';
import { readNpz } from '../../src/data/index.js';
import { modelFromOnnx } from '../../src/onnx/index.js';
import { decodeModel } from '../../src/onnx/proto/index.js';
import { difference, runModel } from './run.js';

/** case → "model", "in|NAME", "out|NAME" → array */
const cases = new Map<string, Map<string, NdArray>>();

beforeAll(async () => {
  const npz = await readNpz(join(import.meta.dirname, 'fixtures/operators.npz'));
  const blob = npz.get('blob')!.data as Uint8Array;
  for (const line of new TextDecoder().decode(npz.get('index')!.data as Uint8Array).split('\n')) {
    const [key, dtype, shape, offset] = line.split(';') as [string, ArrayDType, string, string];
    const dims = shape === '' ? [] : shape.split(',').map(Number);
    const bytes = itemSize(dtype) * dims.reduce((n, d) => n * d, 1);
    const [name, ...rest] = key.split('|') as [string, ...string[]];
    const arrays = cases.get(name) ?? new Map<string, NdArray>();
    arrays.set(rest.join('|'), fromBytes(dtype, dims, blob.subarray(Number(offset), Number(offset) + bytes)));
    cases.set(name, arrays);
  }
});

function check(name: string, arrays: ReadonlyMap<string, NdArray>): string | undefined {
  const bytes = arrays.get('model')!.data as Uint8Array;
  try {
    const model = modelFromOnnx({ path: name, bytes, model: decodeModel(bytes) });
    const inputs = new Map(
      [...arrays].flatMap(([key, a]) => (key.startsWith('in|') ? [[key.slice(3), a] as const] : [])),
    );
    for (const parameters of ['constants', 'inputs'] as const) {
      const found = runModel(model, inputs, { parameters });
      for (const [key, expected] of arrays) {
        if (!key.startsWith('out|')) continue;
        const output = found.get(key.slice(4))!;
        if (output.shape.join() !== expected.shape.join())
          return `${name}: ${key} has shape [${output.shape}], not [${expected.shape}]`;
        const worst = difference(output.data, expected.data as Float32Array);
        if (!(worst < 1e-5)) return `${name}: ${key} differs by ${worst}`;
      }
    }
    return undefined;
  } catch (error) {
    return `${name}: ${(error as Error).message}`;
  }
}

describe('operators', () => {
  test('there are hundreds of cases', () => expect(cases.size).toBeGreaterThan(700));
  test('all agree with onnxruntime', () => {
    expect([...cases].map(([name, arrays]) => check(name, arrays)).filter((fault) => fault !== undefined)).toEqual([]);
  }, 60_000);
});
