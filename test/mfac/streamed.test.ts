/** Gradients streamed in column tiles: the numbers of the in-memory form, in bounded memory. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ComputationError, InputError, ShapeError } from '../../src/base/errors.js';
import type { NdArray } from '../../src/base/ndarray.js';
import { writeNpy } from '../../src/data/npy.js';
import { buildNpyHeader } from '../../src/data/npy-header.js';
import { openDevice } from '../../src/device/open.js';
import { type ColumnSource, npyColumns } from '../../src/mfac/column-source.js';
import { StaticFisher } from '../../src/mfac/static.js';
import { StreamedFisher } from '../../src/mfac/streamed.js';
import { normals } from '../reference/matrices.js';
import { denseInverse, relative, split, staticRecursion } from '../reference/mfac.js';

const [m, d, lambda] = [13, 1003, 1e-3];
const values = normals(m * d, 1);
const x = normals(d, 2);

/** Columns of a matrix in memory; `seen` is called before each tile. */
function columns(g: Float64Array, rows: number, width: number, seen?: () => void): ColumnSource {
  const dimension = g.length / rows;
  async function* tiles(): AsyncGenerator<Float64Array> {
    for (let from = 0; from < dimension; from += width) {
      seen?.();
      const to = Math.min(dimension, from + width);
      yield Float64Array.from(
        { length: rows * (to - from) },
        (_, i) => g[Math.floor(i / (to - from)) * dimension + from + (i % (to - from))] as number,
      );
    }
  }
  return { count: rows, dimension, dtype: 'float64', tiles };
}

describe.each([1, 100, 1003, 5000])('tiles of %i columns', (width) => {
  test('the numbers of the form in memory, to 1e-12', async () => {
    const streamed = await StreamedFisher.create(columns(values, m, width), { damping: lambda });
    await using fisher = await StaticFisher.create({ values, dimension: d }, { damping: lambda });
    expect(relative(streamed.pivots(), fisher.pivots())).toBeLessThanOrEqual(1e-12);
    expect(relative(await streamed.diagonal(), await fisher.diagonal())).toBeLessThanOrEqual(1e-12);
    for (const kind of ['inverse', 'forward'] as const)
      expect(relative(await streamed[kind]().applyVector(x), await fisher[kind]().applyVector(x))).toBeLessThanOrEqual(
        1e-12,
      );
    const whole = fisher.whitened();
    const v = await whole.readFloat64();
    whole.dispose();
    const found = new Float64Array(m * d);
    for await (const tile of streamed.whitened()) {
      const size = tile.values.length / m;
      for (let i = 0; i < m; i++) found.set(tile.values.subarray(i * size, (i + 1) * size), i * d + tile.from);
    }
    expect(relative(found, v)).toBeLessThanOrEqual(1e-12);
  });
});

test('the dense inverse and the paper’s recursion', async () => {
  const n = 150;
  const small = values.slice(0, m * n);
  const streamed = await StreamedFisher.create(columns(small, m, 40), { damping: { relative: 0.1 }, divisor: 5 });
  const gradients = split(small, n);
  const y = await streamed.inverse().applyVector(x.subarray(0, n));
  const wanted = denseInverse(gradients, streamed.lambda, 5);
  expect(
    relative(
      y,
      wanted.to2DArray().map((row) => row.reduce((s, v, j) => s + v * (x[j] as number), 0)),
    ),
  ).toBeLessThanOrEqual(1e-11);
  const plain = await StreamedFisher.create(columns(small, m, 40), { damping: lambda });
  expect(relative(plain.pivots(), staticRecursion(gradients, lambda).q)).toBeLessThanOrEqual(1e-12);
});

test('memory is that of two tiles, however many there are', async () => {
  const device = openDevice({ threads: 1 });
  const [width, n] = [50, 20_000];
  let [most, passes] = [0, 0];
  const source = columns(normals(m * n, 3), m, width, () => {
    most = Math.max(most, device.allocatedBytes);
  });
  const tiles = (): ReturnType<ColumnSource['tiles']> => {
    passes += 1;
    return source.tiles();
  };
  const streamed = await StreamedFisher.create({ ...source, tiles }, { damping: lambda, device });
  expect(passes).toBe(1);
  const tile = 8 * m * width;
  expect(most).toBeLessThanOrEqual(2 * tile);
  for await (const v of streamed.whitened()) most = Math.max(most, device.allocatedBytes, v.from - n);
  expect(passes).toBe(2);
  expect(most).toBeLessThanOrEqual(2 * tile);
  most = 0;
  await streamed.inverse().applyVector(normals(n, 4));
  expect(passes).toBe(4);
  expect(most).toBeLessThanOrEqual(2 * tile + 2 * 8 * n); // and the product's two vectors
  device.dispose();
});

describe('a .npy file', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hessia-columns-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test.each(['float64', 'float32'] as const)('%s, row after row', async (dtype) => {
    const path = join(folder, `${dtype}.npy`);
    const data = dtype === 'float64' ? values : Float32Array.from(values);
    await writeNpy(path, { dtype, shape: [m, d], data } as NdArray);
    await using source = await npyColumns(path, { columns: 77 });
    const streamed = await StreamedFisher.create(source, { damping: lambda });
    await using fisher = await StaticFisher.create({ values: data, dimension: d }, { damping: lambda });
    const wanted = await fisher.inverse().applyVector(x);
    // float32 tiles are summed in other pieces: A's condition is about 1 + d/λ, of float32's rounding
    const tolerance = dtype === 'float64' ? 1e-12 : 8 * 2 ** -24 * (1 + d / lambda);
    expect(relative(await streamed.inverse().applyVector(x), wanted)).toBeLessThanOrEqual(tolerance);
    const gathered: number[] = [];
    for await (const tile of source.tiles()) gathered.push(tile.length);
    expect(gathered.reduce((a, b) => a + b, 0)).toBe(m * d);
  });
  test('column after column', async () => {
    const path = join(folder, 'fortran.npy');
    const header = Buffer.from(buildNpyHeader('float64', [m, d]));
    header.write(header.toString('latin1').replace("'fortran_order': False", "'fortran_order': True "), 'latin1');
    const transposed = Float64Array.from(
      { length: m * d },
      (_, i) => values[(i % m) * d + Math.floor(i / m)] as number,
    );
    await writeFile(path, Buffer.concat([header, Buffer.from(transposed.buffer)]));
    await using source = await npyColumns(path);
    let passed = 0;
    for await (const tile of source.tiles()) {
      expect(tile).toEqual(values);
      passed += 1;
    }
    expect(passed).toBe(1);
  });
  test('what is none', async () => {
    const path = join(folder, 'wrong.npy');
    await writeNpy(path, { dtype: 'float64', shape: [m * d], data: values });
    await expect(npyColumns(path)).rejects.toThrow(InputError);
    await writeNpy(path, { dtype: 'int32', shape: [1, 2], data: Int32Array.of(1, 2) });
    await expect(npyColumns(path)).rejects.toThrow(InputError);
    await writeNpy(path, { dtype: 'float64', shape: [m, d], data: values });
    await expect(npyColumns(path, { columns: 0 })).rejects.toThrow(InputError);
    await expect(npyColumns(join(folder, 'missing.npy'))).rejects.toThrow(InputError);
  });
});

test('tiles that do not fit, or are not finite, are refused', async () => {
  const good = columns(values, m, 100);
  await expect(StreamedFisher.create({ ...good, dimension: d + 1 })).rejects.toThrow(ShapeError);
  await expect(StreamedFisher.create({ ...good, dimension: d - 1 })).rejects.toThrow(ShapeError);
  await expect(StreamedFisher.create({ ...good, count: m + 1 })).rejects.toThrow(ShapeError);
  await expect(StreamedFisher.create(columns(values.with(7, Number.NaN), m, 100))).rejects.toThrow(ComputationError);
  await expect(StreamedFisher.create(good, { divisor: 0 })).rejects.toThrow(InputError);
  await expect(StreamedFisher.create(good, { damping: -1 })).rejects.toThrow(InputError);
});
