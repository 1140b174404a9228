import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { csvRecords } from '../../src/data/csv-records.js';
import { type DatasetOptions, openDataset } from '../../src/data/index.js';
import { byteFlips, failsProperly, truncations, writeAnew } from '../base/fuzz.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hessia-csv-'));
});

async function read(text: string | Uint8Array, options: DatasetOptions = {}) {
  const path = join(folder, 'table.csv');
  await writeAnew(path, typeof text === 'string' ? Buffer.from(text) : text);
  await using data = await openDataset(path, options);
  const { inputs, target } = await data.batch(0, data.samples);
  return { table: inputs.get('table')!, target };
}

async function* pieces(text: string, size: number): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

describe('records', () => {
  const text = 'a,"b,""c""",d\r\n\r\n"two\r\nlines",é,\r"",x,"y"\nlast,1,2';
  const wanted = [
    { line: 1, fields: ['a', 'b,"c"', 'd'] },
    { line: 3, fields: ['two\r\nlines', 'é', ''] },
    { line: 5, fields: ['', 'x', 'y'] },
    { line: 6, fields: ['last', '1', '2'] },
  ];
  // Cut everywhere: between \r and \n, within a doubled quote, within a character.
  test.each([1, 2, 3, 5, 1000])('in pieces of %i bytes', async (size) => {
    const records = [];
    for await (const record of csvRecords(pieces(text, size), ',', 'f')) records.push(record);
    expect(records).toEqual(wanted);
  });

  test.each([
    ['1,"2\n3,4\n', 'f, line 1: a quote is never closed'],
    ['1\n"2"x,3\n', 'f, line 2: text after a closing quote'],
  ])('%j', async (text, message) => {
    const all = async (): Promise<void> => {
      for await (const _ of csvRecords(pieces(text, 100), ',', 'f'));
    };
    await expect(all()).rejects.toThrow(message);
  });
});

describe('tables', () => {
  test('without header, target by number', async () => {
    const { table, target } = await read('1,2,3\n4,5.5,6\n', { targetColumn: -1 });
    expect(table).toEqual({ dtype: 'float32', shape: [2, 2], data: Float32Array.of(1, 2, 4, 5.5) });
    expect(target).toEqual({ dtype: 'int32', shape: [2], data: Int32Array.of(3, 6) });
  });

  test('with header, target by name, byte-order mark, spaces and quotes', async () => {
    const { table, target } = await read('\uFEFFlabel, "x one" ,x2\n0.5," 1 ",-2e3\n', { targetColumn: 'label' });
    expect(table.data).toEqual(Float32Array.of(1, -2000));
    expect(target).toEqual({ dtype: 'float32', shape: [1], data: Float32Array.of(0.5) });
  });

  test.each([
    ['1;2;3\n', 3],
    ['1\t2\n', 2],
    ['7\n', 1],
    ['1, 2;3\n', 0],
  ])('the delimiter of %j', async (text, columns) => {
    if (columns === 0)
      await expect(read(text)).rejects.toThrow('no samples'); // taken for a header
    else expect((await read(text)).table.shape).toEqual([1, columns]);
  });

  test('many rows, and the first of them', async () => {
    const text = Array.from({ length: 3000 }, (_, i) => `${i},${i % 7}`).join('\n');
    const all = await read(text, { targetColumn: 1 });
    expect(all.table.data).toEqual(Float32Array.from({ length: 3000 }, (_, i) => i));
    expect(all.target!.data).toEqual(Int32Array.from({ length: 3000 }, (_, i) => i % 7));
    expect((await read(text, { samples: 10 })).table.shape).toEqual([10, 2]);
  });

  test('targets from a file of their own', async () => {
    await writeFile(join(folder, 'y.csv'), 'y\n3\n4\n');
    const { table, target } = await read('1,2\n3,4\n', { target: join(folder, 'y.csv') });
    expect(table.shape).toEqual([2, 2]);
    expect(target).toEqual({ dtype: 'int32', shape: [2], data: Int32Array.of(3, 4) });
    await writeFile(join(folder, 'y.csv'), 'id,y\n1,3\n2,4\n');
    const named = await read('1,2\n3,4\n', { target: join(folder, 'y.csv'), targetColumn: 'y' });
    expect(named.table.shape).toEqual([2, 2]);
    expect(named.target!.data).toEqual(Int32Array.of(3, 4));
  });

  test.each([
    ['a,b\n1,2\n3\n', {}, 'line 3: 1 fields where the first line has 2'],
    ['a,b\n1,x\n', {}, 'line 2, column "b" is "x", which is not a number'],
    ['1,2\n3,\n', {}, 'line 2, column 1 is empty'],
    ['1,nan\n', {}, 'line 1, column 1 is nan, which is not finite'],
    ['1,1e99\n', {}, 'column 1 is 1e99, which is not finite'],
    ['1,0x10\n2,3\n', {}, undefined], // a header, as far as anyone can tell
    ['a,b\n1,2\n', { targetColumn: 'c' }, 'has no column "c": its columns are "a", "b"'],
    ['1,2\n', { targetColumn: 2 }, 'has no column "2": it has no header; columns are numbered 0 to 1'],
    ['a,a\n1,2\n', { targetColumn: 'a' }, 'two columns named "a"'],
    ['a,b\n', {}, 'holds no samples'],
    ['\n\n', {}, 'holds no samples'],
    ['1\n2\n', { targetColumn: 0 }, 'no input arrays'],
  ])('%j with %o', async (text, options, message) => {
    if (message === undefined) expect((await read(text, options)).table.shape).toEqual([1, 2]);
    else await expect(read(text, options)).rejects.toThrow(message);
  });
});

test('damaged tables never do worse than an error of ours', async () => {
  const bytes = new TextEncoder().encode('a,"b",c\n1,2.5,3\n4,"5",6e2\n-7,8,9\n');
  for (const damaged of [...truncations(bytes), ...byteFlips(bytes, 2000)]) await failsProperly(() => read(damaged));
}, 60_000);
