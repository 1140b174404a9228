/** Data files → data set. The format is told by the content, not by the name. */
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { InputError } from '../base/errors.js';
import { quoted } from '../base/quote.js';
import { readCsv } from './csv.js';
import { type Dataset, makeDataset } from './dataset.js';
import { idxSource, looksLikeGzip, looksLikeIdx } from './idx.js';
import { npySource } from './npy.js';
import { npzSources } from './npz-read.js';
import { RandomAccessFile } from './random-access.js';
import { type ArraySource, memorySource } from './source.js';
import { parseStandardization, type StandardizeOptions } from './standardize.js';
import { readZipDirectory } from './zip-read.js';

export interface DatasetOptions extends StandardizeOptions {
  /** A file with the targets: .npy, .npz with one array or one named "target", IDX, or CSV. */
  readonly target?: string;
  /** The column of a CSV file (of the target's, where one is given) that is the target: its name, or its number from 0. */
  readonly targetColumn?: string | number;
  /** The first N samples. */
  readonly samples?: number;
  /** bytes that compressed arrays may unpack to; default: 70 % of what is free */
  readonly memory?: number;
}

/**
 * Opens data files: .npz (arrays named as the model's inputs, and `target`), .npy and IDX (one input each, named
 * as the file without its extensions, or as in "NAME=PATH"), CSV (one input of all columns but the
 * target). scale, mean and std apply to inputs of floats and bytes, never to integers or the target.
 * Headers are read and checked now, data when a batch asks for them; uncompressed data are not kept in memory.
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
      const content = await openFile(path, options, files, options.target === undefined ? 'data' : 'inputs');
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

interface Content {
  readonly inputs: ReadonlyMap<string, ArraySource>;
  readonly target: ArraySource | undefined;
  /** Whether the file gives the names itself. */
  readonly named: boolean;
  readonly images: boolean;
}

/** What is looked for in a file: everything, or one of the two. */
type Role = 'data' | 'inputs' | 'target';

async function openFile(
  path: string,
  options: DatasetOptions,
  files: RandomAccessFile[],
  role: Role,
): Promise<Content> {
  const file = await RandomAccessFile.open(path);
  files.push(file);
  const memory = options.memory === undefined ? {} : { memory: options.memory };
  const rows = options.samples === undefined ? {} : { rows: options.samples };
  const single = (source: ArraySource, images = false): Content => ({
    inputs: new Map([['', source]]),
    target: undefined,
    named: false,
    images,
  });
  switch (await formatOf(file)) {
    case 'npz': {
      const inputs = await npzSources(file, await readZipDirectory(file), { ...memory, ...rows });
      const target = inputs.get('target');
      inputs.delete('target');
      return { inputs, target, named: true, images: false };
    }
    case 'npy':
      return single(await npySource(file));
    case 'idx':
      return single(await idxSource(file, memory), true);
    case 'csv': {
      const column =
        options.targetColumn === undefined || role === 'inputs' ? {} : { targetColumn: options.targetColumn };
      const { values, target } = await readCsv(file, { ...column, ...rows, targetsOnly: role === 'target' });
      const inputs = values.shape[1] === 0 ? new Map() : new Map([['', memorySource(values, path)]]);
      return {
        inputs,
        target: target && memorySource(target, `the target column of ${path}`),
        named: false,
        images: false,
      };
    }
  }
}

async function openTarget(path: string, options: DatasetOptions, files: RandomAccessFile[]): Promise<ArraySource> {
  const { inputs, target } = await openFile(path, options, files, 'target');
  if (target) return target;
  const [only, more] = inputs.values();
  if (!only || more)
    throw new InputError(
      `${path} holds ${inputs.size} arrays and none is named "target", so it cannot give the targets`,
    );
  return only;
}

type Format = 'npz' | 'npy' | 'idx' | 'csv';

async function formatOf(file: RandomAccessFile): Promise<Format> {
  if (file.size === 0) throw new InputError(`${file.path} is empty`);
  const start = await file.read(0, Math.min(file.size, 8));
  const text = String.fromCharCode(...start);
  const extension = /\.(npz|npy|csv|tsv|txt)$/i.exec(file.path)?.[1]?.toLowerCase();
  // The second is an archive without entries.
  if (text.startsWith('PK\x03\x04') || text.startsWith('PK\x05\x06') || extension === 'npz') return 'npz';
  if (text.startsWith('\x93NUMPY') || extension === 'npy') return 'npy';
  if (extension !== undefined) return 'csv';
  if (looksLikeIdx(start) || looksLikeGzip(start)) return 'idx';
  throw new InputError(`${file.path} is neither .npz, .npy, IDX nor CSV; give text tables the extension .csv`);
}

/** "NAME=PATH" unless a file has that very name. */
function splitName(given: string): { name: string; path: string } {
  const [, name, path] = /^([^=/\\]+)=(.+)$/.exec(given) ?? [];
  if (name !== undefined && path !== undefined && !existsSync(given)) return { name, path };
  return { name: basename(given).replace(/(?!^)\..*$/, ''), path: given };
}
