/** Parquet and Arrow files, against what pyarrow says they hold. */
import { mkdtempSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Dataset, openDataset } from '../../src/data/index.js';
import { byteFlips, failsProperly, truncations, writeAnew } from '../base/fuzz.js';
import { fixture } from './fixture.js';

const folder = mkdtempSync(join(tmpdir(), 'hessia-tables-'));
const { table } = JSON.parse(readFileSync(fixture('tables.json'), 'utf8')) as { table: Record<string, string[]> };
const column = (name: string): number[] => (table[name] as string[]).map(Number);

async function collect(data: Dataset, size: number): Promise<Record<string, number[]>> {
  const found: Record<string, number[]> = {};
  for (let start = 0; start < data.samples; start += size) {
    const { inputs, target } = await data.batch(start, Math.min(size, data.samples - start));
    for (const [name, { data: values }] of [...inputs, ...(target ? [['target', target] as const] : [])])
      found[name] = [...(found[name] ?? []), ...Array.from<number | bigint, number>(values, Number)];
  }
  return found;
}
const interleaved = (...names: string[]): number[] =>
  column('a').flatMap((_, i) => names.map((name) => column(name)[i] as number));

describe.each([
  'scalars.parquet',
  'scalars-none.parquet',
  'scalars-gzip.parquet',
  'scalars-brotli.parquet',
  'scalars.arrow',
  'scalars.arrows',
])('%s', (name) => {
  test.each([1, 3, 10])('numbers are features, as in CSV; batches of %i', async (size) => {
    await using data = await openDataset(fixture(name), { targetColumn: 'label' });
    expect([...data.inputs]).toEqual([
      ['scalars', { dtype: 'float64', sampleShape: [3] }].map((x) => (x === 'scalars' ? name.replace(/\..*/, '') : x)),
    ]);
    expect(await collect(data, size)).toEqual({
      [name.replace(/\..*/, '')]: interleaved('a', 'b', 'c'),
      target: column('label'),
    });
  });
});

describe.each(['vectors.parquet', 'vectors.arrow'])('%s', (name) => {
  test.each([1, 3, 10])('lists are vectors, each column an input; batches of %i', async (size) => {
    await using data = await openDataset(fixture(name));
    expect(Object.fromEntries(data.inputs)).toEqual({
      x: { dtype: 'float32', sampleShape: [4] },
      tokens: { dtype: 'int32', sampleShape: [3] },
      flag: { dtype: 'bool', sampleShape: [] },
    });
    expect(data.target).toEqual({ dtype: 'int32', sampleShape: [] });
    expect(await collect(data, size)).toEqual({
      x: column('x'),
      tokens: column('tokens'),
      flag: column('flag'),
      target: column('label'),
    });
  });
  test('another target, and the targets alone', async () => {
    await using data = await openDataset(fixture(name), { targetColumn: 'tokens', samples: 7 });
    expect([...data.inputs.keys()]).toEqual(['x', 'flag', 'target']);
    expect((await data.batch(5, 2)).target?.data).toEqual(Int32Array.from(column('tokens').slice(15, 21)));
    await using apart = await openDataset(fixture('scalars.parquet'), { target: fixture(name) });
    expect((await apart.batch(0, 10)).target?.data).toEqual(Int32Array.from(column('label')));
  });
});

describe.each(['parquet', 'arrow'])('%s', (kind) => {
  test('all types of numbers', async () => {
    for (const targetColumn of ['i8', 'i16', 'i32', 'i64', 'u8', 'u16', 'u32', 'u64', 'f16', 'f32', 'f64']) {
      await using data = await openDataset(fixture(`types.${kind}`), { targetColumn });
      expect([...((await data.batch(0, 3)).target as { data: Float32Array }).data].map(Number), targetColumn).toEqual([
        1, 0, 1,
      ]);
    }
  });
  test.each([
    ['nulls', 'column "a" of PATH: sample 1 has no value'],
    ['text', 'column "name" of PATH holds'],
    ['ragged', 'column "x" of PATH: sample 1 has 1 values where the first has 2; all must have as many'],
    ['empty', 'PATH holds no samples'],
  ])('%s are refused', async (name, message) => {
    const path = fixture(`${name}.${kind}`);
    const read = async (): Promise<void> => {
      await using data = await openDataset(path);
      await data.batch(0, data.samples);
    };
    await expect(read()).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringContaining(message.replace('PATH', path)),
    });
  });
  test('a column that is not there', async () => {
    await expect(openDataset(fixture(`scalars.${kind}`), { targetColumn: 'class' })).rejects.toThrow(
      'has no column "class": its columns are "a", "b", "c", "label"',
    );
  });
  test('damaged files are refused in one line', async () => {
    const bytes = await readFile(fixture(`vectors.${kind}`));
    let refused = 0;
    for (const damaged of [...truncations(bytes), ...byteFlips(bytes, 300)]) {
      const path = join(folder, `damaged.${kind}`);
      await writeAnew(path, damaged);
      const failed = await failsProperly(async () => {
        await using data = await openDataset(path);
        await data.batch(0, data.samples);
      });
      if (failed) refused++;
    }
    expect(refused).toBeGreaterThan(250);
  });
});

test.each(['scalars-lz4.feather', 'scalars-zstd.feather'])('%s: compression is named', async (name) => {
  await expect(openDataset(fixture(name))).rejects.toMatchObject({
    exitCode: 2,
    message: expect.stringContaining("compression='uncompressed'"),
  });
});
