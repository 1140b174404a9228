/** The program of k per-sample gradients: the gradient of a batch of one, batched over the samples. */
import { InternalError } from '../base/errors.js';
import { ops } from '../graph/index.js';
import type { BatchGraph } from '../model/batch-graph.js';
import { stackSamples } from '../model/sample-batch.js';
import type { CompiledProgram, OutputPlacement } from '../transform/compile.js';
import { compile } from '../transform/compile.js';
import { gradient } from '../transform/jvp.js';
import { contiguousStrides } from '../transform/views.js';

/** Row r of binding 'rows' (k × d, contiguous) ← ∇ℓ of the r-th sample. @param one a batch graph of a single sample */
export function compileSampleGradients(one: BatchGraph, k: number): CompiledProgram {
  const { objective, target, own, output, bound } = one;
  if (!target || one.samples !== 1) throw new InternalError('per-sample gradients are made from a batch of one');
  const loss = ops.reduceSum(ops.mul(own, bound.terms(output, target)));
  const live = gradient(loss, one.parameters).flatMap((node, i) => (node ? [{ node, i }] : []));
  const stacked = stackSamples(
    one,
    k,
    live.map(({ node }) => node),
  );
  const outputs = stacked.nodes.map((node, j): OutputPlacement => {
    const i = live[j]?.i as number;
    const strides = [objective.dimension, ...contiguousStrides(objective.parameters[i]?.shape ?? [])];
    return { node, binding: 'rows', offset: objective.offsets[i] as number, strides };
  });
  return compile({ inputs: stacked.inputs, outputs });
}
