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
import { ownInitializer, replacedTensor, storedBytes, withInitializers } from './stored.js';

/** values of a parameter, row-major, as Parameter.values gives them */
export type ParameterValues = ArrayLike<number>;

/**
 * Writes `source`, an ONNX file, to `path` with the given parameters changed. Names are those of `Model.parameters` (or
 * `constants`). Data kept beside the file go into a file of the same name beside `path`; a
 * copy that would share them with the original is refused. Files appear complete or not at all, the model last.
 */
export async function writeOnnx(
  source: string,
  values: ReadonlyMap<string, ParameterValues>,
  path: string,
): Promise<void> {
  const file = await readOnnxFile(source);
  const tensors = storedTensors(file);
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
  const moved = dirname(resolve(path)) !== dirname(file.path);
  for (const [location, external] of externalsOf(file)) {
    const patches = beside.get(location) ?? [];
    if (patches.length === 0 && !moved) continue;
    if (!moved && resolve(path) !== file.path)
      throw new InputError(
        `cannot write ${path}: ${source} in the same folder would read its changed data ${location}, too; write to another folder`,
      );
    await copyPatched(
      locateExternal(external, `the data of ${source}`),
      join(dirname(resolve(path)), location),
      patches,
    );
  }
  await writeFileAtomic(path, withInitializers(replaceRanges(file.bytes, replacements), added));
}

/** by the name of the initializer, or of the output of the Constant node */
function storedTensors({ model }: OnnxFile): Map<string, OnnxTensor> {
  const found = new Map<string, OnnxTensor>();
  for (const node of allNodes(model.graph.nodes)) {
    const value = node.opType === 'Constant' && node.domain === '' ? node.attributes.get('value') : undefined;
    if (value?.type === 'tensor') found.set(node.outputs[0] ?? '', value.value);
  }
  for (const tensor of allInitializers(model.graph)) found.set(tensor.name, tensor);
  return found;
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
function externalsOf({ model }: OnnxFile): Map<string, OnnxExternal> {
  const found = new Map<string, OnnxExternal>();
  for (const { payload } of allInitializers(model.graph))
    if (payload.kind === 'external') found.set(payload.location, payload);
  return found;
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
