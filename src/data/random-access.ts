/** A file read at any position. */
import { type FileHandle, open, stat } from 'node:fs/promises';
import { fileError, InputError, OutOfMemoryError } from '../base/errors.js';
import { formatBytes } from '../base/format.js';

const chunkBytes = 2 ** 20;

export class RandomAccessFile {
  private constructor(
    /** as the user gave it, for messages */
    readonly path: string,
    /** bytes, when it was opened */
    readonly size: number,
    private readonly handle: FileHandle,
  ) {}

  /** Throws InputError for what is not a readable, regular file. */
  static async open(path: string): Promise<RandomAccessFile> {
    try {
      // Before opening: to open a named pipe would wait for a writer.
      if (!(await stat(path)).isFile()) throw new InputError(`cannot read ${path}: it is not a file`);
      const handle = await open(path, 'r');
      return new RandomAccessFile(path, (await handle.stat()).size, handle);
    } catch (error) {
      throw fileError('read', path, error);
    }
  }

  /** Exactly `length` bytes from `offset` on, in memory of their own. */
  async read(offset: number, length: number): Promise<Uint8Array> {
    if (offset + length > this.size) {
      throw new InputError(
        `${this.path} is truncated: bytes ${offset} to ${offset + length} are needed, it has ${this.size}`,
      );
    }
    const bytes = allocateBytes(length, this.path);
    for (let done = 0; done < length; ) {
      const count = Math.min(length - done, 0x4000_0000);
      const { bytesRead } = await this.handle.read(bytes, done, count, offset + done).catch((error: unknown) => {
        throw fileError('read', this.path, error);
      });
      if (bytesRead === 0) throw new InputError(`${this.path} became shorter while it was read`);
      done += bytesRead;
    }
    return bytes;
  }

  /** The bytes from `start` to `end` in pieces, so that memory stays bounded. */
  async *chunks(start = 0, end = this.size): AsyncGenerator<Uint8Array> {
    for (let at = start; at < end; at += chunkBytes) yield await this.read(at, Math.min(chunkBytes, end - at));
  }

  async close(): Promise<void> {
    await this.handle.close();
  }
}

/** Zeroed memory; OutOfMemoryError naming what it was for where there is none. */
export function allocateBytes(length: number, what: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(length);
  } catch (error) {
    throw new OutOfMemoryError(`${what} needs ${formatBytes(length)} at once, which cannot be allocated`, {
      cause: error,
    });
  }
}
