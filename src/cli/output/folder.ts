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
  const made: string[] = [];
  const undo = (): void => {
    for (const folder of made.splice(0).reverse()) removeIfEmpty(folder);
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
    await makeFolders(resolve(path), made);
    for (const name of names) await ensureWritable(join(path, name));
  } catch (error) {
    folder[Symbol.dispose]();
    throw error;
  }
  return folder;
}

/**
 * Makes a folder and those above it that are missing, and lists them. Not by mkdir({ recursive: true }), which never
 * returns where a file system refuses with ENOENT although the folder above exists, as in /proc.
 */
async function makeFolders(path: string, made: string[]): Promise<void> {
  const above = await stat(path).catch(() => undefined);
  if (above?.isDirectory()) return;
  if (path !== dirname(path)) await makeFolders(dirname(path), made);
  await mkdir(path).catch((error: unknown) => {
    throw fileError('make the folder', path, error);
  });
  made.push(path);
}

function removeIfEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // It holds files, ours or somebody's: it stays.
  }
}
