import { expect, test } from 'vitest';
import { formatBytes, formatCount, formatDuration, parseBytes } from '../../src/base/format.js';

test.each([
  ['1024', 1024],
  ['2GiB', 2 ** 31],
  ['1.5 GB', 1.5e9],
  ['800M', 800 * 2 ** 20],
  ['64kB', 64000],
  ['1k', 1024],
  ['.5 TiB', 2 ** 39],
  ['7b', 7],
])('%s is %i bytes', (text, bytes) => expect(parseBytes(text)).toBe(bytes));

test.each(['', '0', '-1GB', '2XB', 'GiB', '1e9', '1,5GB', '999999999TiB'])('"%s" is no size', (text) => {
  expect(() => parseBytes(text, '--memory')).toThrow(`--memory "${text}" is not a size`);
});

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.0 KiB'],
  [2 ** 31, '2.0 GiB'],
  [2 ** 20 - 1, '1.0 MiB'],
  [1.25 * 2 ** 40, '1.3 TiB'],
])('%d bytes are printed as %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));

test.each([
  [0.00085, '850 µs'],
  [0.0123, '12.3 ms'],
  [4.56, '4.56 s'],
  [0.9996, '1.00 s'],
  [59.97, '1 min 00 s'],
  [125, '2 min 05 s'],
  [12000, '3 h 20 min'],
  [3599.9, '1 h 00 min'],
  [NaN, 'unknown'],
])('%d seconds are printed as %s', (seconds, text) => expect(formatDuration(seconds)).toBe(text));

test('counts', () => expect(formatCount(1234567)).toBe('1,234,567'));
