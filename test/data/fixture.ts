/** The files that fixtures/make.py wrote, and the values it says they hold. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { toFloat64 } from '../../src/base/convert.js';
import type { NdArray } from '../../src/base/ndarray.js';

export function fixture(name: string): string {
  return fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));
}

interface Expected {
  readonly shape: number[];
  readonly values: string[];
}
export const expected = JSON.parse(readFileSync(fixture('expected.json'), 'utf8')) as Record<string, unknown> & {
  npz: Record<string, Expected>;
  idx: { images: string[]; labels: string[]; floats: string[] };
};

/** Values to compare: floats as numbers, integers as text because int64 has more digits than a number. */
export function valuesOf(array: NdArray): (number | string)[] {
  return array.dtype.startsWith('float')
    ? Array.from(toFloat64(array))
    : Array.from<number | bigint, string>(array.data, String);
}

/** The same from what Python printed for an array of this dtype. */
export function parseValues(texts: readonly string[], dtype: string): (number | string)[] {
  if (!dtype.startsWith('float')) return [...texts];
  return texts.map((text) => Number(text.replace('inf', 'Infinity'))); // "nan" is not a number either way
}
