/** The floating-point formats of 8 and 4 bits that ONNX has, by value. */
import type { OnnxDataType } from './datatypes.js';

interface Format {
  readonly exponentBits: number;
  readonly fractionBits: number;
  readonly bias: number;
  /** ieee: top exponent is ∞ and NaN. fn: only all ones is NaN. fnuz: only "minus zero" is NaN. finite: no NaN. */
  readonly special: 'ieee' | 'fn' | 'fnuz' | 'finite';
}

const formats: Partial<Record<OnnxDataType, Format>> = {
  float8e4m3fn: { exponentBits: 4, fractionBits: 3, bias: 7, special: 'fn' },
  float8e4m3fnuz: { exponentBits: 4, fractionBits: 3, bias: 8, special: 'fnuz' },
  float8e5m2: { exponentBits: 5, fractionBits: 2, bias: 15, special: 'ieee' },
  float8e5m2fnuz: { exponentBits: 5, fractionBits: 2, bias: 16, special: 'fnuz' },
  float4e2m1: { exponentBits: 2, fractionBits: 1, bias: 1, special: 'finite' },
};

/** The value of every bit pattern of the format, or undefined if the type is not one of these formats. */
export function minifloatTable(type: OnnxDataType): Float32Array | undefined {
  // A power of two, without sign or fraction; the last pattern is NaN.
  if (type === 'float8e8m0')
    return Float32Array.from({ length: 256 }, (_, bits) => (bits === 255 ? NaN : 2 ** (bits - 127)));
  const format = formats[type];
  if (!format) return undefined;
  const length = 2 ** (1 + format.exponentBits + format.fractionBits);
  return Float32Array.from({ length }, (_, bits) => valueOf(bits, length / 2, format));
}

function valueOf(bits: number, signBit: number, { exponentBits, fractionBits, bias, special }: Format): number {
  const sign = bits >= signBit ? -1 : 1;
  const magnitude = bits % signBit;
  const exponent = magnitude >> fractionBits;
  const fraction = magnitude % 2 ** fractionBits;
  if (special === 'fnuz' && sign < 0 && magnitude === 0) return NaN;
  if (special === 'fn' && magnitude === signBit - 1) return NaN;
  if (special === 'ieee' && exponent === 2 ** exponentBits - 1) return fraction === 0 ? sign * Infinity : NaN;
  const scaled = fraction / 2 ** fractionBits;
  return sign * (exponent === 0 ? scaled * 2 ** (1 - bias) : (1 + scaled) * 2 ** (exponent - bias));
}
