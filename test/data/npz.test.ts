import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 as zlibCrc32 } from 'node:zlib';
import { beforeAll, describe, expect, test } from 'vitest';
import type { NdArray } from '../../src/base/ndarray.js';
import { crc32, crc32ByTable } from '../../src/data/crc32.js';
import { readNpz, writeNpz } from '../../src/data/index.js';
import { byteFlips, failsProperly, truncations, writeAnew } from '../base/fuzz.js';
import { expected, fixture, parseValues, valuesOf } from './fixture.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hessia-npz-'));
});

describe('archives written by Python', () => {
  test.each(['stored.npz', 'deflated.npz'])('%s', async (name) => {
    const arrays = await readNpz(fixture(name));
    expect([...arrays.keys()]).toEqual(Object.keys(expected.npz));
    for (const [key, array] of arrays) {
      expect(array.shape).toEqual(expected.npz[key]!.shape);
      expect(valuesOf(array)).toEqual(parseValues(expected.npz[key]!.values, array.dtype));
    }
  });

  test('Fortran order', async () => {
    const x = (await readNpz(fixture('fortran.npz'))).get('x')!;
    expect(x.shape).toEqual([4, 3]);
    expect(valuesOf(x)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  });

  test.each(['zip64.npz', 'descriptor.npz'])('%s', async (name) => {
    const x = (await readNpz(fixture(name))).get('x')!;
    expect(x).toMatchObject({ dtype: 'float32', shape: [3, 2] });
    expect(valuesOf(x)).toEqual([0, 1, 2, 3, 4, 5]);
  });
});

const sample: [string, NdArray][] = [
  ['layer.weight', { dtype: 'float32', shape: [2, 2], data: Float32Array.of(1, -2, 3.5, NaN) }],
  ['vector/größe', { dtype: 'int64', shape: [2], data: BigInt64Array.of(-1n, 2n ** 62n) }],
  ['loss', { dtype: 'float64', shape: [], data: Float64Array.of(Math.PI) }],
  ['none', { dtype: 'bool', shape: [0, 3], data: new Uint8Array(0) }],
];

test.each([true, false])('round trip, compressed: %s', async (compress) => {
  const path = join(folder, 'round.npz');
  await writeNpz(path, sample, { compress });
  expect([...(await readNpz(path))]).toEqual(sample);
});

test('the same arrays give the same bytes, and no temporary file stays', async () => {
  const [a, b] = [join(folder, 'a.npz'), join(folder, 'b.npz')];
  await writeNpz(a, sample);
  await writeNpz(b, new Map(sample));
  expect(await readFile(a)).toEqual(await readFile(b));
  expect((await readdir(folder)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
});

test('what NumPy stored is written with the same directory and data', async () => {
  const arrays = await readNpz(fixture('stored.npz'));
  const path = join(folder, 'copy.npz');
  await writeNpz(path, arrays);
  expect([...(await readNpz(path))]).toEqual([...arrays]);
});

test('a generator that throws leaves the old file', async () => {
  const path = join(folder, 'kept.npz');
  await writeNpz(path, sample);
  const before = await readFile(path);
  async function* broken(): AsyncGenerator<[string, NdArray]> {
    yield sample[0]!;
    throw new Error('computation failed');
  }
  await expect(writeNpz(path, broken())).rejects.toThrow('computation failed');
  expect(await readFile(path)).toEqual(before);
  expect((await readdir(folder)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
});

test('doubled and empty names are refused', async () => {
  await expect(writeNpz(join(folder, 'x.npz'), [sample[0]!, sample[0]!])).rejects.toThrow('distinct names');
  await expect(writeNpz(join(folder, 'x.npz'), [['', sample[0]![1]]])).rejects.toThrow('distinct names');
});

describe('refused archives', () => {
  const damage = async (name: string, change: (bytes: Buffer) => Buffer | undefined): Promise<string> => {
    const bytes = await readFile(fixture(name));
    const path = join(folder, `damaged-${name}`);
    await writeFile(path, change(bytes) ?? bytes);
    return path;
  };

  test('a flipped data bit fails the checksum', async () => {
    const path = await damage('stored.npz', (bytes) => {
      const at = bytes.indexOf('\n', bytes.indexOf('NUMPY')) + 3;
      bytes[at]! ^= 1;
      return bytes;
    });
    await expect(readNpz(path)).rejects.toThrow(`array "images" in ${path} is damaged: its checksum does not match`);
  });

  test('sizes that no compression reaches are refused without unpacking', async () => {
    const path = await damage('deflated.npz', (bytes) => {
      bytes.writeUInt32LE(0xfffffff0, bytes.indexOf('PK\x01\x02', 'latin1') + 24);
      return bytes;
    });
    await expect(readNpz(path)).rejects.toThrow('claims to unpack');
  });

  test('a real bomb is refused by the memory limit', async () => {
    const path = join(folder, 'bomb.npz');
    await writeNpz(path, [['x', { dtype: 'uint8', shape: [2 ** 24], data: new Uint8Array(2 ** 24) }]], {
      compress: true,
    });
    await expect(readNpz(path, { memory: 2 ** 20 })).rejects.toMatchObject({
      code: 'OUT_OF_MEMORY',
      message: expect.stringContaining('16.0 MiB'),
    });
    await expect(readNpz(fixture('stored.npz'), { memory: 300 })).rejects.toMatchObject({ code: 'OUT_OF_MEMORY' });
    expect((await readNpz(path, { memory: 2 ** 25 })).get('x')!.shape).toEqual([2 ** 24]);
  });

  test('other methods, other members, truncation and non-archives', async () => {
    const path = await damage('deflated.npz', (bytes) => {
      bytes.writeUInt16LE(14, bytes.indexOf('PK\x01\x02', 'latin1') + 10);
      return bytes;
    });
    await expect(readNpz(path)).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    const other = await damage('stored.npz', (bytes) =>
      Buffer.from(bytes.toString('latin1').replaceAll('.npy', '.txt'), 'latin1'),
    );
    await expect(readNpz(other)).rejects.toThrow('is not a .npy array');
    await expect(readNpz(await damage('stored.npz', (bytes) => bytes.subarray(0, 400)))).rejects.toThrow('truncated');
    await expect(readNpz(await damage('stored.npz', () => Buffer.alloc(0)))).rejects.toThrow('it is empty');
    await expect(readNpz(fixture('f4.npy'))).rejects.toThrow('not a valid .npz file');
  });
});

test('both checksum routines know the check value of CRC-32, and continue', () => {
  const bytes = new TextEncoder().encode('123456789');
  for (const sum of [crc32, crc32ByTable, zlibCrc32]) {
    expect(sum(bytes)).toBe(0xcbf43926); // the catalogue's check value
    expect(sum(bytes.subarray(4), sum(bytes.subarray(0, 4)))).toBe(0xcbf43926);
  }
});

test.each([
  ['stored.npz', 500],
  ['deflated.npz', 2000],
  ['zip64.npz', 500],
] as const)(
  'damaged %s never does worse than an error of ours',
  async (name, flips) => {
    const bytes = await readFile(fixture(name));
    const path = join(folder, `fuzz-${name}`);
    const read = async (damaged: Uint8Array): Promise<boolean> => {
      await writeAnew(path, damaged);
      return failsProperly(() => readNpz(path));
    };
    for (const damaged of truncations(bytes)) expect(await read(damaged)).toBe(true);
    let failures = 0;
    for (const damaged of byteFlips(bytes, flips)) failures += Number(await read(damaged));
    expect(failures).toBeGreaterThan(flips / 4);
  },
  120_000,
);
