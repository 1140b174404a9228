/** The loss of one batch with every leaf's place in memory. */
import type { FloatDType, Node } from '../graph/index.js';
import { bytesPerElement } from '../program/format.js';
import type { Placement } from '../transform/compile.js';
import { align } from '../transform/plan.js';
import { bytesOf } from '../transform/views.js';
import type { Formulation, Objective } from './objective.js';

/** A formulation with the leaves that only some operators use. */
export interface BatchGraph extends Formulation {
  readonly objective: Objective;
  /** 1/(loss terms of this sample): the weight that makes ℓₙ PyTorch's loss on sample n alone */
  readonly own: Node;
  /** [draws, …] numbers for drawn labels; null without a likelihood */
  readonly random: Node | null;
  /** where every leaf that is not a tangent lies */
  readonly places: ReadonlyMap<Node, Placement>;
  readonly dataBytes: number;
}

/** @param draws labels drawn per position; 0 where none are */
export function batchGraph(objective: Objective, samples: number, dtype: FloatDType, draws: number): BatchGraph {
  const f = objective.formulate(samples, dtype);
  const { graph } = f;
  const own = graph.input('own', f.weight.shape, dtype);
  const { likelihood } = f.bound;
  const random =
    likelihood && draws > 0 ? graph.input('random', [draws, ...likelihood.randomShape(f.output.shape)], dtype) : null;
  const places = new Map<Node, Placement>();
  f.parameters.forEach((p, i) => {
    places.set(p, { binding: 'parameters', offset: objective.offsets[i] as number });
  });
  let bytes = 0;
  for (const leaf of [
    ...f.inputs.values(),
    f.target,
    f.weight,
    f.share,
    own,
    random,
    ...f.noise.map(({ leaf }) => leaf),
  ]) {
    if (!leaf) continue;
    places.set(leaf, { binding: 'data', offset: bytes / bytesPerElement[leaf.dtype] });
    bytes = align(bytes + bytesOf(leaf.shape, leaf.dtype));
  }
  return { ...f, objective, own, random, places, dataBytes: bytes };
}
