/** The directory of a zip file, zip64 included. */
import { InputError, UnsupportedError } from '../base/errors.js';
import { quoted } from '../base/quote.js';
import type { RandomAccessFile } from './random-access.js';

export interface ZipEntry {
  readonly name: string;
  readonly compressed: boolean;
  readonly crc: number;
  /** bytes, as stored and as unpacked */
  readonly storedSize: number;
  readonly size: number;
  /** where the entry's local header stands */
  readonly headerOffset: number;
}

const endSignature = 0x06054b50;
const end64Signature = 0x06064b50;
const locator64Signature = 0x07064b50;
const entrySignature = 0x02014b50;
const localSignature = 0x04034b50;

const endLength = 22;
/** The end record is followed by a comment of up to 2^16 bytes. */
const endReach = endLength + 0xffff;
/** Of names and sizes, not data: far beyond any model's number of arrays. */
const directoryLimit = 2 ** 26;
/** Deflate cannot do better: 258 bytes for two bits, and a little for the smallest streams. */
const bestRatio = 1032;

/**
 * The entries in directory order. Sizes are checked against the file, and against what the compression can
 * reach, before anything is unpacked. Throws InputError for what is malformed.
 */
export async function readZipDirectory(file: RandomAccessFile): Promise<ZipEntry[]> {
  const end = await findEnd(file);
  if (end.offset + end.length > file.size || end.length > directoryLimit)
    invalid(file, 'its directory lies outside the file');
  const bytes = await file.read(end.offset, end.length);
  const view = viewOf(bytes);
  const entries: ZipEntry[] = [];
  let stored = 0;
  let at = 0;
  while (entries.length < end.count) {
    if (at + 46 > bytes.length || view.getUint32(at, true) !== entrySignature)
      invalid(file, 'its directory is damaged');
    const nameLength = view.getUint16(at + 28, true);
    const extraLength = view.getUint16(at + 30, true);
    const next = at + 46 + nameLength + extraLength + view.getUint16(at + 32, true);
    if (next > bytes.length) invalid(file, 'its directory is damaged');
    const entry = readEntry(file, bytes.subarray(at, next), nameLength, extraLength);
    entries.push(entry);
    // Entries that share their data are how small files unpack without bound.
    stored += entry.storedSize;
    if (stored > file.size) invalid(file, 'its entries overlap or reach beyond its end');
    at = next;
  }
  return entries;
}

/** Where an entry's data start. */
export async function zipDataOffset(file: RandomAccessFile, entry: ZipEntry): Promise<number> {
  if (entry.headerOffset + 30 > file.size) invalid(file, `entry ${quoted(entry.name)} lies outside the file`);
  const view = viewOf(await file.read(entry.headerOffset, 30));
  if (view.getUint32(0, true) !== localSignature)
    invalid(file, `entry ${quoted(entry.name)} is not where the directory says`);
  const offset = entry.headerOffset + 30 + view.getUint16(26, true) + view.getUint16(28, true);
  if (offset + entry.storedSize > file.size) invalid(file, `entry ${quoted(entry.name)} is truncated`);
  return offset;
}

function readEntry(file: RandomAccessFile, bytes: Uint8Array, nameLength: number, extraLength: number): ZipEntry {
  const view = viewOf(bytes);
  const name = new TextDecoder().decode(bytes.subarray(46, 46 + nameLength));
  const method = view.getUint16(10, true);
  if (view.getUint16(8, true) & 1) throw new UnsupportedError(`${file.path}: entry ${quoted(name)} is encrypted`);
  if (method !== 0 && method !== 8) {
    throw new UnsupportedError(
      `${file.path}: entry ${quoted(name)} uses compression method ${method}; save it with numpy.savez or savez_compressed`,
    );
  }
  const sizes = {
    size: view.getUint32(24, true),
    storedSize: view.getUint32(20, true),
    headerOffset: view.getUint32(42, true),
  };
  const extra = bytes.subarray(46 + nameLength, 46 + nameLength + extraLength);
  const { size, storedSize, headerOffset } = applyZip64(file, name, extra, sizes);
  const compressed = method === 8;
  if (compressed ? size > storedSize * bestRatio : size !== storedSize) {
    invalid(file, `entry ${quoted(name)} claims to unpack ${storedSize} bytes into ${size}`);
  }
  return { name, compressed, crc: view.getUint32(16, true), storedSize, size, headerOffset };
}

/** Fields that are full (2^32 − 1) stand in the zip64 extra field instead, in this order, without gaps. */
function applyZip64<T extends Record<string, number>>(
  file: RandomAccessFile,
  name: string,
  extra: Uint8Array,
  fields: T,
): T {
  const full = Object.keys(fields).filter((key) => fields[key] === 0xffffffff);
  if (full.length === 0) return fields;
  const view = viewOf(extra);
  for (let at = 0; at + 4 <= extra.length; ) {
    const length = view.getUint16(at + 2, true);
    if (view.getUint16(at, true) === 1 && length >= 8 * full.length && at + 4 + length <= extra.length) {
      const values = full.map((key, i) => [key, long(view, at + 4 + 8 * i)] as const);
      return { ...fields, ...Object.fromEntries(values) };
    }
    at += 4 + length;
  }
  return invalid(file, `entry ${quoted(name)} lacks its zip64 sizes`);
}

interface DirectoryEnd {
  readonly count: number;
  readonly offset: number;
  readonly length: number;
}

async function findEnd(file: RandomAccessFile): Promise<DirectoryEnd> {
  const tailStart = Math.max(0, file.size - endReach);
  const tail = await file.read(tailStart, file.size - tailStart);
  const view = viewOf(tail);
  for (let at = tail.length - endLength; at >= 0; at--) {
    // The comment's length must fit too: the signature may also occur inside the data of a truncated file.
    if (view.getUint32(at, true) !== endSignature || at + endLength + view.getUint16(at + 20, true) !== tail.length)
      continue;
    const end = {
      count: view.getUint16(at + 10, true),
      length: view.getUint32(at + 12, true),
      offset: view.getUint32(at + 16, true),
    };
    const isFull = end.count === 0xffff || end.length === 0xffffffff || end.offset === 0xffffffff;
    return isFull && at >= 20 && view.getUint32(at - 20, true) === locator64Signature
      ? readEnd64(file, long(view, at - 12))
      : end;
  }
  return invalid(file, file.size === 0 ? 'it is empty' : 'it has no directory at its end; it may be truncated');
}

async function readEnd64(file: RandomAccessFile, offset: number): Promise<DirectoryEnd> {
  if (offset + 56 > file.size) invalid(file, 'its directory lies outside the file');
  const view = viewOf(await file.read(offset, 56));
  if (view.getUint32(0, true) !== end64Signature) invalid(file, 'its directory is damaged');
  return { count: long(view, 32), length: long(view, 40), offset: long(view, 48) };
}

/** Rounded beyond 2^53, which no file reaches: the checks against the file's size refuse it. */
function long(view: DataView, at: number): number {
  return Number(view.getBigUint64(at, true));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function invalid(file: RandomAccessFile, why: string): never {
  throw new InputError(`${file.path} is not a valid .npz file: ${why}`);
}
