/** Data files → data set. */
import { existsSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { InputError } from '../base/errors.js';
import { quoted } from '../base/quote.js';
import { type Dataset, makeDataset } from './dataset.js';
import type { RandomAccessFile } from './random-access.js';
import { isPattern, openPath } from './shards.js';
import type { ArraySource } from './source.js';
import { parseStandardization, type StandardizeOptions } from './standardize.js';

/** Options of `openDataset`. */
export interface DatasetOptions extends StandardizeOptions {
  /** A file with the targets, of any format: one array, or one named "target". Or a folder or glob of such shards. */
  readonly target?: string;
  /**
   * The column of a CSV, Parquet or Arrow file (of the target's, where one is given) that is the target: its name, or
   * its number from 0. In Parquet and Arrow a column named "target" needs no naming.
   */
  readonly targetColumn?: string | number;
  /** The first N samples. */
  readonly samples?: number;
  /** bytes that compressed arrays may unpack to; default: 70 % of what is free */
  readonly memory?: number;
}

/**
 * Opens data files, told by their content:
 *
 *   .npz, .safetensors   arrays named as the model's inputs, and `target`
 *   .npy, IDX            one input each, named as the file without its extensions, or as in "NAME=PATH"
 *   CSV                  one input of all columns but the target
 *   Parquet, Arrow       likewise; where a column holds lists, each column is an input of its name
 *                        (libraries to install: hyparquet, apache-arrow)
 *
 * A folder, or a path with *, ? or [abc] in its last part, stands for shards: files with the same arrays, joined along
 * the samples in natural order of their names. scale, mean and std apply to inputs of floats and bytes, never to
 * integers or the target. Headers are read and checked now, data when a batch asks for them; what is stored
 * uncompressed is read piece by piece and not kept, Parquet and Arrow a row group at a time, and of shards
 * that must be unpacked only those that a batch touches are kept.
 * Throws InputError for whatever is wrong with the files or does not fit together.
 */
export async function openDataset(paths: string | readonly string[], options: DatasetOptions = {}): Promise<Dataset> {
  const standardization = parseStandardization(options);
  const files: RandomAccessFile[] = [];
  const close = async (): Promise<void> => {
    for (const file of files.splice(0)) await file.close();
  };
  try {
    const inputs = new Map<string, ArraySource>();
    const images = new Set<string>();
    let target: ArraySource | undefined;
    const add = (name: string, source: ArraySource): void => {
      if (inputs.has(name)) throw new InputError(`two data files give the input ${quoted(name)}`);
      inputs.set(name, source);
    };
    for (const given of typeof paths === 'string' ? [paths] : paths) {
      const { name, path } = splitName(given);
      const content = await openPath(path, options, files, options.target === undefined ? 'data' : 'inputs');
      for (const [arrayName, source] of content.inputs) add(content.named ? arrayName : name, source);
      if (content.images) images.add(name);
      if (content.target && target)
        throw new InputError(`${content.target.what} is a second target, after ${target.what}`);
      target ??= content.target;
    }
    if (options.target !== undefined) {
      if (target)
        throw new InputError(`the targets are given by ${options.target} and by ${target.what}; leave one out`);
      target = await openTarget(options.target, options, files);
    }
    return makeDataset({ inputs, target, samples: options.samples, standardization, images, close });
  } catch (error) {
    await close();
    throw error;
  }
}

async function openTarget(path: string, options: DatasetOptions, files: RandomAccessFile[]): Promise<ArraySource> {
  const { inputs, target } = await openPath(path, options, files, 'target');
  if (target) return target;
  const [only, more] = inputs.values();
  if (!only || more)
    throw new InputError(
      `${path} holds ${inputs.size} arrays and none is named "target", so it cannot give the targets`,
    );
  return only;
}

/** "NAME=PATH" unless a file has that very name. Shards without names of their own are called as their folder. */
function splitName(given: string): { name: string; path: string } {
  const [, name, path] = /^([^=/\\]+)=(.+)$/.exec(given) ?? [];
  if (name !== undefined && path !== undefined && !existsSync(given)) return { name, path };
  const full = resolve(given);
  const named = isPattern(given) ? dirname(full) : full;
  return { name: basename(named).replace(/(?!^)\..*$/, ''), path: given };
}
