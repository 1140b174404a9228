/** One stored array whose first axis counts samples, read a few samples at a time. */
import { type ArrayDType, arrayStorage, elementCount, fromBytes, itemSize, type NdArray } from '../base/ndarray.js';
import type { RandomAccessFile } from './random-access.js';

export interface ArraySource {
  /** For messages: 'array "images" in test.npz'. */
  readonly what: string;
  readonly dtype: ArrayDType;
  readonly shape: readonly number[];
  /** Samples [start, start + count) in row-major order. May share memory with the source. */
  rows(start: number, count: number): Promise<NdArray>;
  /** These samples, in this order; absent where runs of neighbours are all that can be read. */
  take?(samples: ArrayLike<number>): Promise<NdArray>;
  /** Gives up memory that `rows` would fill again. Absent where there is none. */
  release?(): void;
}

export function memorySource(array: NdArray, what: string): ArraySource {
  const { release: _, ...source } = lazySource(array.dtype, array.shape, what, async () => array);
  return source;
}

/** Loads on first use and keeps it until released; concurrent uses share the load. The array has at least the rows that are asked for. */
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
    release: () => {
      loading = undefined;
    },
    async rows(start, count) {
      loading ??= load();
      const { data } = await loading;
      return {
        dtype,
        shape: [count, ...sampleShape],
        data: data.subarray(start * rowElements, (start + count) * rowElements),
      } as NdArray;
    },
    async take(samples) {
      loading ??= load();
      const { data } = await loading;
      return filled(dtype, sampleShape, samples.length, (to) => {
        for (let i = 0; i < samples.length; i++) {
          const from = samples[i]! * rowElements;
          to.set(data.subarray(from, from + rowElements), i * rowElements);
        }
      });
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

/** Another reading of the same values, array by array. */
export function converted(source: ArraySource, dtype: ArrayDType, convert: (raw: NdArray) => NdArray): ArraySource {
  const { what, shape, release } = source;
  const take = source.take?.bind(source);
  return {
    what,
    dtype,
    shape,
    ...(release && { release: () => source.release?.() }),
    rows: async (start, count) => convert(await source.rows(start, count)),
    ...(take && { take: async (samples: ArrayLike<number>) => convert(await take(samples)) }),
  };
}

/** Any samples in any order, one read for each run of neighbours. */
export async function takeSamples(source: ArraySource, samples: ArrayLike<number>): Promise<NdArray> {
  if (source.take) return source.take(samples);
  const parts: NdArray[] = [];
  for (const [start, count] of runs(samples)) parts.push(await source.rows(start, count));
  return concatenate(parts);
}
/** [start, count] of each run of neighbours */
export function runs(samples: ArrayLike<number>): [number, number][] {
  const found: [number, number][] = [];
  for (let i = 0; i < samples.length; ) {
    let count = 1;
    while (i + count < samples.length && samples[i + count] === samples[i]! + count) count++;
    found.push([samples[i]!, count]);
    i += count;
  }
  return found;
}
/** Arrays of one dtype and sample shape, one after another along axis 0. */
export function concatenate<D extends ArrayDType>(parts: readonly NdArray<D>[]): NdArray<D> {
  const [first] = parts as [NdArray<D>];
  if (parts.length === 1) return first;
  const count = parts.reduce((n, { shape }) => n + shape[0]!, 0);
  let at = 0;
  return filled(first.dtype, first.shape.slice(1), count, (to) => {
    for (const { data } of parts) {
      to.set(data, at);
      at += data.length;
    }
  }) as NdArray<D>;
}
/** Storage of any dtype, as far as copying between two of the same dtype goes. */
export interface Storage {
  set(values: ArrayLike<unknown>, at: number): void;
}
/** An array that `write` fills. */
export function filled(
  dtype: ArrayDType,
  sampleShape: readonly number[],
  count: number,
  write: (to: Storage) => void,
): NdArray {
  const data = new arrayStorage[dtype](count * elementCount(sampleShape));
  write(data as Storage);
  return { dtype, shape: [count, ...sampleShape], data } as NdArray;
}

/** All of a source, a scalar included. */
export async function readAll(source: ArraySource): Promise<NdArray> {
  if (source.shape.length > 0) return source.rows(0, source.shape[0]!);
  const { data } = await source.rows(0, 1);
  return { dtype: source.dtype, shape: [], data } as NdArray;
}
