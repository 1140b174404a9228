/**
 * Products with curvature matrices, split in two programs (see curvature.ts).
 */
import { InputError } from '../base/errors.js';
import type { Node } from '../graph/index.js';
import { ops } from '../graph/index.js';
import type { BatchGraph } from '../model/batch-graph.js';
import { bytesPerElement } from '../program/format.js';
import { batch } from '../transform/batch.js';
import type { CompiledProgram, OutputPlacement, Placement } from '../transform/compile.js';
import { compile } from '../transform/compile.js';
import { gradient, jvp, tangentInputs, transpose } from '../transform/jvp.js';
import { align } from '../transform/plan.js';
import { fewerResiduals } from '../transform/split.js';
import { bytesOf, contiguousStrides } from '../transform/views.js';
import type { MetricName } from './metric.js';
import { metric } from './metric.js';

/** Names of the curvature matrices, as on the command line. */
export type CurvatureName = 'hessian' | MetricName;

/** The linear map of one batch, before it is compiled for a number of vectors. */
export interface Linearised {
  readonly graph: BatchGraph;
  readonly tangents: readonly Node[];
  readonly results: readonly (Node | null)[];
  readonly residuals: readonly Node[];
  /** computed from residuals by every product */
  readonly again: ReadonlySet<Node>;
  readonly residualPlaces: ReadonlyMap<Node, Placement>;
  readonly residualBytes: number;
}

/** The product with a curvature matrix as a graph, and what of it does not depend on the vector. */
export function linearise(name: CurvatureName, graph: BatchGraph): Linearised {
  const tangents = tangentInputs(graph.parameters, 'v');
  const along = new Map(graph.parameters.map((p, i) => [p, tangents[i] as Node]));
  const results = name === 'hessian' ? hessianProduct(graph, along) : metricProduct(name, graph, tangents, along);
  const live = results.filter((r): r is Node => r !== null);
  const { kept, again } = fewerResiduals(live, tangents);
  const residualPlaces = new Map<Node, Placement>();
  let bytes = 0;
  for (const r of kept) {
    residualPlaces.set(r, { binding: 'residuals', offset: bytes / bytesPerElement[r.dtype] });
    bytes = align(bytes + bytesOf(r.shape, r.dtype));
  }
  return { graph, tangents, results, residuals: kept, again, residualPlaces, residualBytes: bytes };
}
function hessianProduct(graph: BatchGraph, along: ReadonlyMap<Node, Node>): (Node | null)[] {
  const gradients = gradient(graph.loss, graph.parameters);
  const live = gradients.filter((g): g is Node => g !== null);
  const moved = jvp(live, along);
  let next = 0;
  return gradients.map((g) => (g ? (moved[next++] ?? null) : null));
}
function metricProduct(
  name: MetricName,
  graph: BatchGraph,
  tangents: readonly Node[],
  along: ReadonlyMap<Node, Node>,
): (Node | null)[] {
  const [jv] = jvp([graph.output], along);
  if (!jv) throw new InputError('the model output does not depend on the chosen parameters');
  const sjv = metric(name, graph, jv);
  const results = sjv ? transpose([jv], [sjv], tangents) : tangents.map(() => null);
  const { ridge } = graph;
  if (name !== 'gauss-newton' || !ridge) return results;
  // the regularisation's own Hessian
  return results.map((r, i) => {
    const own = ops.mul(ridge, tangents[i] as Node);
    return r ? ops.add(r, own) : own;
  });
}

/** Computes the residuals: once for given parameters and batch. */
export function compilePrimal(linear: Linearised): CompiledProgram {
  return compile({
    inputs: linear.graph.places,
    outputs: linear.residuals.map((node) => ({ node, ...(linear.residualPlaces.get(node) as Placement) })),
  });
}
/** One run per block of k vectors; 'lockstep' computes the residuals along the way instead of reading them. */
export function compileTangent(linear: Linearised, k: number, mode: 'retained' | 'lockstep'): CompiledProgram {
  const { objective } = linear.graph;
  const d = objective.dimension;
  const inputs = new Map<Node, Placement>(linear.graph.places);
  if (mode === 'retained') for (const [node, place] of linear.residualPlaces) inputs.set(node, place);
  const leaves = new Map<Node, Node>();
  const at = (binding: string, i: number): Placement => {
    const shape = objective.parameters[i]?.shape ?? [];
    return { binding, offset: objective.offsets[i] as number, strides: [d, ...contiguousStrides(shape)] };
  };
  linear.tangents.forEach((t, i) => {
    const block = t.graph.input(`block${k}(${t.id})`, [k, ...t.shape], t.dtype);
    leaves.set(t, block);
    inputs.set(block, at('tangents', i));
  });
  const live = linear.results.flatMap((node, i) => (node ? [{ node, i }] : []));
  const batched = batch(
    live.map(({ node }) => node),
    leaves,
    k,
    mode === 'retained' ? linear.again : undefined,
  );
  const outputs: OutputPlacement[] = batched.map(({ node }, j) => ({
    node,
    accumulate: true,
    ...at('results', live[j]?.i as number),
  }));
  return compile({ inputs, outputs });
}
