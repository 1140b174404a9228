/** A file read at any position. */
import { close, closeSync, fstat, open, read, stat } from 'node:fs';
import { promisify } from 'node:util';
import { fileError, InputError, OutOfMemoryError } from '../base/errors.js';
import { formatBytes } from '../base/format.js';

const chunkBytes = 2 ** 20;

const [openFile, closeFile, readFile] = [promisify(open), promisify(close), promisify(read)];
const [statFile, statOpen] = [promisify(stat), promisify(fstat)];
/** Closes what was never closed. Not left to FileHandle, which warns of it and will throw one day. */
const forgotten = new FinalizationRegistry<number>((descriptor) => closeSync(descriptor));

export class RandomAccessFile {
  /** undefined when it has been closed */
  #descriptor: number | undefined;

  private constructor(
    /** as the user gave it, for messages */
    readonly path: string,
    /** bytes, when it was opened */
    readonly size: number,
    descriptor: number,
  ) {
    this.#descriptor = descriptor;
    forgotten.register(this, descriptor, this);
  }

  /** Throws InputError for what is not a readable, regular file. */
  static async open(path: string): Promise<RandomAccessFile> {
    try {
      // Before opening: to open a named pipe would wait for a writer.
      if (!(await statFile(path)).isFile()) throw new InputError(`cannot read ${path}: it is not a file`);
      const descriptor = await openFile(path, 'r');
      return new RandomAccessFile(path, (await statOpen(descriptor)).size, descriptor);
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
    if (this.#descriptor === undefined) throw new InputError(`${this.path} has been closed: its data set was disposed`);
    const bytes = allocateBytes(length, this.path);
    for (let done = 0; done < length; ) {
      const count = Math.min(length - done, 0x4000_0000);
      const { bytesRead } = await readFile(this.#descriptor, bytes, done, count, offset + done).catch(
        (error: unknown) => {
          throw fileError('read', this.path, error);
        },
      );
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
    const descriptor = this.#descriptor;
    if (descriptor === undefined) return;
    this.#descriptor = undefined;
    forgotten.unregister(this);
    await closeFile(descriptor);
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
