import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeAll, expect, test } from 'vitest';
import { openDataset } from '../../src/data/index.js';
import { byteFlips, failsProperly, truncations, writeAnew } from '../base/fuzz.js';
import { expected, fixture } from './fixture.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hessia-idx-'));
});
const labels = fixture('labels-idx1-ubyte');

test.each(['images-idx3-ubyte', 'images-idx3-ubyte.gz'])('%s with labels', async (name) => {
  await using data = await openDataset(fixture(name), { target: labels });
  expect([...data.inputs]).toEqual([['images-idx3-ubyte', { dtype: 'float32', sampleShape: [3, 2] }]]);
  expect(data.target).toEqual({ dtype: 'int32', sampleShape: [] });
  const { inputs, target } = await data.batch(0, 4);
  expect(Array.from(inputs.get('images-idx3-ubyte')!.data, String)).toEqual(expected.idx.images);
  expect(Array.from(target!.data, String)).toEqual(expected.idx.labels);
  const part = await data.batch(1, 2);
  expect(Array.from(part.inputs.get('images-idx3-ubyte')!.data, String)).toEqual(expected.idx.images.slice(6, 18));
});

test('scaled images', async () => {
  await using data = await openDataset(fixture('images-idx3-ubyte'), {
    target: labels,
    scale: '1/255',
    mean: 0.286,
    std: 0.353,
  });
  const { inputs } = await data.batch(0, 4);
  const wanted = expected.idx.images.map((byte) => Math.fround((Number(byte) * (1 / 255) - 0.286) / 0.353));
  expect(Array.from(inputs.get('images-idx3-ubyte')!.data)).toEqual(wanted);
});

test('big-endian floats', async () => {
  await using data = await openDataset(fixture('floats-idx2-float'));
  expect(Array.from((await data.batch(0, 2)).inputs.values())[0]!.data).toEqual(
    Float32Array.from(expected.idx.floats, Number),
  );
});

const header = (...bytes: number[]): Buffer => Buffer.from([0, 0, ...bytes]);

test.each([
  ['truncated', header(8, 1, 0, 0, 0, 5, 1, 2), 'is truncated: its shape [5] needs 5 bytes'],
  ['too long', header(8, 1, 0, 0, 0, 1, 1, 2), 'has bytes left over'],
  ['without axes', header(8, 0), 'ends within the header'],
  ['cut in the header', header(8, 3, 0, 0, 0, 1), 'ends within the header'],
  ['huge', header(8, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255), 'too large to be held'],
])('a file %s', async (name, bytes, message) => {
  const path = join(folder, name);
  await writeFile(path, bytes);
  await expect(openDataset(path)).rejects.toThrow(message);
  await writeFile(path, gzipSync(bytes));
  const read = async (): Promise<void> => {
    await using data = await openDataset(path);
    await data.batch(0, 1);
  };
  await expect(read()).rejects.toThrow(message);
});

test('a gzip bomb is refused: by its header, by what deflate can reach, by the memory', async () => {
  const path = join(folder, 'bomb.gz');
  await writeFile(path, gzipSync(Buffer.concat([header(8, 1, 1, 0, 0, 0), Buffer.alloc(2 ** 24)])));
  const read = async (memory: number): Promise<void> => {
    await using data = await openDataset(path, { memory });
    await data.batch(0, 1);
  };
  await expect(read(2 ** 20)).rejects.toMatchObject({ code: 'OUT_OF_MEMORY' });
  await read(2 ** 25);
  await writeFile(path, gzipSync(Buffer.concat([header(8, 1, 0, 0, 0, 1), Buffer.alloc(2 ** 24)])));
  await expect(read(2 ** 25)).rejects.toThrow('bytes left over');
  await writeFile(path, gzipSync(header(8, 2, 255, 255, 255, 255, 0, 0, 255, 255)));
  await expect(read(Infinity)).rejects.toThrow('is truncated');
});

test.each([
  ['images-idx3-ubyte', 2000],
  ['images-idx3-ubyte.gz', 500],
] as const)(
  'damaged %s never does worse than an error of ours',
  async (name, flips) => {
    const bytes = await readFile(fixture(name));
    const path = join(folder, 'fuzz');
    const read = async (damaged: Uint8Array): Promise<boolean> => {
      await writeAnew(path, damaged);
      return failsProperly(async () => {
        await using data = await openDataset(path);
        await data.batch(0, data.samples);
      });
    };
    for (const damaged of truncations(bytes)) expect(await read(damaged)).toBe(true);
    let failures = 0;
    for (const damaged of byteFlips(bytes, flips)) failures += Number(await read(damaged));
    expect(failures).toBeGreaterThan(flips / 4);
  },
  60_000,
);
