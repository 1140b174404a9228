/** Decompression in bounded memory. */
import { pipeline } from 'node:stream/promises';
import { createGunzip, createInflateRaw } from 'node:zlib';
import { HessiaError, InputError, messageOf } from '../base/errors.js';

/** Thrown through the pipeline when the consumer has seen enough. */
const enough = Symbol('enough');

/**
 * Decompresses `chunks` and hands each piece to `consume`, in order, until it returns false.
 * Damaged or truncated data throw an InputError that starts with `what`.
 */
export async function inflate(
  chunks: AsyncIterable<Uint8Array>,
  format: 'deflate' | 'gzip',
  what: string,
  consume: (piece: Uint8Array) => boolean,
): Promise<void> {
  const options = { chunkSize: 2 ** 18 };
  try {
    await pipeline(
      chunks,
      format === 'gzip' ? createGunzip(options) : createInflateRaw(options),
      async (pieces: AsyncIterable<Uint8Array>) => {
        for await (const piece of pieces) if (!consume(piece)) throw enough;
      },
    );
  } catch (error) {
    if (error === enough) return;
    if (error instanceof HessiaError) throw error;
    throw new InputError(`${what} is damaged: its compressed data cannot be read (${messageOf(error)})`, {
      cause: error,
    });
  }
}
