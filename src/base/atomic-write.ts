/**
 * Output files appear complete or not at all: they are written under a temporary name in the same folder,
 * flushed to disk and renamed.
 */

import { randomBytes } from 'node:crypto';
import { constants, unlinkSync } from 'node:fs';
import { access, type FileHandle, open, realpath, rename, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { codeOf, fileError, InputError } from './errors.js';

/** Where a producer writes; chunks are appended in order. */
export interface Sink {
  write(chunk: Uint8Array): Promise<void>;
}

/** Temporary files in progress, removed also when the process is ended by process.exit (Ctrl-C). */
const unfinished = new Set<string>();
function removeUnfinished(): void {
  for (const path of unfinished) {
    try {
      unlinkSync(path);
    } catch {
      // Already gone, or the disk is: nobody is left to tell.
    }
  }
}

/**
 * Writes `content` to `path`, replacing what is there. A function is called to write piece by piece; whatever it
 * throws leaves `path` as it was. Devices and pipes (/dev/null) are written to directly.
 * Throws InputError where the path cannot be written.
 */
export async function writeFileAtomic(
  path: string,
  content: Uint8Array | string | ((sink: Sink) => Promise<void>),
): Promise<void> {
  const produce = typeof content === 'function' ? content : (sink: Sink) => sink.write(toBytes(content));
  const target = await writeTarget(path);
  if (target.special) {
    await writing(path, 'r+', path, produce, async () => undefined);
    return;
  }
  const temporary = join(
    dirname(target.path),
    `.${basename(target.path).slice(0, 100)}.${randomBytes(6).toString('hex')}.tmp`,
  );
  if (unfinished.size === 0) process.on('exit', removeUnfinished);
  unfinished.add(temporary);
  try {
    await writing(path, 'wx', temporary, produce, async (handle) => {
      if (target.mode !== undefined) await handle.chmod(target.mode);
      await handle.sync();
    });
    await rename(temporary, target.path).catch((error: unknown) => {
      throw fileError('write', path, error);
    });
  } catch (error) {
    await unlink(temporary).catch(() => undefined); // not there if it could not be created
    throw error;
  } finally {
    unfinished.delete(temporary);
    if (unfinished.size === 0) process.off('exit', removeUnfinished);
  }
}

/** Throws the InputError that writing to `path` would end with, so that it comes before hours of work. */
export async function ensureWritable(path: string): Promise<void> {
  const target = await writeTarget(path);
  await access(target.special ? target.path : dirname(target.path), constants.W_OK).catch((error: unknown) => {
    throw fileError('write', path, error);
  });
}

interface Target {
  /** links resolved, so that a link stays a link */
  readonly path: string;
  /** permissions of the file that is replaced */
  readonly mode: number | undefined;
  readonly special: boolean;
}

async function writeTarget(path: string): Promise<Target> {
  try {
    const real = await realpath(path);
    const existing = await stat(real);
    if (existing.isDirectory()) throw new InputError(`cannot write ${path}: it is a folder`);
    return { path: real, mode: existing.mode & 0o777, special: !existing.isFile() };
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw fileError('write', path, error);
  }
  const absolute = resolve(path);
  const folder = await stat(dirname(absolute)).catch((error: unknown) => {
    throw codeOf(error) === 'ENOENT'
      ? new InputError(`cannot write ${path}: the folder ${dirname(path)} does not exist`)
      : fileError('write', path, error);
  });
  if (!folder.isDirectory()) throw new InputError(`cannot write ${path}: ${dirname(path)} is not a folder`);
  return { path: absolute, mode: undefined, special: false };
}

/** Errors of the file become ours under the name the caller knows; errors of the producer pass through. */
async function writing(
  path: string,
  flags: string,
  file: string,
  produce: (sink: Sink) => Promise<void>,
  finish: (handle: FileHandle) => Promise<void>,
): Promise<void> {
  const ours = (error: unknown): never => {
    throw fileError('write', path, error);
  };
  const handle = await open(file, flags).catch(ours);
  try {
    await produce({ write: (chunk) => writeAll(handle, chunk).catch(ours) });
    await finish(handle).catch(ours);
  } finally {
    await handle.close().catch(ours);
  }
}

async function writeAll(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let done = 0; done < chunk.length; ) {
    const { bytesWritten } = await handle.write(chunk, done, Math.min(chunk.length - done, 0x4000_0000));
    done += bytesWritten;
  }
}

function toBytes(content: Uint8Array | string): Uint8Array {
  return typeof content === 'string' ? new TextEncoder().encode(content) : content;
}
