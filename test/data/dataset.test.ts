import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { NdArray } from '../../src/base/ndarray.js';
import {
  type Dataset,
  dataFingerprint,
  datasetFromArrays,
  openDataset,
  readNpz,
  writeNpy,
  writeNpz,
} from '../../src/data/index.js';
import { expected, fixture } from './fixture.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hessia-data-'));
});
const file = (name: string): string => join(folder, name);

/** All samples, taken `size` at a time. */
async function collect(data: Dataset, size: number): Promise<Record<string, number[]>> {
  const columns: Record<string, number[]> = {};
  for (let start = 0; start < data.samples; start += size) {
    const { inputs, target } = await data.batch(start, Math.min(size, data.samples - start));
    for (const [name, array] of [...inputs, ...(target ? [['target', target] as const] : [])]) {
      const values = Array.from<number | bigint, number>(array.data, Number);
      columns[name] = [...(columns[name] ?? []), ...values];
    }
  }
  return columns;
}

const images = (): number[] => expected.npz.images!.values.map(Number);

describe.each(['stored.npz', 'deflated.npz'])('%s', (name) => {
  test.each([1, 2, 5])('in batches of %i', async (size) => {
    await using data = await openDataset(fixture(name));
    expect(data.samples).toBe(5);
    expect([...data.inputs]).toEqual([['images', { dtype: 'int32', sampleShape: [1, 2, 2] }]]);
    expect(data.target).toEqual({ dtype: 'int32', sampleShape: [] });
    expect(await collect(data, size)).toEqual({ images: images(), target: [3, 1, 4, 1, 5] });
    expect((await data.batch(1, 2)).inputs.get('images')!.shape).toEqual([2, 1, 2, 2]);
  });

  test('the first samples, standardised', async () => {
    await using data = await openDataset(fixture(name), { samples: 3, scale: '1/255', mean: 0.25, std: 0.5 });
    expect(data.samples).toBe(3);
    expect(data.inputs.get('images')!.dtype).toBe('float32');
    const wanted = images()
      .slice(0, 12)
      .map((byte) => Math.fround((byte * (1 / 255) - 0.25) / 0.5));
    // One rounding to float32 more than the formula: before it the bytes are exact.
    expect(await collect(data, 2)).toEqual({ images: wanted, target: [3, 1, 4] });
    await expect(data.batch(2, 2)).rejects.toThrow('samples 2 to 4 are asked for, the data set has 3');
  });
});

test.each(['stored.npz', 'deflated.npz'])('%s: any samples in any order', async (name) => {
  await using data = await openDataset(fixture(name), { scale: 0.5 });
  const chosen = [4, 0, 1, 4, 3];
  const { inputs, target } = await data.take!(Int32Array.from(chosen));
  expect(inputs.get('images')!.shape).toEqual([5, 1, 2, 2]);
  expect([...inputs.get('images')!.data]).toEqual(
    chosen.flatMap((i) =>
      images()
        .slice(4 * i, 4 * i + 4)
        .map((byte) => byte * 0.5),
    ),
  );
  expect([...target!.data]).toEqual(chosen.map((i) => [3, 1, 4, 1, 5][i]));
  for (const [bad, named] of [
    [[0, 5], 'sample 5'],
    [[], 'no samples'],
  ] as const)
    await expect(data.take!(bad)).rejects.toThrow(named);
});

test('a bad value among taken samples is named by its own sample', async () => {
  const data = datasetFromArrays({ inputs: { x: { data: Float32Array.of(1, 2, Number.NaN, 4), shape: [4, 1] } } });
  await expect(data.take!([3, 0, 2])).rejects.toThrow('element 0 of sample 2 is NaN');
});

test('a batch taken twice is the same: standardising does not eat into the source', async () => {
  const data = datasetFromArrays({ inputs: { x: { data: Float32Array.of(1, 2), shape: [2, 1] } } }, { scale: 10 });
  for (let i = 0; i < 2; i++) expect([...(await data.batch(0, 2)).inputs.get('x')!.data]).toEqual([10, 20]);
});

test('mean and standard deviation by channel', async () => {
  const x = { data: Float64Array.of(1, 2, 3, 4, 5, 6, 7, 8), shape: [2, 2, 2] };
  const data = datasetFromArrays({ inputs: { x } }, { mean: [1, 3], std: [1, 0.5] });
  expect([...(await data.batch(0, 2)).inputs.get('x')!.data]).toEqual([0, 1, 0, 2, 4, 5, 8, 10]);
  expect(() => datasetFromArrays({ inputs: { x } }, { mean: [1, 2, 3] })).toThrow('mean has 3 values');
});

test.each([
  [{ scale: 'x' }, 'scale "x" is not a number'],
  [{ scale: '1/0' }, 'scale'],
  [{ scale: 0 }, 'scale'],
  [{ std: 0 }, 'std must be'],
  [{ mean: NaN }, 'mean must be'],
  [{ samples: 0 }, 'whole number above 0'],
  [{ samples: 3 }, '3 samples are asked for'],
])('options %o are refused', (options, message) => {
  expect(() => datasetFromArrays({ inputs: { x: { data: Float32Array.of(1, 2), shape: [2] } } }, options)).toThrow(
    message,
  );
});

test('tokens stay integers, whatever the scale', async () => {
  const inputs = {
    tokens: { data: BigInt64Array.of(5n, 6n), shape: [2, 1] },
    x: { data: Float32Array.of(1, 2), shape: [2, 1] },
  };
  const data = datasetFromArrays({ inputs }, { scale: 2 });
  expect((await data.batch(0, 2)).inputs.get('tokens')).toEqual({
    dtype: 'int32',
    shape: [2, 1],
    data: Int32Array.of(5, 6),
  });
  expect(() => datasetFromArrays({ inputs: { tokens: inputs.tokens } }, { scale: 2 })).toThrow('no input holds floats');
});

test('types: half becomes float32, bool is 0 and 1, int64 must fit', async () => {
  const data = datasetFromArrays({
    inputs: {
      half: { data: Uint16Array.of(0x3c00, 0xc000), shape: [2], dtype: 'float16' },
      flags: { data: Uint8Array.of(7, 0), shape: [2], dtype: 'bool' },
    },
    target: { data: BigInt64Array.of(1n, 2n ** 40n), shape: [2] },
  });
  expect([...data.inputs.values()].map(({ dtype }) => dtype)).toEqual(['float32', 'bool']);
  await expect(data.batch(0, 2)).rejects.toThrow(
    'array "target": element 0 of sample 1 is 1099511627776, which is not a 32-bit integer',
  );
  const { inputs } = await data.batch(0, 1);
  expect([...inputs.get('half')!.data, ...inputs.get('flags')!.data]).toEqual([1, 1]);
});

test.each([NaN, Infinity, -Infinity])('%d in the data is named with array and sample', async (value) => {
  const x: NdArray = { dtype: 'float32', shape: [3, 2], data: Float32Array.of(1, 2, 3, 4, value, 6) };
  await writeNpz(file('nan.npz'), [
    ['x', x],
    ['target', { dtype: 'int32', shape: [3], data: Int32Array.of(1, 2, 3) }],
  ]);
  await using data = await openDataset(file('nan.npz'));
  await data.batch(0, 2);
  await expect(data.batch(1, 2)).rejects.toMatchObject({
    code: 'INPUT',
    exitCode: 2,
    message: `array "x" in ${file('nan.npz')}: element 0 of sample 2 is ${value}; every value must be finite`,
  });
});

describe('arrays that do not belong together', () => {
  const x = (shape: number[]): NdArray => ({
    dtype: 'float32',
    shape,
    data: new Float32Array(shape.reduce((a, b) => a * b, 1)),
  });
  test.each([
    [
      'different counts',
      [
        ['x', x([3])],
        ['target', x([2])],
      ],
      'array "x" in PATH has 3 samples, array "target" in PATH has 2; they must agree',
    ],
    ['a scalar', [['x', x([])]], 'array "x" in PATH is a single number'],
    ['nothing', [['x', x([0, 3])]], 'array "x" in PATH is empty'],
    ['empty samples', [['x', x([3, 0])]], 'is empty'],
    ['only a target', [['target', x([3])]], 'no input arrays'],
    ['no arrays', [], 'no input arrays'],
  ] as [string, [string, NdArray][], string][])('%s', async (name, arrays, message) => {
    const path = file(`${name.replace(/ /g, '-')}.npz`);
    await writeNpz(path, arrays);
    await expect(openDataset(path)).rejects.toThrow(message.replaceAll('PATH', path));
  });

  test('the same input twice, and two targets', async () => {
    await writeNpy(file('labels.npy'), x([5]));
    await expect(openDataset([fixture('stored.npz'), fixture('deflated.npz')])).rejects.toThrow(
      'two data files give the input "images"',
    );
    await expect(openDataset(fixture('stored.npz'), { target: file('labels.npy') })).rejects.toThrow('leave one out');
  });
});

describe('.npy pairs', () => {
  test('are named after the file or as told', async () => {
    await writeNpy(file('x.npy'), { dtype: 'float32', shape: [2, 1], data: Float32Array.of(1, 2) });
    await writeNpy(file('y.npy'), { dtype: 'float64', shape: [2], data: Float64Array.of(3, 4) });
    await using data = await openDataset(file('x.npy'), { target: file('y.npy') });
    expect(await collect(data, 1)).toEqual({ x: [1, 2], target: [3, 4] });
    await using named = await openDataset([`mask=${file('x.npy')}`, file('y.npy')]);
    expect([...named.inputs.keys()]).toEqual(['mask', 'y']);
    expect(named.target).toBeUndefined();
  });
});

describe('fingerprint', () => {
  test('is that of the values, whatever the file, and of every option that changes them', async () => {
    const prints = new Map<string, string>();
    for (const name of ['stored.npz', 'deflated.npz']) {
      await using data = await openDataset(fixture(name));
      prints.set(name, await dataFingerprint(data));
      expect(await dataFingerprint(data)).toBe(prints.get(name));
    }
    const arrays = await readNpz(fixture('stored.npz'));
    const memory = datasetFromArrays({ inputs: { images: arrays.get('images')! }, target: arrays.get('target')! });
    expect(new Set([...prints.values(), await dataFingerprint(memory)]).size).toBe(1);
    const others = await Promise.all(
      [{ samples: 4 }, { scale: 0.5 }, { mean: 1 }].map(async (options) => {
        await using data = await openDataset(fixture('stored.npz'), options);
        return await dataFingerprint(data); // awaited here, before the files close
      }),
    );
    expect(new Set([...prints.values(), ...others]).size).toBe(4);
    expect(prints.get('stored.npz')).toMatch(/^[0-9a-f]{64}$/);
  });
});

test('batches after dispose, and impossible ranges, are refused', async () => {
  const data = await openDataset(fixture('stored.npz'));
  for (const [start, count] of [
    [-1, 1],
    [0, 0],
    [0, 6],
    [0.5, 1],
    [0, NaN],
  ] as const) {
    await expect(data.batch(start, count)).rejects.toThrow('are asked for');
  }
  await data.dispose();
  await data.dispose();
  await expect(data.batch(0, 1)).rejects.toThrow('disposed');
});

test('typed arrays are checked against shape and dtype', () => {
  const make = (input: unknown): unknown => datasetFromArrays({ inputs: { x: input as never } });
  expect(() => make({ data: Float32Array.of(1, 2), shape: [3] })).toThrow('has 2 values where its shape [3] needs 3');
  expect(() => make({ data: [1, 2], shape: [2] })).toThrow('must be a typed array');
  expect(() => make({ data: Float32Array.of(1), shape: [1], dtype: 'int32' })).toThrow('a Float32Array cannot');
});

test('files of no known format', async () => {
  await writeFile(file('notes.md'), 'hello');
  await writeFile(file('empty.bin'), '');
  await expect(openDataset(file('notes.md'))).rejects.toThrow(
    'neither .npz, .npy, .safetensors, Parquet, Arrow, IDX nor CSV',
  );
  await expect(openDataset(file('empty.bin'))).rejects.toThrow('is empty');
  await expect(openDataset(file('none.npz'))).rejects.toMatchObject({
    code: 'INPUT',
    message: expect.stringContaining('no such file'),
  });
});
