/**
 * A training run as a file: an npz of the arrays of its state, and the rest of it as JSON in one of them. Written after
 * an epoch, complete or not at all; read back, the run continues in the same bits.
 */
import { existsSync } from 'node:fs';
import { InputError } from '../base/errors.js';
import type { NdArray } from '../base/ndarray.js';
import { readNpz, writeNpz } from '../data/index.js';
import { fromArrays, toArrays } from './plain-data.js';

export interface Checkpoint<T> {
  /** what must be equal for a run to be the same one, in words */
  readonly run: Readonly<Record<string, string>>;
  readonly state: T;
}

/** version of the layout */
const version = 1;
const text = 'checkpoint';

export async function writeCheckpoint(path: string, checkpoint: Checkpoint<unknown>): Promise<void> {
  const { json, arrays } = toArrays({ version, ...checkpoint });
  const entry: NdArray = {
    dtype: 'uint8',
    shape: [Buffer.byteLength(json)],
    data: new Uint8Array(Buffer.from(json)),
  };
  await writeNpz(path, [[text, entry], ...arrays]);
}

/** Null where there is no file. Throws InputError for one that is no checkpoint or that of another run. */
export async function readCheckpoint(path: string, run: Checkpoint<unknown>['run']): Promise<unknown> {
  if (!existsSync(path)) return null;
  const arrays = await readNpz(path);
  const entry = arrays.get(text);
  if (entry?.dtype !== 'uint8') throw new InputError(`${path} is not a checkpoint`);
  const saved = fromArrays(Buffer.from(entry.data).toString('utf8'), arrays) as Checkpoint<unknown> & {
    readonly version: number;
  };
  if (saved.version !== version)
    throw new InputError(`${path} is a checkpoint of version ${saved.version}, where ${version} is known`);
  const names = new Set([...Object.keys(run), ...Object.keys(saved.run)]);
  const differing = [...names].find((name) => run[name] !== saved.run[name]);
  if (differing !== undefined)
    throw new InputError(
      `${path} is the checkpoint of another run: its ${differing} is ${saved.run[differing] ?? 'none'}, not ${run[differing] ?? 'none'}; remove it or name another`,
    );
  return saved.state;
}
