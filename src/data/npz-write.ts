/** Writing .npz files, array by array. */
import { promisify } from 'node:util';
import { deflateRaw } from 'node:zlib';
import { type Sink, writeFileAtomic } from '../base/atomic-write.js';
import { InputError } from '../base/errors.js';
import { type NdArray, toBytes } from '../base/ndarray.js';
import { quoted } from '../base/quote.js';
import { crc32 } from './crc32.js';
import { buildNpyHeader } from './npy-header.js';

const deflate = promisify(deflateRaw);

/** Options of `writeNpz`. */
export interface NpzWriteOptions {
  /** Deflate, as numpy.savez_compressed does. Default: stored, which is read back without unpacking. */
  readonly compress?: boolean;
}

/** Arrays with their names, in the order of the file. */
export type NamedArrays = Iterable<readonly [string, NdArray]> | AsyncIterable<readonly [string, NdArray]>;

/**
 * Writes arrays by name; a Map will do. They are taken one at a time, so a generator keeps only one in memory.
 * The same arrays give the same bytes. The file appears complete or not at all.
 */
export async function writeNpz(path: string, arrays: NamedArrays, options: NpzWriteOptions = {}): Promise<void> {
  await writeFileAtomic(path, async (sink) => {
    const zip = new ZipWriter(sink);
    const names = new Set<string>();
    for await (const [name, array] of arrays) {
      if (name === '' || name.includes('\0') || names.has(name)) {
        throw new InputError(`${path}: arrays need distinct names that are not empty, not ${quoted(name)}`);
      }
      names.add(name);
      const parts = [buildNpyHeader(array.dtype, array.shape), toBytes(array)];
      await zip.add(`${name}.npy`, parts, options.compress ?? false);
    }
    await zip.finish();
  });
}

const full32 = 0xffffffff;
/** Without zip64, and with it. */
const version = 20;
const version64 = 45;
/** 1 January 1980, the earliest that zip knows: files do not depend on when they were written. */
const dosDate = 0x21;
const utf8Names = 0x0800;

class ZipWriter {
  private position = 0;
  private count = 0;
  private readonly directory: Uint8Array[] = [];

  constructor(private readonly sink: Sink) {}

  async add(name: string, parts: readonly Uint8Array[], compress: boolean): Promise<void> {
    const size = parts.reduce((sum, part) => sum + part.length, 0);
    const crc = parts.reduce((sum, part) => crc32(part, sum), 0);
    const stored = compress ? [await deflate(Buffer.concat(parts))] : parts;
    const storedSize = stored.reduce((sum, part) => sum + part.length, 0);
    const headerOffset = this.position;
    const nameBytes = Buffer.from(name);
    const common = { method: compress ? 8 : 0, crc, nameLength: nameBytes.length };

    // The local header has both sizes in zip64 or neither; the directory only what is too large.
    const isLarge = size >= full32 || storedSize >= full32;
    const localExtra = isLarge ? extra64([size, storedSize]) : Buffer.alloc(0);
    const sizes = isLarge ? { size: full32, storedSize: full32 } : { size, storedSize };
    const local = Buffer.concat([
      uint32(0x04034b50),
      commonHeader({ ...common, ...sizes, extraLength: localExtra.length, isLarge }),
      nameBytes,
      localExtra,
    ]);
    const far = headerOffset >= full32;
    const extra =
      isLarge || far
        ? extra64([...(isLarge ? [size, storedSize] : []), ...(far ? [headerOffset] : [])])
        : Buffer.alloc(0);
    this.directory.push(
      Buffer.concat([
        uint32(0x02014b50),
        uint16(version64),
        commonHeader({ ...common, ...sizes, extraLength: extra.length, isLarge: isLarge || far }),
        uint16(0),
        uint16(0),
        uint16(0),
        uint32(0),
        uint32(far ? full32 : headerOffset),
        nameBytes,
        extra,
      ]),
    );
    this.count++;
    for (const part of [local, ...stored]) await this.write(part);
  }

  async finish(): Promise<void> {
    const offset = this.position;
    for (const entry of this.directory) await this.write(entry);
    const length = this.position - offset;
    if (this.count >= 0xffff || offset >= full32 || length >= full32) {
      const end = this.position;
      await this.write(
        Buffer.concat([
          uint32(0x06064b50),
          uint64(44),
          uint16(version64),
          uint16(version64),
          uint32(0),
          uint32(0),
          uint64(this.count),
          uint64(this.count),
          uint64(length),
          uint64(offset),
          uint32(0x07064b50),
          uint32(0),
          uint64(end),
          uint32(1),
        ]),
      );
    }
    const count = Math.min(this.count, 0xffff);
    await this.write(
      Buffer.concat([
        uint32(0x06054b50),
        uint16(0),
        uint16(0),
        uint16(count),
        uint16(count),
        uint32(Math.min(length, full32)),
        uint32(Math.min(offset, full32)),
        uint16(0),
      ]),
    );
  }

  private async write(bytes: Uint8Array): Promise<void> {
    await this.sink.write(bytes);
    this.position += bytes.length;
  }
}

/** What the local header and the directory have in common, "version needed" to "extra length". */
function commonHeader(entry: {
  method: number;
  crc: number;
  size: number;
  storedSize: number;
  nameLength: number;
  extraLength: number;
  isLarge: boolean;
}): Buffer {
  return Buffer.concat([
    uint16(entry.isLarge ? version64 : version),
    uint16(utf8Names),
    uint16(entry.method),
    uint16(0),
    uint16(dosDate),
    uint32(entry.crc),
    uint32(entry.storedSize),
    uint32(entry.size),
    uint16(entry.nameLength),
    uint16(entry.extraLength),
  ]);
}

function extra64(values: readonly number[]): Buffer {
  return Buffer.concat([uint16(1), uint16(8 * values.length), ...values.map(uint64)]);
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
