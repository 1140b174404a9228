/** ONNX files as models. */
import { createHash } from 'node:crypto';
import { toFloat32 } from '../base/convert.js';
import { InputError, UnsupportedError } from '../base/errors.js';
import type { NdArray } from '../base/ndarray.js';
import { quoted } from '../base/quote.js';
import type { Node } from '../graph/index.js';
import type { BuildOptions, Mode, Model, Parameter } from '../model/model.js';
import { type Candidate, candidatesOf, consumersOf, runningStatistics, whyNone } from './candidates.js';
import { discover, type InputSpec, plausible } from './discover.js';
import { allInitializers, allNodes, flatten } from './flatten.js';
import { type OnnxFile, type OnnxModel, readOnnxFile, tensorArray, tensorPieces } from './proto/index.js';
import { qualifiedName } from './table.js';
import { unsupportedIn } from './unsupported.js';
import { dtypeOf, once } from './values.js';
import { dataInputs, type Prepared, write } from './write.js';

export interface OnnxBuildOptions extends BuildOptions {
  /** further values of the file to return, by name: what `--model-output` asks for */
  readonly also?: readonly string[];
}
export interface ImportedModel extends Model {
  /** tensors in `Constant` nodes, which are parameters only if asked for by name */
  readonly constants: readonly Parameter[];
  readonly opset: number;
  build(options: OnnxBuildOptions): ReadonlyMap<string, Node>;
}

/** Options of `loadModel`. */
export interface LoadOptions {
  /**
   * Inputs that have one value everywhere, by name (a sampling rate, an initial state): the file is imported as if it
   * held them, and asks for no data there. Extents that the file leaves open are the batch's.
   */
  readonly fix?: Readonly<Record<string, number>> | undefined;
  /** 'train': batch statistics and dropout, whatever mode the file was exported in. Default 'eval' */
  readonly mode?: Mode | undefined;
}

/**
 * A model from an ONNX file; weights are read when they are needed. Throws InputError for a file that is damaged or
 * none, UnsupportedError for what no model can hold; operators without an import are listed in `unsupported` and
 * refused by `build`.
 */
export async function loadOnnx(path: string, options: LoadOptions = {}): Promise<ImportedModel> {
  return modelFromOnnx(await readOnnxFile(path), path, options);
}

/** `source` is how messages name the file. */
export function modelFromOnnx(
  file: OnnxFile,
  source: string = file.path,
  { mode = 'eval', fix = {} }: LoadOptions = {},
): ImportedModel {
  if (mode !== 'eval' && mode !== 'train') throw new InputError(`mode must be eval or train, not ${String(mode)}`);
  const model = withoutText(file.model);
  refuseDoubles(model, source);
  const nodes = flatten(model);
  const fixed = new Map(Object.entries(fix));
  const prepared: Prepared = { model, nodes, candidates: candidatesOf(model, nodes), fixed, mode };
  const inputs = dataInputs(prepared).map((i) => inputSpec(i, source));
  for (const [name, value] of fixed) {
    const known = dataInputs({ model, fixed: new Map() });
    if (!known.some((i) => i.name === name))
      throw new InputError(
        `${source} has no input ${quoted(name)} to fix (it has ${known.map((i) => quoted(i.name)).join(', ')})`,
      );
    if (typeof value !== 'number')
      throw new InputError(`input ${quoted(name)} is fixed at something that is no number`);
  }
  if (model.graph.outputs.length === 0) throw new InputError(`${source} has no outputs`);
  const unsupported = unsupportedIn(model, nodes, mode);
  const discovery =
    unsupported.length > 0 ? { parameters: plausible(prepared), fixedBatch: null } : discover(prepared, inputs);
  const consumers = consumersOf(nodes);
  const statistics = runningStatistics(nodes);
  const parameter = (c: Candidate): Parameter => parameterOf(c, consumers);
  const names = new Set(discovery.parameters.map((c) => c.name));
  const fingerprint = once(() => ({ value: fingerprintOf(file, fixed) }));
  return {
    source,
    mode,
    inputs: inputs.map(({ name, dtype, dims }) => ({
      name,
      dtype,
      shape: dims.map((d, axis) => extent(d, axis, discovery.fixedBatch)),
    })),
    outputs: model.graph.outputs.map(({ name }) => ({ name })),
    parameters: discovery.parameters.map(parameter),
    constants: prepared.candidates.filter((c) => c.origin === 'constant' && !names.has(c.name)).map(parameter),
    buffers: allInitializers(model.graph)
      .filter((t) => !names.has(t.name) && consumers.has(t.name))
      .map((t) => ({ name: t.name, shape: t.dims, why: whyNone(t, statistics) }))
      .concat(
        model.graph.sparseInitializers.map(({ values, dims }) => ({ name: values.name, shape: dims, why: 'sparse' })),
      ),
    operators: histogram(nodes),
    opset: model.opsetImports.get('') ?? 0,
    unsupported,
    fixedBatch: discovery.fixedBatch,
    warnings: warningsOf(discovery, inputs),
    get fingerprint() {
      return fingerprint().value;
    },
    build(options) {
      if (unsupported.length > 0) throw new UnsupportedError(`${source} cannot be imported: ${unsupported.join('; ')}`);
      const valueOf = write(prepared, { ...options, float: options.dtype });
      const wanted = [...model.graph.outputs.map((o) => o.name), ...(options.also ?? [])];
      return new Map(wanted.map((name) => [name, valueOf(name)]));
    },
  };
}

/** Classifiers give the names of classes beside their probabilities; text is left out where there is anything else. */
function withoutText(model: OnnxModel): OnnxModel {
  const outputs = model.graph.outputs.filter(({ type }) => type?.kind !== 'tensor' || type.elementType !== 'string');
  return outputs.length === 0 ? model : { ...model, graph: { ...model.graph, outputs } };
}

/** A name stands for one value, or the file could mean either. */
function refuseDoubles({ graph }: OnnxModel, source: string): void {
  const lists = {
    initializers: graph.initializers.map((t) => t.name),
    inputs: graph.inputs.map((i) => i.name),
    'results of nodes': graph.nodes.flatMap((n) => n.outputs.filter((name) => name !== '')),
  };
  for (const [what, names] of Object.entries(lists)) {
    const seen = new Set<string>();
    for (const name of names) {
      if (seen.has(name)) throw new InputError(`${source}: two ${what} are named ${quoted(name)}`);
      seen.add(name);
    }
  }
  const given = new Set([...lists.initializers, ...lists.inputs]);
  const both = lists['results of nodes'].find((name) => given.has(name));
  if (both !== undefined)
    throw new InputError(`${source}: ${quoted(both)} names an input or initializer and the result of a node`);
}

function inputSpec({ name, type }: OnnxModel['graph']['inputs'][number], source: string): InputSpec {
  if (type?.kind !== 'tensor')
    throw new UnsupportedError(
      `${source}: input ${quoted(name)} is not a tensor (${type?.kind ?? 'no type is given'})`,
    );
  if (type.shape === undefined)
    throw new UnsupportedError(
      `${source}: input ${quoted(name)} is given without a rank; export the model with the shapes of its inputs`,
    );
  return {
    name,
    dtype: dtypeOf(type.elementType, type.elementType === 'float64' ? 'float64' : 'float32'),
    dims: type.shape,
  };
}
/** A batch that may change is left open, whatever the file says. */
function extent(d: InputSpec['dims'][number], axis: number, fixedBatch: number | null): number | null {
  if (axis === 0) return fixedBatch !== null && typeof d === 'number' ? d : fixedBatch;
  return typeof d === 'number' ? d : null;
}

function parameterOf({ name, tensor }: Candidate, consumers: ReadonlyMap<string, readonly string[]>): Parameter {
  return {
    name,
    shape: tensor.dims,
    consumers: consumers.get(name) ?? [],
    values: Object.assign(() => widened(tensorArray(tensor)), {
      *pieces(count: number) {
        for (const piece of tensorPieces(tensor, count)) yield widened(piece);
      },
    }),
  };
}

const widened = (array: NdArray): Float32Array | Float64Array =>
  array.dtype === 'float64' ? array.data : toFloat32(array);

function histogram(nodes: Prepared['nodes']): Map<string, number> {
  const out = new Map<string, number>();
  for (const node of allNodes(nodes)) out.set(qualifiedName(node), (out.get(qualifiedName(node)) ?? 0) + 1);
  return out;
}

/** names that exporters make up for tensors which they computed from the model's own */
const madeUp = /^(onnx::\w+_\d+|_?val_\d+)$/;

function warningsOf(discovery: ReturnType<typeof discover>, inputs: readonly InputSpec[]): string[] {
  const out: string[] = [];
  const folded = discovery.parameters.filter((c) => c.origin !== 'constant' && madeUp.test(c.name));
  if (folded.length > 0) {
    const names =
      folded
        .slice(0, 3)
        .map((c) => quoted(c.name))
        .join(', ') + (folded.length > 3 ? ', …' : '');
    out.push(
      `${folded.length} of ${discovery.parameters.length} parameters have names made up by the exporter (${names}), which has transposed or merged the model's own; torch.onnx.export(..., dynamo=True, optimize=False) keeps them`,
    );
  }
  if (discovery.fixedBatch !== null) {
    out.push(
      `the file was exported for a batch of ${discovery.fixedBatch} and takes no other; batches run at that size, padded where data are short`,
    );
  }
  if (discovery.problem) {
    const open = inputs
      .filter((i) => i.dims.some((d, axis) => axis > 0 && typeof d !== 'number'))
      .map((i) => quoted(i.name));
    out.push(
      `which tensors are parameters is a guess until data give the open axes of ${open.join(', ')} a size (${discovery.problem.message})`,
    );
  }
  return out;
}

/** of the file's bytes, of those that it keeps beside it, and of the values of fixed inputs */
function fingerprintOf({ bytes, model }: OnnxFile, fixed: ReadonlyMap<string, number>): string {
  const hash = createHash('sha256').update(bytes);
  for (const [name, value] of [...fixed].sort(([a], [b]) => (a < b ? -1 : 1)))
    hash.update(JSON.stringify([name, value]));
  for (const tensor of allInitializers(model.graph)) {
    if (tensor.payload.kind !== 'external') continue;
    for (const { data } of tensorPieces(tensor, 1 << 20))
      hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.digest('hex');
}
