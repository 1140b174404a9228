/** Archives of many small arrays packed into one blob; see fixtures/operators.py. */
import { join } from 'node:path';
import { type ArrayDType, fromBytes, itemSize, type NdArray } from '../../src/base/ndarray.js';
import { readNpz } from '../../src/data/index.js';
import { type ImportedModel, modelFromOnnx } from '../../src/onnx/index.js';
import { decodeModel } from '../../src/onnx/proto/index.js';

/** by name: "model", "in|NAME", "out|NAME", … → array */
export type Packed = ReadonlyMap<string, NdArray>;

export async function readPacked(file: string): Promise<Map<string, Packed>> {
  const npz = await readNpz(join(import.meta.dirname, 'fixtures', file));
  const blob = npz.get('blob')!.data as Uint8Array;
  const cases = new Map<string, Map<string, NdArray>>();
  for (const line of new TextDecoder().decode(npz.get('index')!.data as Uint8Array).split('\n')) {
    const [key, dtype, shape, offset] = line.split(';') as [string, ArrayDType, string, string];
    const dims = shape === '' ? [] : shape.split(',').map(Number);
    const bytes = itemSize(dtype) * dims.reduce((n, d) => n * d, 1);
    const [name, ...rest] = key.split('|') as [string, ...string[]];
    const arrays = cases.get(name) ?? new Map<string, NdArray>();
    arrays.set(rest.join('|'), fromBytes(dtype, dims, blob.subarray(Number(offset), Number(offset) + bytes)));
    cases.set(name, arrays);
  }
  return cases;
}

export function packedModel(name: string, arrays: Packed): ImportedModel {
  const bytes = arrays.get('model')!.data as Uint8Array;
  return modelFromOnnx({ path: name, bytes, model: decodeModel(bytes) });
}
/** those of one kind ("in", "out", "gradient"), by name */
export const ofKind = (arrays: Packed, kind: string): Map<string, NdArray> =>
  new Map([...arrays].flatMap(([key, a]) => (key.startsWith(`${kind}|`) ? [[key.slice(kind.length + 1), a]] : [])));
