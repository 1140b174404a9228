/** Folders and patterns of files against the same arrays in one. */
import { mkdirSync, mkdtempSync, symlinkSync } from 'node:fs';
import { copyFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { NdArray } from '../../src/base/ndarray.js';
import {
  type Batch,
  type Dataset,
  datasetFromArrays,
  openDataset,
  writeNpy,
  writeNpz,
  writeSafetensors,
} from '../../src/data/index.js';
import { fixture } from './fixture.js';

const folder = mkdtempSync(join(tmpdir(), 'hessia-shards-'));
const at = (...names: string[]): string => join(folder, ...names);
const sizes = [3, 1, 4, 2, 5, 2, 3, 1, 2, 1, 2]; // eleven: natural order differs from that of letters
const total = sizes.reduce((a, b) => a + b, 0);
const x = Float32Array.from({ length: 6 * total }, (_, i) => Math.sin(i));
const y = Int32Array.from({ length: total }, (_, i) => i % 7);
const starts = sizes.map((_, i) => sizes.slice(0, i).reduce((a, b) => a + b, 0));
const part = (i: number): { x: NdArray; target: NdArray } => {
  const [start, count] = [starts[i] as number, sizes[i] as number];
  return {
    x: { dtype: 'float32', shape: [count, 2, 3], data: x.slice(6 * start, 6 * (start + count)) },
    target: { dtype: 'int32', shape: [count], data: y.slice(start, start + count) },
  };
};
const whole = datasetFromArrays({
  inputs: { x: { data: x, shape: [total, 2, 3] } },
  target: { data: y, shape: [total] },
});
const values = ({ inputs, target }: Batch): unknown[] =>
  [...inputs.values(), target].map((array) => [
    array?.dtype,
    array?.shape,
    [...((array as NdArray).data as Float32Array)],
  ]);
/** both data sets hold the same in batches of any size and in any order */
async function same(data: Dataset): Promise<void> {
  expect(data.samples).toBe(total);
  for (const size of [1, 4, 7, total]) {
    for (let start = 0; start < total; start += size) {
      const count = Math.min(size, total - start);
      expect(values(await data.batch(start, count))).toEqual(values(await whole.batch(start, count)));
    }
  }
  const order = Int32Array.from({ length: 3 * total }, (_, i) => (i * 11 + 5) % total);
  expect(values((await data.take?.(order)) as Batch)).toEqual(values((await whole.take?.(order)) as Batch));
}

const kinds = ['npz', 'deflated', 'safetensors', 'npy'] as const;
beforeAll(async () => {
  for (const kind of [...kinds, 'labels', 'mixed', 'bad', 'names', 'types']) mkdirSync(at(kind));
  for (const [i] of sizes.entries()) {
    const { x: images, target } = part(i);
    await writeNpz(at('npz', `part-${i}.npz`), Object.entries({ x: images, target }));
    await writeNpz(at('deflated', `part-${i}.npz`), Object.entries({ x: images, target }), { compress: true });
    await writeSafetensors(at('safetensors', `part-${i}.safetensors`), { x: images, target });
    await writeNpy(at('npy', `${i}.npy`), images);
    await writeNpy(at('labels', `${i}.npy`), target);
    if (i % 2) await writeNpz(at('mixed', `part-${i}.npz`), Object.entries({ x: images, target }));
    else await writeSafetensors(at('mixed', `part-${i}.safetensors`), { x: images, target });
  }
  await writeFile(at('npz', 'README.md'), 'not data');
  await writeFile(at('npz', '.hidden.npz'), 'not data');
  mkdirSync(at('npz', 'more.npz'));
});

test.each(['npz', 'deflated', 'safetensors', 'mixed'])('a folder of %s', async (kind) => {
  await using data = await openDataset(at(kind));
  await same(data);
});
test('patterns, and targets in a folder of their own', async () => {
  await using pattern = await openDataset(at('npz', 'part-*.npz'));
  await same(pattern);
  await using pair = await openDataset(`x=${at('npy', '*.npy')}`, { target: at('labels') });
  await same(pair);
  await using named = await openDataset(at('npy', '*'), { target: at('labels') });
  expect([...named.inputs.keys()]).toEqual(['npy']);
  await using few = await openDataset(at('npz', 'part-[01].npz'));
  expect(few.samples).toBe(4);
});
test('tables and CSV', async () => {
  mkdirSync(at('tables'));
  await copyFile(fixture('scalars.parquet'), at('tables', '1.parquet'));
  symlinkSync(fixture('scalars.arrow'), at('tables', '2.arrow'));
  await writeFile(at('tables', '3.csv'), 'a,b,c,label\n1,2,3,0\n4,5,6,0.5\n');
  // int64 classes and fractions cannot be joined without loss
  await expect(openDataset(at('tables'), { targetColumn: 'label' })).rejects.toThrow('holds float32, column "label"');
  await using data = await openDataset(at('tables', '[12].*'), { targetColumn: 'label' });
  expect(data.samples).toBe(20);
  const [first, second] = [await data.batch(0, 10), await data.batch(10, 10)];
  expect(values(second)).toEqual(values(first));
});
test('the first samples: shards beyond them are not opened', async () => {
  await copyFile(at('npz', 'part-0.npz'), at('bad', '0.npz'));
  await copyFile(at('npz', 'part-1.npz'), at('bad', '1.npz'));
  await writeFile(at('bad', '2.npz'), 'damaged');
  await using data = await openDataset(at('bad'), { samples: 4 });
  expect(values(await data.batch(0, 4))).toEqual(values(await whole.batch(0, 4)));
  await expect(openDataset(at('bad'), { samples: 5 })).rejects.toThrow(at('bad', '2.npz'));
});

describe('shards that do not fit', () => {
  test('are named', async () => {
    const { x: images, target } = part(0);
    await writeSafetensors(at('names', 'a.safetensors'), { x: images, target });
    await writeSafetensors(at('names', 'b.safetensors'), { z: images, target });
    await expect(openDataset(at('names'))).rejects.toThrow(
      `${at('names', 'b.safetensors')} holds the arrays "target", "z", ${at('names', 'a.safetensors')} "target", "x"`,
    );
    await writeSafetensors(at('names', 'b.safetensors'), { x: { ...images, shape: [3, 3, 2] }, target });
    await expect(openDataset(at('names'))).rejects.toThrow(
      `array "x" in ${at('names', 'b.safetensors')} has samples of shape [3, 2], array "x" in ${at('names', 'a.safetensors')} of [2, 3]`,
    );
    const wide = { dtype: 'int64', shape: [3], data: new BigInt64Array(3) } as const;
    await writeSafetensors(at('types', 'a.safetensors'), { x: images, target });
    await writeSafetensors(at('types', 'b.safetensors'), { x: images, target: wide });
    await expect(openDataset(at('types'))).rejects.toThrow('holds int64, array "target" in');
  });
  test('none at all', async () => {
    mkdirSync(at('empty'));
    await expect(openDataset(at('empty'))).rejects.toThrow('holds no data files (npz, npy');
    await expect(openDataset(at('empty', '*.npz'))).rejects.toThrow('no file matches');
    await expect(openDataset(at('nowhere', '*.npz'))).rejects.toThrow('no such file or folder');
  });
});
