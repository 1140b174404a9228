/** A dense array on the host: row-major, no strides. What data files and ONNX tensors are read into. */
import { InputError } from './errors.js';

/**
 * The typed array that holds each dtype. float16 and bfloat16 are their bit patterns (Node 20 has no
 * Float16Array); bool is one byte per value, 0 or 1.
 */
export interface ArrayStorage {
  float16: Uint16Array;
  bfloat16: Uint16Array;
  float32: Float32Array;
  float64: Float64Array;
  int8: Int8Array;
  int16: Int16Array;
  int32: Int32Array;
  int64: BigInt64Array;
  uint8: Uint8Array;
  uint16: Uint16Array;
  uint32: Uint32Array;
  uint64: BigUint64Array;
  bool: Uint8Array;
}
export type ArrayDType = keyof ArrayStorage;
export type ArrayData = ArrayStorage[ArrayDType];

/** `data.length` is the product of `shape` (1 for the empty shape, a scalar). */
export type NdArray<D extends ArrayDType = ArrayDType> = {
  [K in D]: { readonly dtype: K; readonly shape: readonly number[]; readonly data: ArrayStorage[K] };
}[D];

interface StorageConstructor<D extends ArrayDType> {
  new (length: number): ArrayStorage[D];
  new (buffer: ArrayBufferLike, byteOffset?: number, length?: number): ArrayStorage[D];
  readonly BYTES_PER_ELEMENT: number;
}

export const arrayStorage: { readonly [D in ArrayDType]: StorageConstructor<D> } = {
  float16: Uint16Array,
  bfloat16: Uint16Array,
  float32: Float32Array,
  float64: Float64Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
};

export function isFloat(dtype: ArrayDType): boolean {
  return dtype === 'float16' || dtype === 'bfloat16' || dtype === 'float32' || dtype === 'float64';
}

export function itemSize(dtype: ArrayDType): number {
  return arrayStorage[dtype].BYTES_PER_ELEMENT;
}

/** Number of elements of a shape. Inexact beyond 2^53: check untrusted shapes with `checkedCount`. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/**
 * Number of elements of a shape that came from a file, refused when an extent is not a whole number ≥ 0 or
 * the product cannot be counted exactly. `what` starts the message.
 */
export function checkedCount(shape: readonly number[], what: string): number {
  if (!shape.every((extent) => Number.isSafeInteger(extent) && extent >= 0)) {
    throw new InputError(`${what} has the impossible shape [${shape.join(', ')}]`);
  }
  // [2^40, 2^40, 0] holds nothing, so it is not too large.
  const count = shape.includes(0) ? 0 : elementCount(shape);
  if (count > Number.MAX_SAFE_INTEGER)
    throw new InputError(`${what} has the shape [${shape.join(', ')}], too large to be held`);
  return count;
}

const hostIsLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/**
 * The array that `bytes` spell, without a copy where the bytes are aligned and in the host's order; then the
 * result shares memory with `bytes`. The caller has checked that bytes.length fits the shape.
 */
export function fromBytes<D extends ArrayDType>(
  dtype: D,
  shape: readonly number[],
  bytes: Uint8Array,
  littleEndian = true,
): NdArray<D> {
  const size = itemSize(dtype);
  let source = bytes;
  const swap = size > 1 && littleEndian !== hostIsLittleEndian;
  // a copy by constructor: the slice of a Buffer would share its memory
  if (swap || source.byteOffset % size !== 0) source = new Uint8Array(source);
  if (swap) reverseEach(source, size);
  const data = new arrayStorage[dtype](source.buffer, source.byteOffset, Math.floor(source.byteLength / size));
  return { dtype, shape, data } as unknown as NdArray<D>;
}

/** The little-endian bytes of an array; on little-endian hosts a view that shares its memory. */
export function toBytes(array: NdArray): Uint8Array {
  const { data } = array;
  const view = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (hostIsLittleEndian || data.BYTES_PER_ELEMENT === 1) return view;
  const copy = view.slice();
  reverseEach(copy, data.BYTES_PER_ELEMENT);
  return copy;
}

/** In place; `bytes` holds whole elements of 2, 4 or 8 bytes. */
function reverseEach(bytes: Uint8Array, size: number): void {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength); // a view
  if (size === 2) buffer.swap16();
  else if (size === 4) buffer.swap32();
  else buffer.swap64();
}

/** "float32 [3, 4]": how arrays are named in messages. */
export function describeArray(dtype: string, shape: readonly number[]): string {
  return `${dtype} [${shape.join(', ')}]`;
}
