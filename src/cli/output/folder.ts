/** A folder for several output files: made at the start, so that faults show before hours of work. */
import { mkdir, rmdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { ensureWritable } from '../../base/atomic-write.js';
import { fileError, InputError } from '../../base/errors.js';

export interface OutputFolder {
  readonly path: string;
  file(name: string): string;
  /** Removes the folders that were made, if they are still empty: a run that failed leaves nothing. */
  undo(): Promise<void>;
}

/** Throws InputError where `path` cannot become a folder that takes files of these names. */
export async function openFolder(path: string, names: readonly string[]): Promise<OutputFolder> {
  const existing = await stat(path).catch(() => undefined);
  if (existing && !existing.isDirectory()) throw new InputError(`cannot write to ${path}: it is a file, not a folder`);
  const first = await mkdir(path, { recursive: true }).catch((error: unknown) => {
    throw fileError('make the folder', path, error);
  });
  const undo = async (): Promise<void> => {
    if (first === undefined) return;
    const top = dirname(resolve(first));
    for (let at = resolve(path); at !== top; at = dirname(at)) await rmdir(at).catch(() => undefined);
  };
  try {
    for (const name of names) await ensureWritable(join(path, name));
  } catch (error) {
    await undo();
    throw error;
  }
  return { path, file: (name) => join(path, name), undo };
}
