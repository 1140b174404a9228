/**
 * The Gram matrix of the per-sample gradients, pairs of groups of samples at a time. What the inner products are made of
 * (A and D of a layer, or the gradients) is kept for as many groups as memory allows; for the others it is computed
 * again for every pair.
 */
import { cached } from '../base/cached.js';
import { ComputationError, checkInterrupted, OutOfMemoryError } from '../base/errors.js';
import { formatBytes } from '../base/format.js';
import type { NativeBuffer } from '../device/native.js';
import type { LoadedProgram } from '../device/program.js';
import { Graph, type Node, ops, sizeOf } from '../graph/index.js';
import type { Execution } from '../model/execution.js';
import { attachSamples, type SampleGroup, sampleGroups, samplesAtOnce, stackSamples } from '../model/sample-batch.js';
import { bytesPerElement } from '../program/format.js';
import { type CompiledProgram, compile, type OutputPlacement, type Placement } from '../transform/compile.js';
import { align } from '../transform/plan.js';
import { bytesOf } from '../transform/views.js';
import { cheaperUnformed, innerProducts, readsOnce } from './gradients.js';
import { isTapped, nodesOf, type SampleGradient, type SampleGradients, withNodes } from './statistics.js';

/** elements of formed gradients whose products are summed in float32, and the most parts they are cut into */
const part = 512;
const mostParts = 64;

export interface GramOptions {
  readonly memory: number;
  readonly group?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** ⟨g_n, g_m⟩ of all samples, N × N, in float64. */
export async function gramMatrix(
  execution: Execution,
  source: SampleGradients,
  { memory, group, signal }: GramOptions,
): Promise<Float64Array> {
  const { device, objective } = execution;
  const n = objective.samples;
  const chosen = source.choose((t) => t.tap.kind !== 'other' && cheaperUnformed(t.tap) && readsOnce(t));
  const perSample = placesOf(nodesOf(chosen), 1).bytes;
  const needed = n * n * bytesPerElement.float64;
  if (needed > memory)
    throw new OutOfMemoryError(
      `the Gram matrix of ${n} samples needs ${formatBytes(needed)}, but the budget is ${formatBytes(memory)}; take fewer samples`,
    );
  const size = group ?? samplesAtOnce((k) => compileFeatures(source, chosen, k), memory / 2, 2 * perSample);
  const groups = sampleGroups(objective, 0, n, size);
  const bytes = placesOf(nodesOf(chosen), size).bytes;
  const keep = Math.max(2, Math.floor(memory / 2 / bytes)) - 2;
  const kept = new Map<SampleGroup, NativeBuffer>();
  const result = device.block('float64', n, n);
  const programs = new Map<string, LoadedProgram>();
  /** `work` with a group's features, which go again unless they are kept */
  const withFeatures = async (
    g: SampleGroup,
    work: (features: NativeBuffer) => Promise<void> | void,
  ): Promise<void> => {
    const known = kept.get(g);
    const features = known ?? device.allocate(bytes);
    if (!known) {
      if (kept.size < keep) kept.set(g, features);
      await execution.withData(g.batch, (data) => {
        const program = cached(programs, `${g.count}`, () =>
          execution.loadCompiled(compileFeatures(source, chosen, g.count)),
        );
        const attached = execution.attachments(program, data);
        attachSamples(attached, execution.graph(g.batch), data, g.first);
        attached.set('features', { buffer: features, byteOffset: 0 });
        program.run(attached, signal);
      });
    }
    try {
      await work(features);
    } finally {
      if (!kept.has(g)) features.dispose();
    }
  };
  const multiply = (left: SampleGroup, right: SampleGroup, a: NativeBuffer, b: NativeBuffer): void => {
    checkInterrupted(signal);
    const program = cached(programs, `${left.count} ${right.count}`, () =>
      execution.loadCompiled(compilePair(execution, chosen, left.count, right.count)),
    );
    program.run(
      new Map([
        ['left', { buffer: a, byteOffset: 0 }],
        ['right', { buffer: b, byteOffset: 0 }],
        ['gram', { buffer: result.buffer, byteOffset: (left.start * n + right.start) * bytesPerElement.float64 }],
        ['scratch', { buffer: execution.scratch(program.source.scratchBytes), byteOffset: 0 }],
      ]),
      signal,
    );
  };
  try {
    result.zero();
    for (const [i, left] of groups.entries()) {
      await withFeatures(left, async (a) => {
        multiply(left, left, a, a);
        for (const right of groups.slice(i + 1)) {
          await withFeatures(right, (b) => multiply(left, right, a, b));
          await device.throttle();
        }
      });
    }
    const gram = await result.readFloat64();
    for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) gram[i * n + j] = gram[j * n + i] as number;
    if (!gram.every(Number.isFinite)) throw new ComputationError('a gradient is not finite; try --dtype float64');
    return gram;
  } finally {
    for (const buffer of kept.values()) buffer.dispose();
    result.dispose();
  }
}

/** where the values of k samples lie, one after another */
function placesOf(nodes: readonly Node[], k: number): { readonly offsets: number[]; readonly bytes: number } {
  let bytes = 0;
  const offsets = nodes.map((node) => {
    const at = bytes / bytesPerElement[node.dtype];
    bytes = align(bytes + bytesOf([k, ...node.shape], node.dtype));
    return at;
  });
  return { offsets, bytes };
}
function compileFeatures(source: SampleGradients, chosen: readonly SampleGradient[], k: number): CompiledProgram {
  const nodes = nodesOf(chosen);
  const { offsets } = placesOf(nodes, k);
  const stacked = stackSamples(source.one, k, nodes);
  const outputs = stacked.nodes.map(
    (node, i): OutputPlacement => ({ node, binding: 'features', offset: offsets[i] as number }),
  );
  return compile({ inputs: stacked.inputs, outputs });
}
function compilePair(
  { objective }: Execution,
  chosen: readonly SampleGradient[],
  k: number,
  l: number,
): CompiledProgram {
  const graph = new Graph();
  const inputs = new Map<Node, Placement>();
  const side = (binding: string, count: number): SampleGradient[] => {
    const nodes = nodesOf(chosen);
    const { offsets } = placesOf(nodes, count);
    const leaves = nodes.map((node, i) => {
      const leaf = graph.input(`${binding} ${i}`, [count, ...node.shape], node.dtype);
      inputs.set(leaf, { binding, offset: offsets[i] as number });
      return leaf;
    });
    return withNodes(chosen, leaves);
  };
  const right = side('right', l);
  const products = side('left', k).flatMap((g, i): Node[] => {
    const other = right[i] as SampleGradient;
    if (isTapped(g) && isTapped(other)) return [innerProducts(g.tap.tap, g.a, g.d, other.a, other.d)];
    return isTapped(g) || isTapped(other) ? [] : rowProducts(g.rows, other.rows);
  });
  const outputs = products.map(
    (node): OutputPlacement => ({
      node: ops.cast(node, 'float64'),
      binding: 'gram',
      strides: [objective.samples, 1],
      accumulate: true,
    }),
  );
  return compile({ inputs, outputs });
}
/** x·yᵀ of gradients [k, …] and [l, …], as terms */
function rowProducts(x: Node, y: Node): Node[] {
  const size = sizeOf(x.shape.slice(1));
  const step = x.dtype === 'float64' ? size : Math.max(part, Math.ceil(size / mostParts));
  const flat = (z: Node, from: number): Node =>
    ops.slice(
      ops.reshape(z, [z.shape[0] as number, size]),
      [0, from],
      [z.shape[0] as number, Math.min(step, size - from)],
    );
  return Array.from({ length: Math.ceil(size / step) }, (_, i) =>
    ops.dot(flat(x, i * step), flat(y, i * step), 'nd', 'md', 'nm'),
  );
}
