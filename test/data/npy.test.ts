import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { NdArray } from '../../src/base/ndarray.js';
import { readNpy, writeNpy } from '../../src/data/index.js';
import { buildNpyHeader, parseNpyHeader } from '../../src/data/npy-header.js';
import { byteFlips, failsProperly, truncations, writeAnew } from '../base/fuzz.js';
import { expected, fixture, parseValues, valuesOf } from './fixture.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hessia-npy-'));
});

describe('arrays written by NumPy', () => {
  const names = Object.keys(expected).filter((name) => name.endsWith('.npy'));

  test('there are fixtures', () => expect(names.length).toBeGreaterThan(20));

  test.each(names)('%s', async (name) => {
    const array = await readNpy(fixture(name));
    const { shape, values } = expected[name] as { shape: number[]; values: string[] };
    expect(array.shape).toEqual(shape);
    expect(valuesOf(array)).toEqual(parseValues(values, array.dtype));
  });
});

test.each(['text.npy', 'object.npy', 'complex.npy', 'structured.npy'])('%s is refused by type', async (name) => {
  await expect(readNpy(fixture(name))).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    message: expect.stringContaining(name),
  });
});

test('what is written has the bytes NumPy writes', async () => {
  for (const name of ['f2', 'f4', 'f8', 'i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8', 'bool', 'scalar', 'empty']) {
    const path = fixture(`${name}.npy`);
    const copy = join(folder, `${name}.npy`);
    await writeNpy(copy, await readNpy(path));
    const [ours, theirs] = [await readFile(copy), await readFile(path)];
    // NumPy leaves room for the shape to grow, so the padding may differ; the description and the data may not.
    const parts = (bytes: Buffer) => {
      const { dataOffset } = parseNpyHeader(bytes, name);
      return [bytes.subarray(10, dataOffset).toString('latin1').trimEnd(), bytes.subarray(dataOffset).toString('hex')];
    };
    expect(parts(ours)).toEqual(parts(theirs));
  }
});

test('headers end on a multiple of 64 bytes', () => {
  for (const shape of [[], [1], [10, 20, 30], Array.from({ length: 32 }, () => 123456)]) {
    expect(buildNpyHeader('float32', shape).length % 64).toBe(0);
  }
});

test('Python 2 headers, spaces and either quote are read', () => {
  const text = `{"shape": (3L, 4L), "fortran_order" : True, 'descr': ">i2"}\n`;
  const bytes = Buffer.concat([
    Buffer.from(`\x93NUMPY\x01\x00${String.fromCharCode(text.length, 0)}${text}`, 'latin1'),
  ]);
  expect(parseNpyHeader(bytes, 'x')).toMatchObject({
    dtype: 'int16',
    littleEndian: false,
    fortranOrder: true,
    shape: [3, 4],
    dataLength: 24,
  });
});

test.each([
  ['negative extent', `{'descr': '<f4', 'fortran_order': False, 'shape': (-3,), }`, 'impossible shape [-3]'],
  ['huge shape', `{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999), }`, 'too large'],
  ['huge but countable shape', `{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999,), }`, 'is truncated'],
  ['no shape', `{'descr': '<f4', 'fortran_order': False, }`, 'not a description of an array'],
  ['unknown type', `{'descr': '<f3', 'fortran_order': False, 'shape': (1,), }`, 'of type "<f3"'],
])('%s is refused before anything is allocated', async (_, text, message) => {
  const path = join(folder, 'bad.npy');
  await writeFile(path, Buffer.from(`\x93NUMPY\x01\x00${String.fromCharCode(text.length, 0)}${text}`, 'latin1'));
  await expect(readNpy(path)).rejects.toThrow(message);
});

test('bytes left over and missing files are named', async () => {
  const path = join(folder, 'long.npy');
  await writeFile(path, Buffer.concat([await readFile(fixture('f4.npy')), Buffer.alloc(1)]));
  await expect(readNpy(path)).rejects.toThrow(`${path} has bytes left over`);
  await expect(readNpy(join(folder, 'none.npy'))).rejects.toMatchObject({
    code: 'INPUT',
    exitCode: 2,
    message: expect.stringContaining('no such file'),
  });
  await expect(readNpy(folder)).rejects.toThrow('not a file');
});

test('bfloat16 cannot be written', async () => {
  const array: NdArray = { dtype: 'bfloat16', shape: [1], data: Uint16Array.of(0) };
  await expect(writeNpy(join(folder, 'b.npy'), array)).rejects.toMatchObject({ code: 'UNSUPPORTED' });
});

test('damaged files never do worse than an error of ours', async () => {
  const bytes = await readFile(fixture('f4.npy'));
  const path = join(folder, 'damaged.npy');
  const read = async (damaged: Uint8Array): Promise<boolean> => {
    await writeAnew(path, damaged);
    return failsProperly(() => readNpy(path));
  };
  for (const damaged of truncations(bytes)) expect(await read(damaged)).toBe(true);
  let failures = 0;
  for (const damaged of byteFlips(bytes, 2000)) failures += Number(await read(damaged));
  expect(failures).toBeGreaterThan(500); // the checks do see the damage: two thirds of the file is header
}, 60_000);
