/** Data that a function yields, against the same in arrays. */
import { describe, expect, test } from 'vitest';
import {
  type ArrayInput,
  type Dataset,
  dataFingerprint,
  datasetFromArrays,
  datasetFromIterable,
} from '../../src/data/index.js';

const samples = 11;
const x = Float64Array.from({ length: 3 * samples }, (_, i) => Math.cos(i));
const y = Int32Array.from({ length: samples }, (_, i) => i);
const whole = datasetFromArrays({
  inputs: { x: { data: x, shape: [samples, 3] } },
  target: { data: y, shape: [samples] },
});
let starts = 0;
let ends = 0;
async function* of(...sizes: number[]): AsyncGenerator<Record<string, ArrayInput>> {
  starts++;
  try {
    for (let at = 0, i = 0; at < samples; i++) {
      const n = Math.min(sizes[i % sizes.length] as number, samples - at);
      yield {
        x: { data: x.slice(3 * at, 3 * (at + n)), shape: [n, 3] },
        target: { data: y.slice(at, at + n), shape: [n] },
      };
      at += n;
    }
  } finally {
    ends++;
  }
}
const values = async (data: Dataset, start: number, count: number): Promise<unknown> => {
  const { inputs, target } = await data.batch(start, count);
  return [[...(inputs.get('x')?.data ?? [])], [...(target?.data ?? [])]];
};

test.each([[1], [4], [2, 5, 0, 1], [samples]])('batches of %i … in batches of any size', async (...sizes) => {
  await using data = await datasetFromIterable(() => of(...sizes));
  expect(data.samples).toBe(samples);
  expect([...data.inputs]).toEqual([...whole.inputs]);
  for (const size of [1, 3, 4, samples])
    for (let start = 0; start + size <= samples; start += size)
      expect(await values(data, start, size)).toEqual(await values(whole, start, size));
  // backwards, and several at once
  const both = await Promise.all([values(data, 5, 3), values(data, 0, 2), values(data, 8, 3)]);
  expect(both).toEqual([await values(whole, 5, 3), await values(whole, 0, 2), await values(whole, 8, 3)]);
  expect(await dataFingerprint(data)).toBe(await dataFingerprint(whole));
});

test('single samples, from a plain iterable; a known number of them is not counted', async () => {
  const one = function* (): Generator<Record<string, ArrayInput>> {
    starts++;
    for (let i = 0; i < samples; i++)
      yield { x: { data: x.slice(3 * i, 3 * i + 3), shape: [3] }, target: { data: y.slice(i, i + 1), shape: [] } };
  };
  starts = 0;
  await using data = await datasetFromIterable(one, { of: 'samples', samples: 9 });
  for (let start = 0; start < 9; start += 3)
    expect(await values(data, start, 3)).toEqual(await values(whole, start, 3));
  expect(starts).toBe(1);
  await expect(data.batch(8, 2)).rejects.toThrow('the data set has 9');
});

test('disposing ends the iteration', async () => {
  [starts, ends] = [0, 0];
  const data = await datasetFromIterable(() => of(2), { samples: 6 });
  await data.batch(0, 2);
  await data.dispose();
  expect([starts, ends]).toEqual([1, 1]);
});

describe('what does not fit is refused', () => {
  const list = (...items: Record<string, ArrayInput>[]) => datasetFromIterable(() => items);
  const array = (...shape: number[]): ArrayInput => ({
    data: new Float32Array(shape.reduce((a, b) => a * b, 1)),
    shape,
  });
  test.each([
    ['nothing', [], 'yields nothing'],
    [
      'other shapes',
      [{ x: array(2, 3) }, { x: array(2, 4) }],
      'samples were float32 [3] at first, from sample 2 on they are float32 [4]',
    ],
    [
      'an array that ends',
      [{ x: array(1), z: array(1) }, { x: array(1) }],
      'array "z": samples were float32 [] at first, from sample 1 on they are absent',
    ],
    ['different numbers', [{ x: array(2), target: array(3) }], 'disagree in their numbers of samples'],
    ['no samples axis', [{ x: array() }], "say { of: 'samples' }"],
    ['a wrong count', [{ x: { data: new Float32Array(3), shape: [2] } }], 'has 3 values where its shape [2] needs 2'],
  ] as [string, Record<string, ArrayInput>[], string][])('%s', async (_, items, message) => {
    await expect(list(...items)).rejects.toMatchObject({ exitCode: 2, message: expect.stringContaining(message) });
  });
  test('an iterator that does not start anew', async () => {
    const once = of(2);
    await using data = await datasetFromIterable(() => once);
    await expect(data.batch(0, 2)).rejects.toThrow('the iterable ends after 0 samples, 2 are needed');
  });
  test('and errors of its own come through', async () => {
    const failing = async function* (): AsyncGenerator<Record<string, ArrayInput>> {
      yield { x: array(2) };
      throw new RangeError('no network');
    };
    await expect(datasetFromIterable(failing)).rejects.toThrow(RangeError);
  });
});
