/** One stored array whose first axis counts samples, read a few samples at a time. */
import { type ArrayDType, elementCount, fromBytes, itemSize, type NdArray } from '../base/ndarray.js';
import type { RandomAccessFile } from './random-access.js';

export interface ArraySource {
  /** For messages: 'array "images" in test.npz'. */
  readonly what: string;
  readonly dtype: ArrayDType;
  readonly shape: readonly number[];
  /** Samples [start, start + count) in row-major order. May share memory with the source. */
  rows(start: number, count: number): Promise<NdArray>;
}

export function memorySource(array: NdArray, what: string): ArraySource {
  return lazySource(array.dtype, array.shape, what, async () => array);
}

/** Loads on first use; concurrent uses share the load. The array has at least the rows that are asked for. */
export function lazySource(
  dtype: ArrayDType,
  shape: readonly number[],
  what: string,
  load: () => Promise<NdArray>,
): ArraySource {
  let loading: Promise<NdArray> | undefined;
  const sampleShape = shape.slice(1);
  const rowElements = elementCount(sampleShape);
  return {
    what,
    dtype,
    shape,
    async rows(start, count) {
      loading ??= load();
      const { data } = await loading;
      return {
        dtype,
        shape: [count, ...sampleShape],
        data: data.subarray(start * rowElements, (start + count) * rowElements),
      } as NdArray;
    },
  };
}

/** Row-major elements that stand uncompressed in a file from `offset` on; `verify` runs before the first read. */
export function fileSource(
  file: RandomAccessFile,
  offset: number,
  dtype: ArrayDType,
  littleEndian: boolean,
  shape: readonly number[],
  what: string,
  verify: () => Promise<void> = async () => undefined,
): ArraySource {
  let verified: Promise<void> | undefined;
  const sampleShape = shape.slice(1);
  const rowBytes = elementCount(sampleShape) * itemSize(dtype);
  return {
    what,
    dtype,
    shape,
    async rows(start, count) {
      verified ??= verify();
      await verified;
      const bytes = await file.read(offset + start * rowBytes, count * rowBytes);
      return fromBytes(dtype, [count, ...sampleShape], bytes, littleEndian);
    },
  };
}

/** All of a source, a scalar included. */
export async function readAll(source: ArraySource): Promise<NdArray> {
  if (source.shape.length > 0) return source.rows(0, source.shape[0]!);
  const { data } = await source.rows(0, 1);
  return { dtype: source.dtype, shape: [], data } as NdArray;
}
