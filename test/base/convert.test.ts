import { expect, test } from 'vitest';
import {
  bfloatToNumber,
  halfToNumber,
  numberToBfloat,
  numberToHalf,
  toFloat32,
  toInt32,
} from '../../src/base/convert.js';
import { checkedCount, fromBytes, toBytes } from '../../src/base/ndarray.js';

test('every half survives the way to a number and back', () => {
  for (let bits = 0; bits < 0x10000; bits++) {
    const value = halfToNumber(bits);
    if (Number.isNaN(value)) expect((bits & 0x7c00) === 0x7c00 && (bits & 0x3ff) !== 0).toBe(true);
    else if (numberToHalf(value) !== bits) expect.fail(`bits ${bits}`);
  }
});

test('every bfloat16 survives the way to a number and back', () => {
  for (let bits = 0; bits < 0x10000; bits++) {
    const value = bfloatToNumber(bits);
    if (!Number.isNaN(value) && numberToBfloat(value) !== bits) expect.fail(`bits ${bits}`);
  }
});

test('between two neighbours the nearer is taken, the even one on a tie', () => {
  // All positive halves up to the largest: neighbours differ by 1 in their bits, so midpoints are exact in float64.
  for (let bits = 0; bits < 0x7bff; bits++) {
    const [low, high] = [halfToNumber(bits), halfToNumber(bits + 1)];
    const middle = (low + high) / 2;
    const even = bits % 2 === 0 ? bits : bits + 1;
    const near = (high - low) * 2 ** -20;
    if (
      numberToHalf(middle) !== even ||
      numberToHalf(middle - near) !== bits ||
      numberToHalf(middle + near) !== bits + 1
    )
      expect.fail(`bits ${bits}`);
  }
  expect(numberToHalf(65519.99)).toBe(0x7bff);
  expect(numberToHalf(65520)).toBe(0x7c00);
  expect(numberToHalf(-1e300)).toBe(0xfc00);
  expect(numberToBfloat(1 + 2 ** -8)).toBe(0x3f80);
  expect(numberToBfloat(1 + 3 * 2 ** -8)).toBe(0x3f82);
});

test('to float32 and int32', () => {
  const data = Float32Array.of(1, 2);
  expect(toFloat32({ dtype: 'float32', shape: [2], data })).toBe(data);
  expect(toFloat32({ dtype: 'int64', shape: [2], data: BigInt64Array.of(-3n, 4n) })).toEqual(Float32Array.of(-3, 4));
  expect(toFloat32({ dtype: 'float16', shape: [1], data: Uint16Array.of(0x3c00) })).toEqual(Float32Array.of(1));
  const where = (i: number): string => `element ${i} of x`;
  expect(toInt32({ dtype: 'int64', shape: [1], data: BigInt64Array.of(-(2n ** 31n)) }, where)).toEqual(
    Int32Array.of(-(2 ** 31)),
  );
  expect(toInt32({ dtype: 'float32', shape: [2], data: Float32Array.of(3, -4) }, where)).toEqual(Int32Array.of(3, -4));
  for (const array of [
    { dtype: 'int64', shape: [2], data: BigInt64Array.of(0n, 2n ** 31n) },
    { dtype: 'uint32', shape: [2], data: Uint32Array.of(0, 2 ** 32 - 1) },
    { dtype: 'float64', shape: [2], data: Float64Array.of(0, 0.5) },
    { dtype: 'float64', shape: [2], data: Float64Array.of(0, NaN) },
  ] as const) {
    expect(() => toInt32(array, where)).toThrow(/element 1 of x is .*, which is not a 32-bit integer/);
  }
});

test('bytes: a view where aligned, a copy where not, both byte orders', () => {
  const bytes = new Uint8Array([0, 0, 0, 0, 0, 0, 128, 63, 0, 0, 0, 64]); // …, 1, 2 as float32
  const view = fromBytes('float32', [2], bytes.subarray(4));
  expect([...view.data]).toEqual([1, 2]);
  expect(view.data.buffer).toBe(bytes.buffer);
  const odd = new Uint8Array(9);
  odd.set(bytes.subarray(4), 1);
  expect([...fromBytes('float32', [2], odd.subarray(1)).data]).toEqual([1, 2]);
  expect([...fromBytes('int16', [2], Uint8Array.of(1, 2, 255, 254), false).data]).toEqual([0x102, -2]);
  expect(toBytes(view)).toEqual(bytes.subarray(4));
  // A Buffer's own slice is a view: swapping or realigning it would change the file that was read.
  const buffer = Buffer.from(odd);
  expect([...fromBytes('float32', [2], buffer.subarray(1)).data]).toEqual([1, 2]);
  fromBytes('float32', [2], buffer.subarray(1), false);
  expect([...buffer]).toEqual([...odd]);
});

test('shapes from files', () => {
  expect(checkedCount([], 'x')).toBe(1);
  expect(checkedCount([2 ** 40, 2 ** 40, 0], 'x')).toBe(0);
  for (const shape of [[-1], [1.5], [NaN], [2 ** 27, 2 ** 27]])
    expect(() => checkedCount(shape, 'x')).toThrow('x has the');
});
