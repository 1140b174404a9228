/** Changed parameters back into a copy of the file. Every byte that holds no changed number stays as it is. */
import { open } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { type Sink, writeFileAtomic } from '../base/atomic-write.js';
import { fileError, InputError, UnsupportedError } from '../base/errors.js';
import { quoted } from '../base/quote.js';
import { allInitializers, allNodes } from './flatten.js';
import { locateExternal } from './proto/external.js';
import {
  type OnnxExternal,
  type OnnxFile,
  type OnnxTensor,
  type Replacement,
  readOnnxFile,
  replaceRanges,
} from './proto/index.js';
import { ownInitializer, relocatedTensor, replacedTensor, storedBytes, withInitializers } from './stored.js';

/** values of a parameter, row-major, as Parameter.values gives them */
export type ParameterValues = ArrayLike<number>;

/**
 * Writes `source`, an ONNX file, to `path` with the given parameters changed. Names are those of `Model.parameters` (or
 * `constants`). Data kept beside the file go into a file of the same name beside `path`; in the original's folder, where
 * that name is the original's, changed data go into one named after `path`, and unchanged data are shared. Files appear
 * complete or not at all, the model last.
 */
export async function writeOnnx(
  source: string,
  values: ReadonlyMap<string, ParameterValues>,
  path: string,
): Promise<void> {
  const file = await readOnnxFile(source);
  const stored = storedTensors(file);
  const tensors = new Map(stored.map((t) => [t.name, t]));
  const replacements: Replacement[] = [];
  const beside = new Map<string, Patch[]>();
  const added: Uint8Array[] = [];
  for (const [name, numbers] of values) {
    const tensor = tensors.get(name);
    if (!tensor) {
      const own = aliased(file, tensors, name, numbers);
      if (!own) throw new InputError(`${source} stores no tensor named ${quoted(name)}`);
      replacements.push(own.replacement);
      added.push(own.initializer);
      continue;
    }
    const bytes = storedBytes(tensor, numbers);
    if (tensor.payload.kind === 'external')
      patchesOf(beside, tensor.payload).push({ at: tensor.payload.offset, bytes });
    else replacements.push(replacedTensor(file.bytes, tensor, bytes));
  }
  const folder = dirname(resolve(path));
  const moved = folder !== dirname(file.path);
  const shared = !moved && resolve(path) !== file.path;
  const externals = externalsOf(stored);
  for (const [location, external] of [...externals]) {
    const patches = beside.get(location) ?? [];
    if (patches.length === 0 && !moved) continue;
    const target = shared ? freshLocation(basename(path), externals) : location;
    await copyPatched(locateExternal(external, `the data of ${source}`), join(folder, target), patches);
    if (!shared) continue;
    externals.set(target, external);
    for (const tensor of stored) {
      if (tensor.payload.kind === 'external' && tensor.payload.location === location)
        replacements.push(relocatedTensor(file.bytes, tensor, target));
    }
  }
  await writeFileAtomic(path, withInitializers(replaceRanges(file.bytes, replacements), added));
}

/** under the name of the initializer, or of the output of the Constant node; initializers last */
function storedTensors({ model }: OnnxFile): OnnxTensor[] {
  const constants = allNodes(model.graph.nodes).flatMap((node) => {
    const value = node.opType === 'Constant' && node.domain === '' ? node.attributes.get('value') : undefined;
    return value?.type === 'tensor' ? [{ ...value.value, name: node.outputs[0] ?? '' }] : [];
  });
  return [...constants, ...allInitializers(model.graph)];
}

/** `name` as an Identity of an initializer; see ownInitializer */
function aliased(
  { model, bytes }: OnnxFile,
  tensors: ReadonlyMap<string, OnnxTensor>,
  name: string,
  numbers: ParameterValues,
): ReturnType<typeof ownInitializer> | undefined {
  const { nodes } = model.graph;
  const byOutput = new Map(nodes.map((n, i) => [n.outputs[0] ?? '', i]));
  const at = byOutput.get(name);
  let source = at === undefined ? undefined : nodes[at];
  // an Identity of an Identity of … an initializer
  for (let left = nodes.length; left >= 0 && source?.opType === 'Identity'; left--) {
    const input = source.inputs[0] ?? '',
      tensor = tensors.get(input);
    if (tensor) {
      let own = `${name}.values`;
      while (tensors.has(own) || byOutput.has(own)) own += '_';
      return ownInitializer(bytes, at as number, tensor, own, numbers);
    }
    source = nodes[byOutput.get(input) ?? -1];
  }
  return undefined;
}

interface Patch {
  readonly at: number;
  readonly bytes: Uint8Array;
}
function patchesOf(all: Map<string, Patch[]>, { location }: OnnxExternal): Patch[] {
  const list = all.get(location) ?? [];
  all.set(location, list);
  return list;
}
/** the files that the model keeps data in, each by one tensor that says where it is */
function externalsOf(tensors: readonly OnnxTensor[]): Map<string, OnnxExternal> {
  const found = new Map<string, OnnxExternal>();
  for (const { payload } of tensors) if (payload.kind === 'external') found.set(payload.location, payload);
  return found;
}
/** named after the model, and nothing that the original reads */
function freshLocation(model: string, taken: ReadonlyMap<string, unknown>): string {
  for (let n = 0; ; n++) {
    const name = n === 0 ? `${model}.data` : `${model}.${n}.data`;
    if (!taken.has(name)) return name;
  }
}

const chunk = 1 << 24;

async function copyPatched(from: string, to: string, patches: readonly Patch[]): Promise<void> {
  const sorted = [...patches].sort((a, b) => a.at - b.at);
  sorted.forEach(({ at, bytes }, i) => {
    if (at + bytes.length > (sorted[i + 1]?.at ?? Infinity))
      throw new UnsupportedError(`tensors share bytes of ${basename(from)}; to change one would change the other`);
  });
  const handle = await open(from, 'r').catch((error: unknown) => {
    throw fileError('read', from, error);
  });
  try {
    const { size } = await handle.stat();
    await writeFileAtomic(to, async (sink) => {
      let at = 0;
      for (const patch of sorted) {
        await copy(handle, sink, at, patch.at);
        await sink.write(patch.bytes);
        at = patch.at + patch.bytes.length;
      }
      await copy(handle, sink, at, size);
    });
  } finally {
    await handle.close();
  }

  async function copy(file: typeof handle, sink: Sink, start: number, end: number): Promise<void> {
    for (let at = start; at < end; ) {
      const bytes = new Uint8Array(Math.min(chunk, end - at));
      const { bytesRead } = await file.read(bytes, 0, bytes.length, at);
      if (bytesRead === 0) throw new InputError(`${from} became shorter while it was read`);
      await sink.write(bytes.subarray(0, bytesRead));
      at += bytesRead;
    }
  }
}
