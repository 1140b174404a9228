/** A folder for several output files: made at the start, so that faults show before hours of work. */
import { rmdirSync } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { ensureWritable } from '../../base/atomic-write.js';
import { fileError, InputError } from '../../base/errors.js';

export interface OutputFolder {
  readonly path: string;
  file(name: string): string;
  /** Removes the folders that were made, if they are still empty: a run that failed or was interrupted leaves nothing. */
  [Symbol.dispose](): void;
}

/** Throws InputError where `path` cannot become a folder that takes files of these names. */
export async function openFolder(path: string, names: readonly string[]): Promise<OutputFolder> {
  const existing = await stat(path).catch(() => undefined);
  if (existing && !existing.isDirectory()) throw new InputError(`cannot write to ${path}: it is a file, not a folder`);
  const first = await mkdir(path, { recursive: true }).catch((error: unknown) => {
    throw fileError('make the folder', path, error);
  });
  const undo = (): void => {
    if (first === undefined) return;
    const top = dirname(resolve(first));
    for (let at = resolve(path); at !== top; at = dirname(at)) removeIfEmpty(at);
  };
  // Ctrl-C may end the process while the run that would clean up is still stopping.
  process.once('exit', undo);
  const folder = {
    path,
    file: (name: string) => join(path, name),
    [Symbol.dispose]: () => {
      process.off('exit', undo);
      undo();
    },
  };
  try {
    for (const name of names) await ensureWritable(join(path, name));
  } catch (error) {
    folder[Symbol.dispose]();
    throw error;
  }
  return folder;
}

function removeIfEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // It holds files, ours or somebody's: it stays.
  }
}
