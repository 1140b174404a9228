/** The numbers of a tensor, wherever the file keeps them. */
import { InputError, UnsupportedError } from '../../base/errors.js';
import { type ArrayDType, arrayStorage, checkedCount, fromBytes, type NdArray } from '../../base/ndarray.js';
import { quoted } from '../../base/quote.js';
import { bitsPerElement, type OnnxDataType } from './datatypes.js';
import { checkExternal, readExternal } from './external.js';
import { minifloatTable } from './minifloat.js';
import { typedFieldValues, typedStrings } from './typed-fields.js';
import type { OnnxTensor } from './types.js';

/**
 * The tensor as an array. Where the file's bytes are aligned the result is a view of them: do not write to it.
 * 2- and 4-bit integers come one per byte, as int8 or uint8; 8- and 4-bit floats as float32.
 * Throws InputError where data and shape do not fit or external data cannot be read, UnsupportedError for
 * complex numbers and strings (`tensorStrings` reads the latter).
 */
export function tensorArray(tensor: OnnxTensor): NdArray {
  const what = `tensor ${quoted(tensor.name)}`;
  const type = tensor.dataType;
  const count = checkedCount(tensor.dims, what);
  if (type === 'undefined') throw new InputError(`${what} has no data type`);
  if (type === 'string' || type.startsWith('complex'))
    throw new UnsupportedError(`${what} holds ${type} values, which are not supported`);
  const bytes = payloadBytes(tensor, type, count, what);
  const packed = packedBits(type);
  const units = packed ? unpack(bytes, packed, count, type.startsWith('int')) : bytes;
  const table = minifloatTable(type);
  if (table) return { dtype: 'float32', shape: tensor.dims, data: Float32Array.from(units, (bits) => table[bits]!) };
  const dtype: ArrayDType = packed ? (type.startsWith('int') ? 'int8' : 'uint8') : (type as ArrayDType);
  return fromBytes(dtype, tensor.dims, units);
}

/**
 * The same in pieces of at most `count` elements, one after another, of which external data are no more in memory.
 */
export function* tensorPieces(tensor: OnnxTensor, count: number): Iterable<NdArray> {
  const { payload, dataType, dims } = tensor;
  const size = dataType === 'string' || dataType === 'undefined' ? 0 : bitsPerElement[dataType] / 8;
  const total = checkedCount(dims, `tensor ${quoted(tensor.name)}`);
  if (payload.kind !== 'external' || !(size >= 1) || total <= count) {
    yield tensorArray(tensor);
    return;
  }
  checkTensor(tensor);
  for (let from = 0; from < total; from += count) {
    const elements = Math.min(count, total - from);
    const part = { ...payload, offset: payload.offset + from * size, length: elements * size };
    yield tensorArray({ ...tensor, dims: [elements], payload: part });
  }
}

/** The values as numbers, rounded beyond 2^53 (INT64_MAX as "to the end"). For shapes, axes and indices. */
export function tensorNumbers(tensor: OnnxTensor): number[] {
  const array = tensorArray(tensor);
  if (array.dtype === 'float16' || array.dtype === 'bfloat16') {
    throw new UnsupportedError(
      `tensor ${quoted(tensor.name)} holds ${array.dtype} values where plain numbers are expected`,
    );
  }
  return Array.from<number | bigint, number>(array.data, Number);
}

/** The values of a string tensor. */
export function tensorStrings(tensor: OnnxTensor): string[] {
  const what = `tensor ${quoted(tensor.name)}`;
  if (tensor.dataType !== 'string' || tensor.payload.kind !== 'fields')
    throw new InputError(`${what} does not hold strings`);
  const strings = typedStrings(tensor.payload.message, what);
  const count = checkedCount(tensor.dims, what);
  if (strings.length !== count)
    throw new InputError(`${what} has ${strings.length} values where its shape needs ${count}`);
  return strings;
}

/** Checks that the external data of a tensor is there and long enough, without reading it. */
export function checkTensor(tensor: OnnxTensor): void {
  const { payload, dataType } = tensor;
  if (payload.kind !== 'external' || dataType === 'string' || dataType === 'undefined') return;
  const what = `tensor ${quoted(tensor.name)}`;
  checkExternal(payload, byteCount(dataType, checkedCount(tensor.dims, what)), what);
}

function byteCount(type: Exclude<OnnxDataType, 'string' | 'undefined'>, count: number): number {
  return Math.ceil((count * bitsPerElement[type]) / 8);
}

/** Bits of a sub-byte type, else 0. */
function packedBits(type: Exclude<OnnxDataType, 'string' | 'undefined'>): number {
  return bitsPerElement[type] < 8 ? bitsPerElement[type] : 0;
}

/** Little-endian packed bytes, of exactly the length that the shape needs. */
function payloadBytes(
  tensor: OnnxTensor,
  type: Exclude<OnnxDataType, 'string' | 'undefined'>,
  count: number,
  what: string,
): Uint8Array {
  const { payload } = tensor;
  const expected = byteCount(type, count);
  switch (payload.kind) {
    case 'external':
      return readExternal(payload, expected, what);
    case 'raw':
      if (payload.bytes.length !== expected) {
        throw new InputError(`${what} has ${payload.bytes.length} bytes of data where its shape needs ${expected}`);
      }
      return payload.bytes;
    case 'fields':
      return typedFieldValues(payload.message, type, expected, what);
  }
}

function unpack(bytes: Uint8Array, bits: number, count: number, signed: boolean): Uint8Array {
  const out = new arrayStorage.uint8(count);
  const perByte = 8 / bits;
  const mask = 2 ** bits - 1;
  const sign = signed ? 2 ** (bits - 1) : 0;
  for (let i = 0; i < count; i++) {
    const value = (bytes[Math.floor(i / perByte)]! >> (bits * (i % perByte))) & mask;
    out[i] = (value ^ sign) - sign; // two's complement; read back through an int8 view
  }
  return out;
}
