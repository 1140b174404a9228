/**
 * The program of k per-sample gradients: the gradient of a batch of one, batched over the samples. Its data come through
 * one binding per array, so that one program serves any k neighbouring samples of a batch.
 */
import { InternalError } from '../base/errors.js';
import { type Node, ops } from '../graph/index.js';
import type { BatchGraph } from '../model/batch-graph.js';
import { batch } from '../transform/batch.js';
import type { CompiledProgram, OutputPlacement, Placement } from '../transform/compile.js';
import { compile } from '../transform/compile.js';
import { gradient } from '../transform/jvp.js';
import { contiguousStrides } from '../transform/views.js';

export interface SampleLeaf {
  /** the binding */
  readonly key: string;
  readonly node: Node;
  /** elements, from the start of the batch's data */
  readonly offset: number;
}

/** The arrays of a batch that are indexed by samples, and where they lie in its data. */
export function sampleLeaves(graph: BatchGraph): SampleLeaf[] {
  const named: [string, Node | null][] = [
    ...[...graph.inputs].map(([name, node]): [string, Node] => [`input/${name}`, node]),
    ['target', graph.target],
    ['own', graph.own],
  ];
  return named.flatMap(([key, node]) => {
    const offset = node && graph.places.get(node)?.offset;
    return node && offset !== null && offset !== undefined ? [{ key: `sample/${key}`, node, offset }] : [];
  });
}

/** Row r of binding 'rows' (k × d, contiguous) ← ∇ℓ of the r-th sample. @param one a batch graph of a single sample */
export function compileSampleGradients(one: BatchGraph, k: number): CompiledProgram {
  const { objective, target, own, output, bound } = one;
  if (!target || one.samples !== 1) throw new InternalError('per-sample gradients are made from a batch of one');
  const loss = ops.reduceSum(ops.mul(own, bound.terms(output, target)));
  const inputs = new Map<Node, Placement>();
  for (const p of one.parameters) inputs.set(p, one.places.get(p) as Placement);
  const leaves = new Map<Node, Node>();
  for (const { key, node } of sampleLeaves(one)) {
    const stacked = node.graph.input(`${key} of ${k}`, [k, ...node.shape], node.dtype);
    leaves.set(node, stacked);
    inputs.set(stacked, { binding: key });
  }
  const live = gradient(loss, one.parameters).flatMap((node, i) => (node ? [{ node, i }] : []));
  const batched = batch(
    live.map(({ node }) => node),
    leaves,
    k,
  );
  const outputs = batched.map(({ node, batched: own }, j): OutputPlacement => {
    const i = live[j]?.i as number;
    const shape = objective.parameters[i]?.shape ?? [];
    // a gradient that is the same for every sample
    const rows = own
      ? node
      : ops.broadcast(
          node,
          [k, ...shape],
          shape.map((_, axis) => axis + 1),
        );
    const strides = [objective.dimension, ...contiguousStrides(shape)];
    return { node: rows, binding: 'rows', offset: objective.offsets[i] as number, strides };
  });
  return compile({ inputs, outputs });
}
