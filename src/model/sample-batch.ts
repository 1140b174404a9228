/**
 * Programs over samples: the graph of a batch of one, batched over k neighbouring samples of a batch. So whatever the
 * model does to the axis of samples, every value has it as its first. Data come through one binding per array.
 */
import { InputError, UnsupportedError } from '../base/errors.js';
import type { NativeBuffer } from '../device/native.js';
import type { Attachment } from '../device/program.js';
import { type Node, ops, sizeOf } from '../graph/index.js';
import { bytesPerElement } from '../program/format.js';
import { batch } from '../transform/batch.js';
import type { CompiledProgram, Placement } from '../transform/compile.js';
import type { BatchGraph } from './batch-graph.js';
import type { Execution } from './execution.js';
import type { Objective } from './objective.js';

/** More samples at once than this gain nothing. */
const largestGroup = 64;

interface SampleLeaf {
  /** the binding */
  readonly key: string;
  readonly node: Node;
  /** elements, from the start of the batch's data */
  readonly offset: number;
  /** false: one array for all samples */
  readonly perSample: boolean;
}

/** The arrays of a batch that a sample's loss reads, and where they lie in its data. */
function sampleLeaves(graph: BatchGraph): SampleLeaf[] {
  const named: [string, Node | null][] = [
    ...[...graph.inputs].map(([name, node]): [string, Node] => [`input/${name}`, node]),
    ['target', graph.target],
    ['weight', graph.weight],
    ['own', graph.own],
    // [draws, samples, …]: indexed by samples where there is one draw
    ['random', graph.random?.shape[0] === 1 ? graph.random : null],
    ...graph.noise.map(({ leaf }, k): [string, Node] => [`noise/${k}`, leaf]),
  ];
  const shared = new Set(graph.noise.filter((n) => !n.perSample).map(({ leaf }) => leaf));
  return named.flatMap(([key, node]) => {
    const offset = node && graph.places.get(node)?.offset;
    return node && offset !== null && offset !== undefined
      ? [{ key: `sample/${key}`, node, offset, perSample: !shared.has(node) }]
      : [];
  });
}

/** Throws InputError for a loss without samples, UnsupportedError for a model tied to a batch size. */
export function mustHaveSamples({ loss, model }: Objective, what: string): void {
  if (loss.target === null) throw new InputError(`${what} need a loss over samples; with --loss output there is none`);
  const { fixedBatch, source } = model;
  if (fixedBatch !== null && fixedBatch !== 1)
    throw new UnsupportedError(
      `${what} need a batch of one, and ${source} takes batches of ${fixedBatch}; export it with a free batch axis`,
    );
}

/** The nodes of a batch of one for k samples, [k, …shape], and the places of what they are computed from. */
export function stackSamples(
  one: BatchGraph,
  k: number,
  nodes: readonly Node[],
): { readonly inputs: Map<Node, Placement>; readonly nodes: Node[] } {
  const inputs = new Map<Node, Placement>();
  for (const p of one.parameters) inputs.set(p, one.places.get(p) as Placement);
  const leaves = new Map<Node, Node>();
  for (const { key, node, perSample } of sampleLeaves(one)) {
    if (!perSample) {
      inputs.set(node, { binding: key });
      continue;
    }
    const stacked = node.graph.input(`${key} of ${k}`, [k, ...node.shape], node.dtype);
    leaves.set(node, stacked);
    inputs.set(stacked, { binding: key });
  }
  // what is the same for every sample is repeated
  const stacked = batch(nodes, leaves, k).map(({ node, batched }) =>
    batched
      ? node
      : ops.broadcast(
          node,
          [k, ...node.shape],
          node.shape.map((_, axis) => axis + 1),
        ),
  );
  return { inputs, nodes: stacked };
}

/** Attaches the arrays of `graph`'s batch from sample `first` on. */
export function attachSamples(
  attached: Map<string, Attachment>,
  graph: BatchGraph,
  data: NativeBuffer,
  first: number,
): void {
  for (const { key, node, offset, perSample } of sampleLeaves(graph)) {
    const each = perSample ? sizeOf(node.shape) / graph.samples : 0;
    attached.set(key, { buffer: data, byteOffset: (offset + first * each) * bytesPerElement[node.dtype] });
  }
}

/**
 * Samples at once that `bytes` of memory allow, at most 64. It grows almost linearly with the samples, so two
 * compilations tell how many fit.
 * @param further bytes per sample besides the program's scratch
 */
export function samplesAtOnce(compiled: (k: number) => CompiledProgram, bytes: number, further = 0): number {
  const [one, two] = [1, 2].map((k) => compiled(k).scratchBytes) as [number, number];
  const fits = Math.floor((bytes - one - further) / Math.max(1, two - one + further)) + 1;
  return Math.max(1, Math.min(largestGroup, fits));
}

export interface SampleGroup {
  readonly batch: number;
  /** first sample, in its batch and of all */
  readonly first: number;
  readonly start: number;
  readonly count: number;
}
/** Samples from … to−1 in groups of at most `size`, nearly equal within each batch. */
export function sampleGroups({ batchSize }: Objective, from: number, to: number, size: number): SampleGroup[] {
  const out: SampleGroup[] = [];
  for (let b = Math.floor(from / batchSize); b * batchSize < to; b++) {
    const base = b * batchSize;
    const first = Math.max(from, base) - base,
      last = Math.min(to, base + batchSize) - base;
    const groups = Math.ceil((last - first) / size);
    const bound = (g: number): number => first + Math.floor((g * (last - first)) / groups);
    for (let g = 0; g < groups; g++)
      out.push({ batch: b, first: bound(g), start: base + bound(g), count: bound(g + 1) - bound(g) });
  }
  return out;
}

/** Queues `work` on every group, with the data of its batch on the device; data are brought once per batch. */
export async function runSamples(
  execution: Execution,
  { from, to, size }: { from: number; to: number; size: number },
  work: (group: SampleGroup, data: NativeBuffer) => void,
): Promise<void> {
  const groups = sampleGroups(execution.objective, from, to, size);
  for (const b of new Set(groups.map((g) => g.batch))) {
    await execution.withData(b, async (data) => {
      for (const group of groups.filter((g) => g.batch === b)) {
        work(group, data);
        await execution.device.throttle();
      }
    });
  }
}
