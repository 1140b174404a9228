/** IDX files, the format of MNIST: big-endian, plain or gzipped. */
import { InputError } from '../base/errors.js';
import { type ArrayDType, checkedCount, fromBytes, itemSize } from '../base/ndarray.js';
import { inflate } from './inflate.js';
import { defaultMemoryLimit, requireMemory } from './memory-limit.js';
import { allocateBytes, type RandomAccessFile } from './random-access.js';
import { type ArraySource, fileSource, lazySource } from './source.js';

const dtypes: Readonly<Record<number, ArrayDType>> = {
  8: 'uint8',
  9: 'int8',
  11: 'int16',
  12: 'int32',
  13: 'float32',
  14: 'float64',
};
/** Magic and up to 255 extents. */
const headerLimit = 4 + 4 * 255;

interface IdxHeader {
  readonly dtype: ArrayDType;
  readonly shape: readonly number[];
  readonly dataOffset: number;
  readonly dataLength: number;
}

export function looksLikeIdx(start: Uint8Array): boolean {
  return start[0] === 0 && start[1] === 0 && start[2] !== undefined && start[2] in dtypes;
}

export function looksLikeGzip(start: Uint8Array): boolean {
  return start[0] === 0x1f && start[1] === 0x8b;
}

/** The array of an open IDX file, gzipped or not. Only the header is read now. */
export async function idxSource(
  file: RandomAccessFile,
  options: { readonly memory?: number } = {},
): Promise<ArraySource> {
  const what = file.path;
  const start = await file.read(0, Math.min(file.size, headerLimit));
  if (looksLikeGzip(start)) return gzipSource(file, options.memory ?? defaultMemoryLimit());
  const { dtype, shape, dataOffset, dataLength } = parseHeader(start, what);
  checkLength(what, shape, dataLength, file.size - dataOffset);
  return fileSource(file, dataOffset, dtype, false, shape, what);
}

async function gzipSource(file: RandomAccessFile, limit: number): Promise<ArraySource> {
  const what = file.path;
  const start = new Uint8Array(headerLimit);
  let filled = 0;
  await inflate(file.chunks(), 'gzip', what, (piece) => {
    const part = piece.subarray(0, headerLimit - filled);
    start.set(part, filled);
    filled += part.length;
    return filled < headerLimit;
  });
  const { dtype, shape, dataOffset, dataLength } = parseHeader(start.subarray(0, filled), what);
  // The header may lie; deflate unpacks a byte into 1032 at most.
  if (dataLength > 1032 * file.size) checkLength(what, shape, dataLength, 0);
  return lazySource(dtype, shape, what, async () => {
    requireMemory(dataLength, limit, what, 'unpack it with gunzip, then it is read piece by piece');
    const bytes = allocateBytes(dataLength, what);
    let at = -dataOffset;
    await inflate(file.chunks(), 'gzip', what, (piece) => {
      const from = Math.max(0, -at);
      const to = Math.min(piece.length, dataLength - at);
      if (from < to) bytes.set(piece.subarray(from, to), at + from);
      at += piece.length;
      return at <= dataLength;
    });
    checkLength(what, shape, dataLength, at);
    return fromBytes(dtype, shape, bytes, false);
  });
}

function parseHeader(start: Uint8Array, what: string): IdxHeader {
  const invalid = (why: string): never => {
    throw new InputError(`${what} is not a valid IDX file: ${why}`);
  };
  if (start.length === 0) invalid('it is empty');
  const dtype = start[0] === 0 && start[1] === 0 ? dtypes[start[2] ?? -1] : undefined;
  if (dtype === undefined) return invalid('its magic number is unknown');
  const rank = start[3] ?? invalid('it ends within the header');
  const dataOffset = 4 + 4 * rank;
  if (rank === 0 || dataOffset > start.length) invalid('it ends within the header');
  const view = new DataView(start.buffer, start.byteOffset);
  const shape = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
  return { dtype, shape, dataOffset, dataLength: checkedCount(shape, what) * itemSize(dtype) };
}

function checkLength(what: string, shape: readonly number[], needed: number, present: number): void {
  if (present === needed) return;
  const fault = present < needed ? 'is truncated' : 'has bytes left over';
  throw new InputError(`${what} ${fault}: its shape [${shape.join(', ')}] needs ${needed} bytes of data`);
}
