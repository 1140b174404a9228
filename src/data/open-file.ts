/** One data file → its arrays. The format is told by the content, and by the name only where that says nothing. */
import { extname } from 'node:path';
import { InputError } from '../base/errors.js';
import { arrowMagic, arrowTable } from './arrow.js';
import type { Content, Role } from './content.js';
import { readCsv } from './csv.js';
import { idxSource, looksLikeGzip, looksLikeIdx } from './idx.js';
import { npySource } from './npy.js';
import { npzSources } from './npz-read.js';
import { parquetTable } from './parquet.js';
import { RandomAccessFile } from './random-access.js';
import { safetensorsSources } from './safetensors.js';
import { type ArraySource, memorySource } from './source.js';
import { tableContent } from './table.js';
import { readZipDirectory } from './zip-read.js';

export interface FileOptions {
  readonly targetColumn?: string | number;
  /** Samples that will be asked for. */
  readonly samples?: number;
  /** bytes that compressed arrays may unpack to */
  readonly memory?: number;
}

/** The arrays of one file. It joins `files`, which the caller closes. */
export async function openFile(
  path: string,
  options: FileOptions,
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
    case 'safetensors': {
      const inputs = await safetensorsSources(file);
      const target = inputs.get('target');
      inputs.delete('target');
      return { inputs, target, named: true, images: false };
    }
    case 'parquet':
      return tableContent(await parquetTable(file), options.targetColumn, role);
    case 'arrow':
      return tableContent(await arrowTable(file), options.targetColumn, role);
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

type Format = 'npz' | 'npy' | 'safetensors' | 'parquet' | 'arrow' | 'idx' | 'csv';

/** By extension, for what has no content to tell it by: text, and files that are damaged or empty archives. */
const byExtension: Readonly<Record<string, Format>> = {
  npz: 'npz',
  npy: 'npy',
  safetensors: 'safetensors',
  parquet: 'parquet',
  arrow: 'arrow',
  arrows: 'arrow',
  feather: 'arrow',
  ipc: 'arrow',
  csv: 'csv',
  tsv: 'csv',
  txt: 'csv',
};
/** What folders of shards are searched for. */
export const dataExtensions: ReadonlySet<string> = new Set(Object.keys(byExtension));
export const extensionOf = (path: string): string => extname(path).slice(1).toLowerCase();

async function formatOf(file: RandomAccessFile): Promise<Format> {
  if (file.size === 0) throw new InputError(`${file.path} is empty`);
  const start = await file.read(0, Math.min(file.size, 16));
  const text = String.fromCharCode(...start);
  // The second is an archive without entries.
  if (text.startsWith('PK\x03\x04') || text.startsWith('PK\x05\x06')) return 'npz';
  if (text.startsWith('\x93NUMPY')) return 'npy';
  if (text.startsWith('PAR1')) return 'parquet';
  if (text.startsWith(arrowMagic) || text.startsWith('\xff\xff\xff\xff')) return 'arrow';
  if (text.slice(3, 9) === '\0\0\0\0\0{') return 'safetensors';
  const named = byExtension[extensionOf(file.path)];
  if (named) return named;
  if (looksLikeIdx(start) || looksLikeGzip(start)) return 'idx';
  throw new InputError(
    `${file.path} is neither .npz, .npy, .safetensors, Parquet, Arrow, IDX nor CSV; give text tables the extension .csv`,
  );
}
