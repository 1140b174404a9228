/** Conversions between the dtypes of host arrays. */
import { InputError } from './errors.js';
import type { NdArray } from './ndarray.js';

const scratch = new DataView(new ArrayBuffer(4));

/** The value of IEEE binary16 bits; exact. */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** The nearest IEEE binary16 (ties to even), as bits. Rounds once, from the full float64. */
export function numberToHalf(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (magnitude >= 65520) return sign | 0x7c00; // halfway between the largest half and 2^16
  // Below 2^-14 halves are spaced 2^-24; above, by the exponent of the value.
  const exponent = magnitude < 2 ** -14 ? -14 : Math.floor(Math.log2(magnitude));
  // log2 may round up to the next power of two; the mantissa below 1 then tells.
  const e = magnitude < 2 ** exponent && exponent > -14 ? exponent - 1 : exponent;
  const units = roundHalfToEven(magnitude * 2 ** (10 - e));
  // A carry out of the fraction moves into the exponent field by itself.
  return sign | (units + ((e + 14) << 10));
}

function roundHalfToEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/** The value of bfloat16 bits; exact. */
export function bfloatToNumber(bits: number): number {
  scratch.setUint32(0, (bits << 16) >>> 0);
  return scratch.getFloat32(0);
}

/** The nearest bfloat16 (ties to even) of a float32 value, as bits. */
export function numberToBfloat(value: number): number {
  if (Number.isNaN(value)) return 0x7fc0;
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** Every element as float32; the array's own memory when it is float32 already. bool becomes 0 and 1. */
export function toFloat32(array: NdArray): Float32Array {
  return array.dtype === 'float32' ? array.data : fill(array, new Float32Array(array.data.length));
}

/** Every element as float64; the array's own memory when it is float64 already. */
export function toFloat64(array: NdArray): Float64Array {
  return array.dtype === 'float64' ? array.data : fill(array, new Float64Array(array.data.length));
}

function fill<T extends Float32Array | Float64Array>(array: NdArray, out: T): T {
  switch (array.dtype) {
    case 'float16':
      for (let i = 0; i < out.length; i++) out[i] = halfToNumber(array.data[i]!);
      break;
    case 'bfloat16':
      for (let i = 0; i < out.length; i++) out[i] = bfloatToNumber(array.data[i]!);
      break;
    case 'int64':
    case 'uint64':
      for (let i = 0; i < out.length; i++) out[i] = Number(array.data[i]!);
      break;
    default:
      out.set(array.data);
  }
  return out;
}

/**
 * Every element as int32; the array's own memory when it is int32 already. Floating-point arrays must hold
 * whole numbers. `where` names an element, by its position in `data`, in the InputError for a value that does not fit.
 */
export function toInt32(array: NdArray, where: (position: number) => string): Int32Array {
  if (array.dtype === 'int32') return array.data;
  const out = new Int32Array(array.data.length);
  const wide = array.dtype === 'int64' || array.dtype === 'uint64';
  const values = wide ? array.data : array.dtype.includes('float') ? toFloat64(array) : array.data;
  for (let i = 0; i < out.length; i++) {
    const value = Number(values[i]);
    out[i] = value;
    if (out[i] !== value) {
      throw new InputError(`${where(i)} is ${String(values[i])}, which is not a 32-bit integer`);
    }
  }
  return out;
}
