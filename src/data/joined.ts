/** Arrays made of others: one after another along the samples, or side by side as features. */
import { toFloat64 } from '../base/convert.js';
import { type ArrayDType, elementCount, isFloat, itemSize, type NdArray } from '../base/ndarray.js';
import { type ArraySource, concatenate, converted, filled, takeSamples } from './source.js';

type Some<T> = readonly [T, ...T[]];

/**
 * The rows of all pieces, in order; they share dtype and shape but for their number of rows. Pieces that a request
 * does not touch are released, so that no more than those of one request are in memory.
 */
export function concatenated(pieces: Some<ArraySource>, what: string): ArraySource {
  const [{ dtype, shape }] = pieces;
  const starts = [0];
  for (const piece of pieces) starts.push((starts.at(-1) as number) + (piece.shape[0] as number));
  const sampleShape = shape.slice(1);
  const perRow = elementCount(sampleShape);
  const release = (except?: ReadonlySet<ArraySource>): void => {
    for (const piece of pieces) if (!except?.has(piece)) piece.release?.();
  };
  return {
    what,
    dtype,
    shape: [starts.at(-1) as number, ...sampleShape],
    release: () => release(),
    async rows(start, count) {
      const touched = pieces.flatMap((piece, i) => {
        const offset = starts[i] as number;
        const from = Math.max(start, offset);
        const to = Math.min(start + count, starts[i + 1] as number);
        return from < to ? [{ piece, from: from - offset, rows: to - from }] : [];
      });
      release(new Set(touched.map(({ piece }) => piece)));
      const parts: NdArray[] = [];
      for (const { piece, from, rows } of touched) parts.push(await piece.rows(from, rows));
      return concatenate(parts);
    },
    /** Piece by piece, whatever the order: to unpack one for every sample would take forever. */
    async take(samples) {
      const wanted = pieces.map((): { row: number; sample: number }[] => []);
      for (let row = 0; row < samples.length; row++) {
        const at = upperBound(starts, samples[row] as number) - 1;
        wanted[at]?.push({ row, sample: (samples[row] as number) - (starts[at] as number) });
      }
      release(new Set(pieces.filter((_, i) => wanted[i]?.length)));
      const parts: NdArray[] = [];
      for (const [i, piece] of pieces.entries()) {
        const own = wanted[i] as { sample: number }[];
        if (own.length > 0)
          parts.push(
            await takeSamples(
              piece,
              own.map(({ sample }) => sample),
            ),
          );
      }
      const rows = wanted.flat();
      const { data } = concatenate(parts);
      return filled(dtype, sampleShape, samples.length, (to) => {
        for (const [i, { row }] of rows.entries()) to.set(data.subarray(i * perRow, (i + 1) * perRow), row * perRow);
      });
    },
  };
}

/** The first place in an ascending list whose value is above `value`. */
function upperBound(ascending: readonly number[], value: number): number {
  let [low, high] = [0, ascending.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ascending[middle] as number) > value) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Numbers, one a sample each → [samples, columns], float64 where float32 would round what a column may hold. */
export function asFeatures(columns: Some<ArraySource>, what: string): ArraySource {
  const wide = columns.some(({ dtype }) => itemSize(dtype) > 4 || (itemSize(dtype) === 4 && !isFloat(dtype)));
  const dtype = wide ? 'float64' : 'float32';
  const width = columns.length;
  const beside = (parts: readonly NdArray[], count: number): NdArray => {
    const data = wide ? new Float64Array(count * width) : new Float32Array(count * width);
    for (const [c, part] of parts.entries()) {
      const values = toFloat64(part);
      for (let i = 0; i < count; i++) data[i * width + c] = values[i] as number;
    }
    return { dtype, shape: [count, width], data } as NdArray;
  };
  const each = async (read: (column: ArraySource) => Promise<NdArray>): Promise<NdArray[]> => {
    const parts: NdArray[] = [];
    for (const column of columns) parts.push(await read(column));
    return parts;
  };
  return {
    what,
    dtype,
    shape: [columns[0].shape[0] as number, width],
    release: () => {
      for (const column of columns) column.release?.();
    },
    rows: async (start, count) => beside(await each((column) => column.rows(start, count)), count),
    take: async (samples) => beside(await each((column) => takeSamples(column, samples)), samples.length),
  };
}

export function asFloat64(source: ArraySource): ArraySource {
  if (source.dtype === 'float64') return source;
  return converted(source, 'float64', (raw) => ({ dtype: 'float64', shape: raw.shape, data: toFloat64(raw) }));
}

/** The type that arrays of these types can be joined in without loss, or undefined. */
export function commonType(dtypes: readonly ArrayDType[]): ArrayDType | undefined {
  const distinct = new Set(dtypes);
  if (distinct.size === 1) return dtypes[0];
  const wide = [...distinct].some((dtype) => itemSize(dtype) === 8 && dtype !== 'float64');
  return wide || distinct.has('bool') ? undefined : 'float64';
}
