import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { toFloat64 } from '../../src/base/convert.js';
import { type NdArray, toBytes } from '../../src/base/ndarray.js';
import { openDataset, readSafetensors, writeSafetensors } from '../../src/data/index.js';
import { byteFlips, failsProperly, lehmer, truncations, writeAnew } from '../base/fuzz.js';
import { fixture } from './fixture.js';

const folder = mkdtempSync(join(tmpdir(), 'hessia-safetensors-'));
const file = (name: string): string => join(folder, name);
const tables = JSON.parse(readFileSync(fixture('tables.json'), 'utf8')) as {
  'types.safetensors': Record<string, { shape: number[]; values: string[] }>;
  table: Record<string, string[]>;
};
const types = tables['types.safetensors'];

const one = '{"dtype":"F32","shape":[1],"data_offsets":[0,4]}';
/** A file with this header, which may be nonsense, before `data` bytes. */
function write(header: unknown, data = 0, length?: bigint): string {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(length ?? BigInt(text.length));
  writeFileSync(file('bad.safetensors'), Buffer.concat([prefix, text, Buffer.alloc(data)]));
  return file('bad.safetensors');
}

describe("PyTorch's file of every type", () => {
  test.each(Object.keys(types))('%s', async (name) => {
    const { shape, values } = types[name] as { shape: number[]; values: string[] };
    const array = (await readSafetensors(fixture('types.safetensors'))).get(name) as NdArray;
    expect(array.shape).toEqual(shape);
    const found = array.dtype.includes('int') || array.dtype === 'bool' ? array.data : toFloat64(array);
    if (array.dtype.includes('int') || array.dtype === 'bool')
      expect(Array.from<number | bigint, string>(found, String)).toEqual(values);
    else expect([...(found as Float64Array)]).toEqual(values.map((text) => Number(text.replace('inf', 'Infinity'))));
  });
  test('has all its arrays', async () => {
    expect([...(await readSafetensors(fixture('types.safetensors'))).keys()].sort()).toEqual(Object.keys(types).sort());
  });
});

test('what is written is what PyTorch wrote, byte for byte', async () => {
  const path = fixture('data.safetensors');
  await writeSafetensors(file('again.safetensors'), await readSafetensors(path));
  expect(await readFile(file('again.safetensors'))).toEqual(await readFile(path));
});

test('every type comes back', async () => {
  const arrays = await readSafetensors(fixture('types.safetensors'));
  await writeSafetensors(file('all.safetensors'), arrays);
  const again = await readSafetensors(file('all.safetensors'));
  expect(again.size).toBe(arrays.size);
  for (const [name, array] of arrays) {
    const found = again.get(name) as NdArray;
    expect([name, found.dtype, found.shape, [...toBytes(found)]]).toEqual([
      name,
      array.dtype,
      array.shape,
      [...toBytes(array)],
    ]);
  }
  const x = { dtype: 'float32', shape: [2], data: new Float32Array(3) } as const;
  await expect(writeSafetensors(file('no'), { x })).rejects.toThrow('has 3 values where its shape [2] needs 2');
  await expect(writeSafetensors(file('no'), { __metadata__: { ...x, shape: [3] } })).rejects.toThrow('no array can be');
});

test('as data: inputs by name and a target, by ranges', async () => {
  await using data = await openDataset(fixture('data.safetensors'));
  expect([...data.inputs]).toEqual([['x', { dtype: 'float32', sampleShape: [4] }]]);
  expect(data.target).toEqual({ dtype: 'int32', sampleShape: [] });
  const { inputs, target } = await data.batch(3, 4);
  expect([...(inputs.get('x') as NdArray).data].map(Number)).toEqual(tables.table.x?.slice(12, 28).map(Number));
  expect([...(target as NdArray).data].map(Number)).toEqual(tables.table.label?.slice(3, 7).map(Number));
});

describe('refused in one line', () => {
  const f32 = (shape: unknown, from: number, to: number): object => ({ dtype: 'F32', shape, data_offsets: [from, to] });
  test.each([
    ['a header beyond the file', () => write('{}', 0, 3n), 'ends within the header'],
    ['a header of 2^63 bytes', () => write('{}', 0, 2n ** 63n), 'its header claims'],
    ['no JSON', () => write('{"x":'), 'its header is not JSON'],
    [
      'a name twice',
      () => write(`{"x":${one}, "a:{\\"":{"dtype":"U8","shape":[0],"data_offsets":[4,4]},"x":${one}}`, 4),
      'a name stands there twice',
    ],
    ['a list', () => write('[]'), 'its header is not an object'],
    ['no offsets', () => write({ x: { dtype: 'F32', shape: [1] } }, 4), 'has no dtype, shape and data_offsets'],
    ['offsets of text', () => write({ x: f32([1], '0' as never, 4) }, 4), 'has no dtype, shape and data_offsets'],
    ['an unknown type', () => write({ x: { dtype: 'C64', shape: [1], data_offsets: [0, 8] } }, 8), 'type "C64"'],
    ['a wrong length', () => write({ x: f32([2], 0, 4) }, 4), 'needs 8 bytes, its data_offsets give 4'],
    ['a negative extent', () => write({ x: f32([-1], 0, -4) }, 4), 'impossible shape'],
    ['a shape beyond counting', () => write({ x: f32([2 ** 40, 2 ** 40], 0, 4) }, 4), 'too large'],
    ['a fraction', () => write({ x: f32([0.5], 0, 2) }, 2), 'impossible shape'],
    ['an overlap', () => write({ x: f32([2], 0, 8), y: f32([1], 4, 8) }, 8), 'overlap others'],
    ['a gap', () => write({ x: f32([1], 4, 8) }, 8), 'leave a gap'],
    ['a negative offset', () => write({ x: f32([1], -4, 0) }, 0), 'overlap others'],
    ['missing data', () => write({ x: f32([2], 0, 8) }, 4), 'it is truncated'],
    ['data left over', () => write({ x: f32([1], 0, 4) }, 8), '4 bytes follow its last array'],
  ])('%s', async (_, path, message) => {
    const error: unknown = await readSafetensors(path()).catch((e: unknown) => e);
    expect(error).toMatchObject({ exitCode: 2, message: expect.stringContaining(message) });
  });
});

test('thousands of damaged files: refused in one line, or read within the file', async () => {
  const bytes = await readFile(fixture('data.safetensors'));
  const { length } = bytes;
  const headerEnd = 8 + Number(bytes.readBigUInt64LE(0));
  const header = bytes.subarray(8, headerEnd).toString();
  const random = lehmer(7);
  /** pieces of the header's own text moved about, and numbers made extreme */
  function* shuffled(count: number): Generator<Uint8Array> {
    const numbers = ['0', '-1', '1e99', '4294967296', '9007199254740993', '1.5', 'null', '[]', '{}', '""'];
    for (let i = 0; i < count; i++) {
      const [from, size, to] = [random() % header.length, random() % 12, random() % header.length];
      const piece = random() % 2 ? header.slice(from, from + size) : (numbers[random() % numbers.length] as string);
      const text = header.slice(0, to) + piece + header.slice(to + (random() % 12));
      const prefix = Buffer.alloc(8);
      prefix.writeBigUInt64LE(BigInt(Buffer.byteLength(text)));
      yield Buffer.concat([prefix, Buffer.from(text), bytes.subarray(headerEnd)]);
    }
  }
  let refused = 0;
  let count = 0;
  for (const damaged of [...truncations(bytes), ...byteFlips(bytes, 1500), ...shuffled(1500)]) {
    const path = file('damaged.safetensors');
    await writeAnew(path, damaged);
    count++;
    const failed = await failsProperly(async () => {
      const arrays = await readSafetensors(path);
      const total = [...arrays.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
      if (total > length + 64) throw new Error(`${total} bytes from a file of ${length}`);
    });
    if (failed) refused++;
  }
  expect(count).toBeGreaterThan(3000);
  expect(refused).toBeGreaterThan(count / 2);
});
