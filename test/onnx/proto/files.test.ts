import { copyFile, mkdir, mkdtemp, readFile, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { toBytes } from '../../../src/base/ndarray.js';
import {
  decodeModel,
  encodeModel,
  encodeTensor,
  makeTensor,
  type OnnxExternal,
  type OnnxModel,
  readOnnxFile,
  replaceRanges,
  tensorArray,
  tensorPieces,
} from '../../../src/onnx/proto/index.js';
import { expected, fixture, parseValues, valuesOf } from './fixture.js';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'hessia-onnx-')), 'model');
  await mkdir(folder);
  path = join(folder, 'external.onnx');
  for (const name of ['external.onnx', 'external.data']) await copyFile(fixture(name), join(folder, name));
});

/** The model of the fixture with its first tensor's data elsewhere. */
async function relocated(change: Partial<OnnxExternal>): Promise<string> {
  const { model } = await readOnnxFile(fixture('external.onnx'));
  const [first, ...rest] = model.graph.initializers;
  const moved = { ...first!, payload: { ...(first!.payload as OnnxExternal), ...change } };
  const changed: OnnxModel = { ...model, graph: { ...model.graph, initializers: [moved, ...rest] } };
  await writeFile(path, encodeModel(changed));
  return path;
}

describe('external data', () => {
  test('has the values onnx wrote', async () => {
    const { model } = await readOnnxFile(path);
    for (const tensor of model.graph.initializers) {
      expect(tensor.payload.kind).toBe('external');
      const array = tensorArray(tensor);
      expect(valuesOf(array)).toEqual(parseValues(expected.external[tensor.name]!, array.dtype));
    }
  });

  test.each([1, 5, 1000])('is read in pieces of %i elements', async (count) => {
    const { model } = await readOnnxFile(path);
    for (const tensor of model.graph.initializers) {
      const pieces = [...tensorPieces(tensor, count)];
      const whole = tensorArray(tensor);
      expect(pieces.length).toBe(Math.ceil(whole.data.length / count));
      expect(pieces.every((p) => p.dtype === whole.dtype && p.data.length <= count)).toBe(true);
      expect(pieces.flatMap(({ data }) => [...(data as Float32Array)])).toEqual([...(whole.data as Float32Array)]);
    }
  });

  test('missing and truncated files are found before any work', async () => {
    await truncate(join(folder, 'external.data'), 60);
    await expect(readOnnxFile(path)).rejects.toThrow(
      /tensor "b": external file .* is truncated: bytes 24 to 64 are needed, it has 60/,
    );
    await expect(readOnnxFile(await relocated({ location: 'none.data' }))).rejects.toThrow(
      /cannot read .*none.data.*no such file/,
    );
  });

  test('a length that the shape contradicts', async () => {
    await expect(readOnnxFile(await relocated({ length: 8 }))).rejects.toThrow(
      'gives 8 bytes of external data where its shape needs 24',
    );
  });

  test.each(['../secret.data', '/etc/hostname', 'sub/../../secret.data', 'link.data'])(
    '%s does not lead out of the folder',
    async (location) => {
      await writeFile(join(folder, '..', 'secret.data'), new Uint8Array(64));
      await symlink(join(folder, '..', 'secret.data'), join(folder, 'link.data'));
      await expect(readOnnxFile(await relocated({ location }))).rejects.toMatchObject({
        code: 'INPUT',
        message: expect.stringContaining('outside the folder'),
      });
    },
  );

  test('a cache whose snapshot links to a store works', async () => {
    await mkdir(join(folder, 'snapshot'));
    for (const name of ['external.onnx', 'external.data'])
      await symlink(join(folder, name), join(folder, 'snapshot', name));
    const { model } = await readOnnxFile(join(folder, 'snapshot', 'external.onnx'));
    expect(tensorArray(model.graph.initializers[1]!).data).toEqual(BigInt64Array.of(0n, 1n, 2n, 3n, 4n));
  });

  test('cannot be found for bytes', async () => {
    const model = decodeModel(await readFile(path));
    expect(() => tensorArray(model.graph.initializers[0]!)).toThrow('load the model from its path');
  });
});

test('missing files and folders', async () => {
  await expect(readOnnxFile(join(folder, 'none.onnx'))).rejects.toMatchObject({
    code: 'INPUT',
    message: expect.stringContaining('no such file'),
  });
  await expect(readOnnxFile(folder)).rejects.toThrow('not a file');
});

describe('replacing tensors', () => {
  const read = async () => {
    const bytes = new Uint8Array(await readFile(fixture('everything.onnx')));
    return { bytes, model: decodeModel(bytes) };
  };

  test('raw data of the same length changes only those bytes', async () => {
    const { bytes, model } = await read();
    const { payload } = model.graph.initializers.find(({ name }) => name === 'FLOAT-raw')!;
    const range = payload.kind === 'raw' ? payload.range! : { start: 0, end: 0 };
    const values = toBytes({ dtype: 'float32', shape: [4], data: Float32Array.of(9, 8, 7, 6) });
    const out = replaceRanges(bytes, [{ range, bytes: values }]);
    const wanted = bytes.slice();
    wanted.set(values, range.start);
    expect(out).toEqual(wanted);
  });

  test('tensors of other lengths, nested ones too, keep everything else', async () => {
    const { bytes, model } = await read();
    const typed = model.graph.initializers.find(({ name }) => name === 'FLOAT-typed')!;
    const seven = model.graph.nodes[0]!.attributes.get('tensor')!;
    if (seven.type !== 'tensor') throw new Error('fixture changed');
    const long = makeTensor('FLOAT-typed', { dtype: 'float32', shape: [500], data: new Float32Array(500).fill(3) });
    const short = makeTensor('seven', { dtype: 'int64', shape: [0], data: new BigInt64Array(0) });
    const out = replaceRanges(bytes, [
      { range: typed.range!, bytes: encodeTensor(long) },
      { range: seven.value.range!, bytes: encodeTensor(short) },
    ]);
    const again = decodeModel(out);
    const names = (m: OnnxModel) => m.graph.initializers.map(({ name }) => name);
    expect(names(again)).toEqual(names(model));
    for (const [i, tensor] of again.graph.initializers.entries()) {
      if (tensor.dataType === 'string') continue;
      expect(tensorArray(tensor)).toEqual(
        tensorArray(tensor.name === 'FLOAT-typed' ? long : model.graph.initializers[i]!),
      );
    }
    expect(again.graph.nodes[0]!.attributes.get('tensor')).toMatchObject({ value: { dims: [0] } });
    expect(replaceRanges(bytes, [])).toEqual(bytes);
  });

  test('putting every tensor back gives the same file', async () => {
    const { bytes, model } = await read();
    const same = model.graph.initializers.map(({ range }) => ({
      range: range!,
      bytes: bytes.slice(range!.start, range!.end),
    }));
    expect(replaceRanges(bytes, same)).toEqual(bytes);
  });

  test('a range that is no field is refused', async () => {
    const { bytes, model } = await read();
    const { range } = model.graph.initializers[0]!;
    expect(() =>
      replaceRanges(bytes, [{ range: { start: range!.start + 1, end: range!.end }, bytes: new Uint8Array(1) }]),
    ).toThrow();
    const one = { range: range!, bytes: new Uint8Array(1) };
    expect(() => replaceRanges(bytes, [one, one])).toThrow('overlap');
  });
});
