/** .npz files: zip archives of .npy arrays. */
import { InputError } from '../base/errors.js';
import { fromBytes, type NdArray } from '../base/ndarray.js';
import { quoted } from '../base/quote.js';
import { crc32 } from './crc32.js';
import { inflate } from './inflate.js';
import { defaultMemoryLimit, requireMemory } from './memory-limit.js';
import { type NpyHeader, npyHeaderLimit, parseNpyHeader } from './npy-header.js';
import { fromFortranOrder } from './order.js';
import { allocateBytes, RandomAccessFile } from './random-access.js';
import { type ArraySource, fileSource, lazySource, readAll } from './source.js';
import { readZipDirectory, type ZipEntry, zipDataOffset } from './zip-read.js';

/** Options of `readNpz`. */
export interface NpzReadOptions {
  /** bytes that may be unpacked into memory; default: 70 % of what is free */
  readonly memory?: number;
}

/**
 * All arrays of an .npz file by name, in file order, row-major. Checksums are verified.
 * Throws InputError for what is malformed, damaged or truncated, UnsupportedError for types such as text,
 * OutOfMemoryError before unpacking more than the memory allows.
 */
export async function readNpz(path: string, options: NpzReadOptions = {}): Promise<Map<string, NdArray>> {
  const limit = options.memory ?? defaultMemoryLimit();
  const file = await RandomAccessFile.open(path);
  try {
    const entries = await readZipDirectory(file);
    requireMemory(
      entries.reduce((sum, { size }) => sum + size, 0),
      limit,
      path,
      'read fewer arrays at once',
    );
    const arrays = new Map<string, NdArray>();
    for (const [name, source] of await npzSources(file, entries, { memory: limit }))
      arrays.set(name, await readAll(source));
    return arrays;
  } finally {
    await file.close();
  }
}

export interface SourceOptions extends NpzReadOptions {
  /** Rows that will be asked for; the others of a compressed array are not kept. Default: all. */
  readonly rows?: number;
}

/** The arrays of an open file by name. Only headers are read now. */
export async function npzSources(
  file: RandomAccessFile,
  entries: readonly ZipEntry[],
  options: SourceOptions = {},
): Promise<Map<string, ArraySource>> {
  const sources = new Map<string, ArraySource>();
  for (const entry of entries) {
    if (entry.name.endsWith('/')) continue; // a folder, as archivers add
    if (!entry.name.endsWith('.npy'))
      throw new InputError(`${file.path}: entry ${quoted(entry.name)} is not a .npy array`);
    const name = entry.name.slice(0, -'.npy'.length);
    if (sources.has(name)) throw new InputError(`${file.path} holds two arrays named ${quoted(name)}`);
    sources.set(name, await entrySource(file, entry, `array ${quoted(name)} in ${file.path}`, options));
  }
  return sources;
}

async function entrySource(
  file: RandomAccessFile,
  entry: ZipEntry,
  what: string,
  options: SourceOptions,
): Promise<ArraySource> {
  const start = await zipDataOffset(file, entry);
  const header = parseNpyHeader(await firstBytes(file, entry, start, what), what);
  const present = entry.size - header.dataOffset;
  if (present !== header.dataLength) {
    throw new InputError(
      `${what}: its shape [${header.shape.join(', ')}] needs ${header.dataLength} bytes of data, it has ${present}`,
    );
  }
  const { dtype, littleEndian, shape } = header;
  if (!entry.compressed && (!header.fortranOrder || shape.length < 2)) {
    const verify = (): Promise<void> => unpack(file, entry, start, what, () => undefined);
    return fileSource(file, start + header.dataOffset, dtype, littleEndian, shape, what, verify);
  }
  return lazySource(dtype, shape, what, () => load(file, entry, start, header, what, options));
}

/** Unpacks an array into memory: as many rows of it as will be used. */
async function load(
  file: RandomAccessFile,
  entry: ZipEntry,
  start: number,
  header: NpyHeader,
  what: string,
  options: SourceOptions,
): Promise<NdArray> {
  const { dtype, littleEndian, shape, dataOffset, dataLength, fortranOrder } = header;
  const partial = !fortranOrder && shape.length > 0 && options.rows !== undefined && options.rows < shape[0]!;
  const wanted = partial ? (dataLength / shape[0]!) * options.rows : dataLength;
  requireMemory(
    fortranOrder ? 2 * wanted : wanted,
    options.memory ?? defaultMemoryLimit(),
    what,
    'save it with numpy.savez (uncompressed, row-major), which is read piece by piece',
  );
  const bytes = allocateBytes(wanted, what);
  let at = -dataOffset; // position in the data, negative within the header
  await unpack(file, entry, start, what, (piece) => {
    const from = Math.max(0, -at);
    const to = Math.min(piece.length, wanted - at);
    if (from < to) bytes.set(piece.subarray(from, to), at + from);
    at += piece.length;
  });
  const kept = partial ? [options.rows, ...shape.slice(1)] : shape;
  const array = fromBytes(dtype, kept, bytes, littleEndian);
  return fortranOrder ? fromFortranOrder(array) : array;
}

/** Hands the unpacked bytes on, piece by piece, and checks their number and checksum at the end. */
async function unpack(
  file: RandomAccessFile,
  entry: ZipEntry,
  start: number,
  what: string,
  use: (piece: Uint8Array) => void,
): Promise<void> {
  let sum = 0;
  let length = 0;
  const take = (piece: Uint8Array): boolean => {
    length += piece.length;
    if (length > entry.size)
      throw new InputError(`${what} is damaged: it unpacks to more than the ${entry.size} bytes announced`);
    sum = crc32(piece, sum);
    use(piece);
    return true;
  };
  const chunks = file.chunks(start, start + entry.storedSize);
  if (entry.compressed) await inflate(chunks, 'deflate', what, take);
  else for await (const chunk of chunks) take(chunk);
  if (length !== entry.size || sum !== entry.crc)
    throw new InputError(`${what} is damaged: its checksum does not match`);
}

/** As many bytes as a header can have, or the whole entry. */
async function firstBytes(file: RandomAccessFile, entry: ZipEntry, start: number, what: string): Promise<Uint8Array> {
  const wanted = Math.min(entry.size, npyHeaderLimit);
  if (!entry.compressed) return file.read(start, wanted);
  const bytes = new Uint8Array(wanted);
  let length = 0;
  await inflate(file.chunks(start, start + entry.storedSize), 'deflate', what, (piece) => {
    const part = piece.subarray(0, wanted - length);
    bytes.set(part, length);
    length += part.length;
    return length < wanted;
  });
  return bytes.subarray(0, length);
}
