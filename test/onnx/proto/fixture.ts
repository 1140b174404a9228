/** The files that fixtures/make.py wrote with the onnx package, and the values it read back from them. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { toFloat64 } from '../../../src/base/convert.js';
import type { NdArray } from '../../../src/base/ndarray.js';

export function fixture(name: string): string {
  return fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));
}

type Values = Record<string, string[]>;
export const expected = JSON.parse(readFileSync(fixture('expected.json'), 'utf8')) as Values & {
  patterns: Values;
  external: Values;
};

/** Floats as numbers, integers as text because int64 has more digits than a number. */
export function valuesOf(array: NdArray): (number | string)[] {
  return array.dtype.includes('float')
    ? Array.from(toFloat64(array))
    : Array.from<number | bigint, string>(array.data, String);
}

export function parseValues(texts: readonly string[], dtype: string): (number | string)[] {
  return dtype.includes('float') ? texts.map(parseNumber) : [...texts];
}

export function parseNumber(text: string): number {
  return Number(text.replace('inf', 'Infinity')); // "nan" is not a number either way
}
