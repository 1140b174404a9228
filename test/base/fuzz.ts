/** Damaged variants of a file, the same in every run. */
import { rm, writeFile } from 'node:fs/promises';
import { HessiaError } from '../../src/base/errors.js';

/** Every proper prefix, or some 300 of them for larger files. */
export function* truncations(bytes: Uint8Array): Generator<Uint8Array> {
  const step = Math.max(1, Math.floor(bytes.length / 300));
  for (let length = 0; length < bytes.length; length += step) yield bytes.slice(0, length);
}

/** Copies with one to three bytes replaced. */
export function* byteFlips(bytes: Uint8Array, count: number): Generator<Uint8Array> {
  const random = lehmer(12345);
  for (let i = 0; i < count; i++) {
    const copy = bytes.slice();
    const changes = 1 + (random() % 3);
    for (let change = 0; change < changes; change++) copy[random() % copy.length] = random() % 256;
    yield copy;
  }
}

/** The minimal standard generator of Park and Miller: whole numbers below 2^31 − 1. */
export function lehmer(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 48271) % 0x7fffffff);
}

/** Runs `read`; passes if it succeeds or fails as it should. Tells whether it failed. */
export async function failsProperly(read: () => unknown): Promise<boolean> {
  try {
    await read();
    return false;
  } catch (error) {
    if (!(error instanceof HessiaError) || error.code === 'INTERNAL') throw error;
    if (/[\r\n]/.test(error.message)) throw new Error('a message of several lines', { cause: error });
    return true;
  }
}

/** Writes a new file: overwriting thousands of times waits for the disk each time, on file systems such as ext4. */
export async function writeAnew(path: string, bytes: Uint8Array): Promise<void> {
  await rm(path, { force: true });
  await writeFile(path, bytes);
}
