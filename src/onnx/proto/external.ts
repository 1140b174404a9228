/** Tensor data kept in files beside the model. */
import { closeSync, fstatSync, openSync, readSync, realpathSync } from 'node:fs';
import { dirname, isAbsolute, resolve, sep } from 'node:path';
import { fileError, InputError } from '../../base/errors.js';
import type { OnnxExternal } from './types.js';

/** One read call of Node moves at most 2^31 − 1 bytes. */
const maxRead = 0x4000_0000;

/**
 * The bytes of an external tensor, exactly `expected` of them. `what` names the tensor in messages.
 * Throws InputError where the file is missing, too short, or outside the model's folder.
 */
export function readExternal(external: OnnxExternal, expected: number, what: string): Uint8Array {
  return withExternalFile(external, expected, what, (descriptor) => {
    const bytes = new Uint8Array(expected);
    let done = 0;
    while (done < expected) {
      const count = readSync(descriptor, bytes, done, Math.min(maxRead, expected - done), external.offset + done);
      if (count === 0)
        throw new InputError(`${what}: external file ${external.location} became shorter while it was read`);
      done += count;
    }
    return bytes;
  });
}

/** The same checks without reading, so that a missing file shows before any work starts. */
export function checkExternal(external: OnnxExternal, expected: number, what: string): void {
  withExternalFile(external, expected, what, () => undefined);
}

function withExternalFile<T>(
  external: OnnxExternal,
  expected: number,
  what: string,
  use: (descriptor: number) => T,
): T {
  const { location, offset } = external;
  if (external.length !== undefined && external.length !== expected) {
    throw new InputError(
      `${what}: the file gives ${external.length} bytes of external data where its shape needs ${expected}`,
    );
  }
  const path = locateExternal(external, what);
  try {
    const descriptor = openSync(path, 'r');
    try {
      const stat = fstatSync(descriptor);
      if (!stat.isFile()) throw new InputError(`${what}: external data ${location} is not a file`);
      if (offset + expected > stat.size) {
        throw new InputError(
          `${what}: external file ${path} is truncated: bytes ${offset} to ${offset + expected} are needed, it has ${stat.size}`,
        );
      }
      return use(descriptor);
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    throw fileError('read', `${path} (external data of ${what})`, error);
  }
}

/**
 * The real path of an external file. A model must not make us read files elsewhere, so neither `..` nor links
 * may lead out of the folder of the model; where the model itself is a link, as in download caches whose
 * snapshots link into a store, the folder that it links to counts too.
 */
export function locateExternal(external: OnnxExternal, what: string): string {
  const { location, model } = external;
  if (model === undefined) {
    throw new InputError(
      `${what} keeps its data in ${location}, which cannot be found for a model given as bytes; load the model from its path`,
    );
  }
  const folder = dirname(model);
  const path = resolve(folder, location);
  const escapes = `${what}: external data ${location} lies outside the folder of the model, which is refused`;
  if (isAbsolute(location) || location.includes('\0') || !inside(path, folder)) throw new InputError(escapes);
  let real: string;
  let roots: string[];
  try {
    real = realpathSync(path);
    roots = [realpathSync(folder), dirname(realpathSync(model))];
  } catch (error) {
    throw fileError('read', `${path} (external data of ${what})`, error);
  }
  if (!roots.some((root) => inside(real, root))) throw new InputError(escapes);
  return real;
}

function inside(path: string, folder: string): boolean {
  return path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}
