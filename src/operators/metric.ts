/**
 * The matrix S between two Jacobians: Gauss–Newton and every Fisher are Jᵀ S J with J the Jacobian of the model output
 * over all samples. S is given as what it does to an output tangent.
 *
 *   gauss-newton      S = ∂²(mean loss)/∂z²                                      (Schraudolph 2002)
 *   fisher-exact      S = Q Qᵀ, Q the exact root of the same                     (type 2; Botev et al. 2017)
 *   fisher            S = Σ_labels w·g gᵀ, g at labels drawn from the model      (type 1)
 *   empirical-fisher  S = (1/N) Σ_n ∇_z ℓ_n ∇_z ℓ_nᵀ, ℓ_n the loss of sample n alone, true labels
 */
import { InputError } from '../base/errors.js';
import type { Node } from '../graph/index.js';
import { ops, sizeOf } from '../graph/index.js';
import type { BatchGraph } from '../model/batch-graph.js';
import type { Likelihood } from '../model/loss.js';
import { gradient, jvp } from '../transform/jvp.js';

/** Names of the matrices JᵀSJ, which differ in S. */
export type MetricName = 'gauss-newton' | 'fisher' | 'fisher-exact' | 'empirical-fisher';

const { mul } = ops;

/** x with axes appended until its shape broadcasts with `like` from the first axis on */
const leading = (x: Node, like: Node): Node =>
  ops.broadcast(
    x,
    like.shape,
    x.shape.map((_, i) => i),
  );

/** S·v for a tangent v of the output; null if the loss does not depend on the output. */
export function metric(name: MetricName, f: BatchGraph, v: Node): Node | null {
  switch (name) {
    case 'gauss-newton': {
      if (f.target === null && sizeOf(f.output.shape) === 1)
        throw new InputError(
          'gauss-newton of a model that ends in its own loss needs --model-output, the value before the loss',
        );
      const [g] = gradient(f.loss, [f.output]);
      return g ? (jvp([g], new Map([[f.output, v]]))[0] ?? null) : null;
    }
    case 'empirical-fisher': {
      if (!f.target)
        throw new InputError('the empirical Fisher needs a loss over samples; with --loss output there is none');
      const [g] = gradient(ops.reduceSum(mul(f.own, f.bound.terms(f.output, f.target))), [f.output]);
      if (!g) return null;
      const inner = ops.reduceSum(mul(g, v), g.shape.map((_, i) => i).slice(1));
      return mul(g, leading(mul(1 / f.objective.samples, inner), g));
    }
    case 'fisher-exact':
      return weighted(f, likelihoodOf(f).root(f.output, v));
    case 'fisher': {
      const { labelAxes, drawn } = likelihoodOf(f);
      if (!f.random) throw new InputError('the Fisher needs drawn labels');
      const draws = f.random.shape[0] as number;
      const g = drawn(f.output, f.random);
      const along = ops.reduceSum(
        mul(g, ops.broadcastTo(v, g.shape)),
        labelAxes.map((a) => a + 1),
        true,
      );
      return weighted(f, mul(1 / draws, ops.reduceSum(mul(g, along), [0])));
    }
  }
}

export interface CotangentOptions {
  /** 'data': the targets given; 'sampled': drawn from the model, independently per position */
  readonly labels: 'data' | 'sampled';
  /** of the mean loss over all terms, or of each sample's own loss */
  readonly scale: 'mean' | 'sample';
}
/**
 * ∂ℓ/∂z, the cotangent of the output, [samples, …]. With sampled labels, s·g√m: s the scale, g the gradient at the drawn
 * label, m the term's weight; then (1/s)·Σ_n E[JₙᵀccᵀJₙ] is the Gauss–Newton matrix ('mean', where s is the same for
 * all samples). null if the loss does not depend on the output.
 */
export function outputCotangent(f: BatchGraph, { labels, scale }: CotangentOptions): Node | null {
  const weight = scale === 'mean' ? f.weight : f.own;
  if (labels === 'data') {
    if (!f.target)
      throw new InputError('cotangents per sample need a loss over samples; with --loss output there is none');
    return gradient(ops.reduceSum(mul(weight, f.bound.terms(f.output, f.target))), [f.output])[0] ?? null;
  }
  const { drawn, mask } = likelihoodOf(f);
  if (f.random?.shape[0] !== 1) throw new InputError('sampled labels need one draw');
  const g = ops.reshape(drawn(f.output, f.random), f.output.shape);
  const weights = f.target && mask(f.output, f.target);
  const masked = weights ? mul(g, ops.broadcastTo(ops.sqrt(weights), g.shape)) : g;
  return mul(leading(weight, masked), masked);
}

function likelihoodOf(f: BatchGraph): Likelihood {
  if (!f.bound.likelihood)
    throw new InputError(
      'a Fisher needs a loss that is a likelihood: cross-entropy, mse, bce-with-logits, gaussian-nll or poisson-nll',
    );
  return f.bound.likelihood;
}
/** times each sample's weight, and 0 where a term does not count */
function weighted(f: BatchGraph, x: Node): Node {
  const mask = f.target && f.bound.likelihood ? f.bound.likelihood.mask(f.output, f.target) : null;
  const scaled = mul(leading(f.weight, x), x);
  return mask ? mul(ops.broadcastTo(mask, x.shape), scaled) : scaled;
}
