/**
 * Which tensors are parameters, and which batch sizes the file takes: found by writing the model into a graph that is
 * thrown away. A candidate is a parameter if the outputs depend on it through derivatives that are not structurally
 * zero (not through shapes, indices, comparisons or running statistics).
 */
import { HessiaError } from '../base/errors.js';
import { type DType, Graph, isFloat, type Node } from '../graph/index.js';
import { rules } from '../graph/rules.js';
import type { Candidate } from './candidates.js';
import { allNodes } from './flatten.js';
import { NotConstant, TooLong } from './op.js';
import type { OnnxDim } from './proto/index.js';
import { type Prepared, write } from './write.js';

export interface InputSpec {
  readonly name: string;
  readonly dtype: DType;
  readonly dims: readonly OnnxDim[];
}
export interface Discovery {
  readonly parameters: readonly Candidate[];
  readonly fixedBatch: number | null;
  /** what kept the model from being written at made-up sizes of its open axes; then parameters are a guess */
  readonly problem?: HessiaError;
}

/** tried one after the other for open axes other than the batch: sequence lengths, then image sizes, then audio */
const openSizes = [16, 64, 224, 256, 8, 128, 1, 512, 4096];

/** tried first, since constants in a file seldom have it by chance */
const unlikelyBatch = 3;
/** a file may call its batch open and yet hold constants that fit one size only */
const likelyBatches = [1, 2, 4, 8, 16, 32, 64, 128, 256, 5, 10, 100];

function attempts(stated: number | undefined, sizes: readonly number[]): [batch: number, size: number][] {
  const first = sizes.map((size): [number, number] => [stated ?? unlikelyBatch, size]);
  return stated !== undefined
    ? first
    : [...first, ...likelyBatches.map((b): [number, number] => [b, sizes[0] as number])];
}

export function discover(prepared: Prepared, inputs: readonly InputSpec[]): Discovery {
  const declared = batchOf(inputs);
  const open = inputs.some((i) =>
    i.dims.some((d, axis) => axis > 0 && typeof d !== 'number' && (d === undefined || d !== declared.symbol)),
  );
  const sizes = open ? openSizes : [1];
  let problem: HessiaError | undefined;
  for (const [batch, size] of attempts(declared.size, sizes)) {
    try {
      return discoverAt(prepared, inputs, batch, size, declared.size === undefined && batch !== unlikelyBatch);
    } catch (error) {
      if (!(error instanceof HessiaError) || error instanceof TooLong) throw error;
      problem ??= error;
    }
  }
  if (problem && !open) throw problem;
  return { parameters: plausible(prepared), fixedBatch: declared.size ?? null, ...(problem ? { problem } : {}) };
}

/** Without having written the model: what is read at all and is no running statistic. */
export function plausible({ candidates, nodes }: Prepared): Candidate[] {
  const read = new Set(
    allNodes(nodes).flatMap((n) => (n.opType === 'BatchNormalization' ? n.inputs.slice(0, 3) : n.inputs)),
  );
  const used = candidates.filter((c) => read.has(c.name));
  const stored = used.filter((c) => c.origin !== 'constant');
  return stored.length > 0 ? stored : used;
}

function discoverAt(
  prepared: Prepared,
  inputs: readonly InputSpec[],
  batch: number,
  size: number,
  onlyThis: boolean,
): Discovery {
  const stored = trial(
    prepared,
    inputs,
    batch,
    size,
    prepared.candidates.filter((c) => c.origin !== 'constant'),
  );
  // files that keep their weights in Constant nodes have no initializer that counts
  const found = stored.parameters.length > 0 ? stored : trial(prepared, inputs, batch, size, prepared.candidates);
  if (batchOf(inputs).size === undefined) return { parameters: found.parameters, fixedBatch: onlyThis ? batch : null };
  return {
    parameters: found.parameters,
    fixedBatch: resizes(prepared, inputs, batch, size, found) ? null : batch,
  };
}

/** whether the file takes another batch size than the one it states */
function resizes(
  prepared: Prepared,
  inputs: readonly InputSpec[],
  batch: number,
  size: number,
  { parameters, outputs }: Trial,
): boolean {
  if (inputs.some((i) => i.dims.length > 0 && i.dims[0] !== batch)) return false;
  const other = batch === 3 ? 5 : 3;
  try {
    // the parameters stay inputs of the graph: as constants their values would be read
    const found = trial(prepared, inputs, other, size, parameters).outputs;
    return found.every((y, i) => {
      const expected = (outputs[i] as Node).shape.map((d, axis) => (axis === 0 && d === batch ? other : d));
      return y.shape.join() === expected.join();
    });
  } catch (error) {
    if (error instanceof HessiaError) return false;
    throw error;
  }
}

interface Trial {
  readonly parameters: readonly Candidate[];
  readonly outputs: readonly Node[];
}

function trial(
  prepared: Prepared,
  inputs: readonly InputSpec[],
  batch: number,
  size: number,
  candidates: readonly Candidate[],
): Trial {
  let tried = [...candidates];
  for (;;) {
    const graph = new Graph();
    const nodes = new Map(tried.map((c) => [c.name, graph.input(`parameter ${c.name}`, c.tensor.dims, 'float32')]));
    const given = new Map(
      inputs.map((i) => [
        i.name,
        graph.input(`input ${i.name}`, sized(i, inputs, batch, size), i.dtype === 'float64' ? 'float32' : i.dtype),
      ]),
    );
    try {
      const valueOf = write(prepared, { graph, float: 'float32', inputs: given, parameters: nodes });
      const outputs = prepared.model.graph.outputs.map((o) => valueOf(o.name));
      const reached = differentiable(outputs);
      return { outputs, parameters: tried.filter((c) => reached.has(nodes.get(c.name) as Node)) };
    } catch (error) {
      // a tensor that decides shapes or indices has to be a constant: try again without it
      if (!(error instanceof NotConstant)) throw error;
      const on = ancestors(error.on);
      const left = tried.filter((c) => !on.has(nodes.get(c.name) as Node));
      if (left.length === tried.length) throw error;
      tried = left;
    }
  }
}

function sized(input: InputSpec, inputs: readonly InputSpec[], batch: number, size: number): number[] {
  const { symbol } = batchOf(inputs);
  return input.dims.map((d, axis) =>
    axis === 0
      ? batchExtent(d, symbol, batch, inputs)
      : typeof d === 'number'
        ? d
        : d !== undefined && d === symbol
          ? batch
          : size,
  );
}
/** an input whose axis 0 is another number than the batch keeps it (it will be refused as data later) */
function batchExtent(d: OnnxDim, symbol: string | undefined, batch: number, inputs: readonly InputSpec[]): number {
  if (typeof d !== 'number') return batch;
  return symbol === undefined && d === batchOf(inputs).size ? batch : d;
}

/** the first input with axes states the batch: a number, a symbol or nothing */
function batchOf(inputs: readonly InputSpec[]): { size: number | undefined; symbol: string | undefined } {
  const first = inputs.find((i) => i.dims.length > 0)?.dims[0];
  return { size: typeof first === 'number' ? first : undefined, symbol: typeof first === 'string' ? first : undefined };
}

function differentiable(outputs: readonly Node[]): Set<Node> {
  return walk(outputs, (n) => isFloat(n.dtype) && (n.op === 'input' || rules[n.op].jvp !== 'zero'));
}
const ancestors = (node: Node): Set<Node> => walk([node], () => true);
function walk(from: readonly Node[], follow: (node: Node) => boolean): Set<Node> {
  const seen = new Set<Node>();
  const stack = [...from];
  for (let n = stack.pop(); n; n = stack.pop()) {
    if (seen.has(n) || !follow(n)) continue;
    seen.add(n);
    stack.push(...n.inputs);
  }
  return seen;
}
