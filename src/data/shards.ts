/** Folders and patterns: files with the same arrays, joined along the samples. */
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileError, InputError, ShapeError } from '../base/errors.js';
import { globMatcher } from '../base/glob.js';
import { quoted } from '../base/quote.js';
import type { Content, Role } from './content.js';
import { asFloat64, commonType, concatenated } from './joined.js';
import { dataExtensions, extensionOf, type FileOptions, openFile } from './open-file.js';
import type { RandomAccessFile } from './random-access.js';
import type { ArraySource } from './source.js';

/** The arrays of a file, or of all files of a folder or pattern. */
export async function openPath(
  path: string,
  options: FileOptions,
  files: RandomAccessFile[],
  role: Role,
): Promise<Content> {
  const shards = await shardsOf(path);
  if (!shards) return openFile(path, options, files, role);
  const contents: Content[] = [];
  let left = options.samples ?? Number.POSITIVE_INFINITY;
  for (const shard of shards) {
    const wanted = options.samples === undefined ? {} : { samples: left };
    const content = await openFile(shard, { ...options, ...wanted }, files, role);
    contents.push(content);
    left -= samplesOf(content);
    if (left <= 0) break;
  }
  return joinShards(contents, shards, path);
}

export function isPattern(path: string): boolean {
  return /[*?[]/.test(basename(path));
}

/** Natural order: "part-2" before "part-10". */
const byName = new Intl.Collator('en', { numeric: true });

async function shardsOf(path: string): Promise<string[] | undefined> {
  const there = await stat(path).catch(() => undefined);
  const pattern = !there && isPattern(path);
  if (!there?.isDirectory() && !pattern) return undefined;
  const folder = pattern ? dirname(path) : path;
  const matches = pattern
    ? globMatcher(basename(path))
    : (name: string) => dataExtensions.has(extensionOf(name)) && !name.startsWith('.');
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    throw fileError('read', folder, error);
  });
  const found = entries
    .filter((entry) => !entry.isDirectory() && matches(entry.name))
    .map((entry) => join(folder, entry.name))
    .sort((a, b) => byName.compare(a, b) || (a < b ? -1 : 1));
  if (found.length === 0)
    throw new InputError(
      pattern ? `no file matches ${path}` : `${path} holds no data files (${[...dataExtensions].join(', ')})`,
    );
  return found;
}

function samplesOf({ inputs, target }: Content): number {
  const [first = target] = inputs.values();
  return first?.shape[0] ?? 0;
}

function joinShards(contents: readonly Content[], paths: readonly string[], what: string): Content {
  const [first] = contents as [Content];
  if (contents.length === 1) return first;
  const names = (content: Content): string[] =>
    [...content.inputs.keys(), ...(content.target ? ['target'] : [])].sort();
  contents.forEach((content, i) => {
    const [own, wanted] = [names(content), names(first)];
    if (own.join('\0') !== wanted.join('\0'))
      throw new InputError(
        `${paths[i]} holds the arrays ${own.map(quoted).join(', ')}, ${paths[0]} ${wanted.map(quoted).join(', ')}; shards must hold the same`,
      );
  });
  const column = (name: string, sources: ArraySource[]): ArraySource => {
    const shape = (source: ArraySource): string => `[${source.shape.slice(1).join(', ')}]`;
    const [one] = sources as [ArraySource, ...ArraySource[]];
    for (const source of sources) {
      if (source.shape.length === 0 || shape(source) !== shape(one))
        throw new ShapeError(`${source.what} has samples of shape ${shape(source)}, ${one.what} of ${shape(one)}`);
    }
    const dtype = commonType(sources.map((source) => source.dtype));
    if (!dtype) {
      const other = sources.find((source) => source.dtype !== one.dtype) as ArraySource;
      throw new InputError(`${other.what} holds ${other.dtype}, ${one.what} ${one.dtype}; shards must agree`);
    }
    const same = sources.every((source) => source.dtype === dtype);
    const pieces = same ? sources : sources.map(asFloat64);
    return concatenated(
      pieces as [ArraySource, ...ArraySource[]],
      name === '' ? what : `array ${quoted(name)} of ${what}`,
    );
  };
  const inputs = [...first.inputs.keys()].map((name): [string, ArraySource] => [
    name,
    column(
      name,
      contents.map((c) => c.inputs.get(name) as ArraySource),
    ),
  ]);
  return {
    inputs: new Map(inputs),
    target:
      first.target &&
      column(
        'target',
        contents.map((c) => c.target as ArraySource),
      ),
    named: first.named,
    images: first.images,
  };
}
