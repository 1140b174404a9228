/**
 * Memory for the reference interpreter: it knows of every byte whether it was written, so that a read of memory
 * nobody wrote is an error at the instruction that reads, instead of a number that happens to look right.
 */
import type { DType, View } from '../../src/program/format.js';
import { bytesPerElement } from '../../src/program/format.js';

type Elements = Float32Array | Float64Array | Int32Array | Uint8Array;

export class Memory {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly #written: Uint8Array;
  readonly #as: Record<DType, Elements>;

  constructor(name: string, size: number) {
    const buffer = new ArrayBuffer(Math.ceil(size / 8) * 8);
    this.name = name;
    // 0xff everywhere is NaN as a float, −1 as an integer and neither truth value
    this.bytes = new Uint8Array(buffer).fill(0xff);
    this.#written = new Uint8Array(buffer.byteLength);
    this.#as = {
      float32: new Float32Array(buffer),
      float64: new Float64Array(buffer),
      int32: new Int32Array(buffer),
      bool: this.bytes,
    };
  }

  read(dtype: DType, at: number): number {
    const size = bytesPerElement[dtype];
    if (!this.#written[at * size])
      throw new Error(`${this.name}: ${dtype} element ${at} is read but was never written`);
    return this.#as[dtype][at] as number;
  }
  write(dtype: DType, at: number, value: number): void {
    if (!Number.isInteger(at) || at < 0 || at >= this.#as[dtype].length)
      throw new Error(`${this.name}: ${dtype} element ${at} is outside`);
    if (dtype === 'bool' && value !== 0 && value !== 1)
      throw new Error(`${this.name}: ${value} is stored as a truth value`);
    this.#as[dtype][at] = value;
    this.mark(dtype, at);
  }
  /** raw bytes from byte `at` on, such as a program's constants */
  placeBytes(at: number, bytes: Uint8Array): void {
    this.bytes.set(bytes, at);
    this.#written.fill(1, at, at + bytes.length);
  }
  /** what another device made of these bytes; those that changed count as written */
  adopt(bytes: Uint8Array): void {
    bytes.forEach((b, at) => {
      if (b !== this.bytes[at]) this.#written[at] = 1;
    });
    this.bytes.set(bytes);
  }
  /** counts the element as written */
  mark(dtype: DType, at: number): void {
    const size = bytesPerElement[dtype];
    this.#written.fill(1, at * size, (at + 1) * size);
  }
  /** whether any instruction, or the caller, wrote to this byte */
  isWritten(byte: number): boolean {
    return this.#written[byte] === 1;
  }
  /** values from element `at` on; given from outside */
  place(dtype: DType, at: number, values: ArrayLike<number>): void {
    for (let i = 0; i < values.length; i++) this.write(dtype, at + i, values[i] as number);
  }
}

/** Element numbers of a view, row-major. */
export function addresses(v: Pick<View, 'offset' | 'shape' | 'strides'>): number[] {
  let out = [v.offset];
  v.shape.forEach((extent, axis) => {
    const stride = v.strides[axis] as number;
    out = out.flatMap((base) => Array.from({ length: extent }, (_, i) => base + i * stride));
  });
  return out;
}
