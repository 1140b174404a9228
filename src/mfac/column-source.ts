/** Gradients that do not fit in memory: G (m × d) in tiles of whole columns, as often as it is asked for. */
import { InputError, ShapeError } from '../base/errors.js';
import { fromBytes, itemSize } from '../base/ndarray.js';
import { npyHeaderLimit, parseNpyHeader } from '../data/npy-header.js';
import { RandomAccessFile } from '../data/random-access.js';
import type { FloatArray } from '../device/block.js';
import type { FloatDType } from '../program/format.js';

/** Gradients G (m × d) that are read by columns, pass after pass. */
export interface ColumnSource {
  /** m */
  readonly count: number;
  /** d */
  readonly dimension: number;
  readonly dtype: FloatDType;
  /** One pass: columns from 0 on without gaps, each tile m × width row-major. A tile may be reused after the next. */
  tiles(): AsyncIterable<FloatArray> | Iterable<FloatArray>;
}

/** Bytes of a tile unless told otherwise. */
const tileBytes = 2 ** 26;

/** A source that holds its file open. */
export interface ColumnFile extends ColumnSource {
  /** Closes the file. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * The gradients in a .npy file, m × d of float32 or float64 in either order, read `columns` at a time (default: 64 MiB).
 * Throws InputError for a file that is something else.
 */
export async function npyColumns(path: string, options: { readonly columns?: number } = {}): Promise<ColumnFile> {
  const file = await RandomAccessFile.open(path);
  try {
    const header = parseNpyHeader(await file.read(0, Math.min(file.size, npyHeaderLimit)), path);
    const { shape, dtype, littleEndian, fortranOrder, dataOffset, dataLength } = header;
    const [count, dimension] = shape as [number, number];
    if (shape.length !== 2 || count < 1 || dimension < 1 || (dtype !== 'float32' && dtype !== 'float64'))
      throw new InputError(
        `${path} holds ${dtype} of shape [${shape.join(', ')}]; gradients are float32 or float64, m × d`,
      );
    if (dataOffset + dataLength > file.size) throw new InputError(`${path} is truncated: ${file.size} bytes`);
    const size = itemSize(dtype);
    const columns = options.columns ?? Math.max(1, Math.floor(tileBytes / (count * size)));
    if (!(Number.isSafeInteger(columns) && columns >= 1))
      throw new InputError(`a tile has a whole number of columns, at least 1, not ${columns}`);
    const numbers = async (first: number, n: number): Promise<FloatArray> =>
      fromBytes(dtype, [n], await file.read(dataOffset + first * size, n * size), littleEndian).data as FloatArray;
    async function* tiles(): AsyncGenerator<FloatArray> {
      for (let from = 0; from < dimension; from += columns) {
        const width = Math.min(columns, dimension - from);
        const tile = dtype === 'float32' ? new Float32Array(count * width) : new Float64Array(count * width);
        if (fortranOrder) {
          const transposed = await numbers(from * count, count * width);
          for (let j = 0; j < width; j++)
            for (let i = 0; i < count; i++) tile[i * width + j] = transposed[j * count + i] as number;
        } else {
          for (let i = 0; i < count; i++) tile.set(await numbers(i * dimension + from, width), i * width);
        }
        yield tile;
      }
    }
    return { count, dimension, dtype, tiles, [Symbol.asyncDispose]: () => file.close() };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Each tile of one pass with its first column and its width. Throws ShapeError where they are not m × d together. */
export async function* placed(
  source: ColumnSource,
): AsyncGenerator<{ from: number; width: number; values: FloatArray }> {
  const { count, dimension } = source;
  let from = 0;
  for await (const values of source.tiles()) {
    const width = values.length / count;
    if (!(Number.isSafeInteger(width) && width >= 1 && from + width <= dimension))
      throw new ShapeError(`a tile of ${values.length} values at column ${from} of ${count} × ${dimension} gradients`);
    yield { from, width, values };
    from += width;
  }
  if (from !== dimension) throw new ShapeError(`the tiles ended after ${from} of ${dimension} columns`);
}
