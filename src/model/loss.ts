/**
 * Losses. Each is PyTorch's mean over its own terms; here it is written as sums, so that any split of the samples
 * into batches gives the same answer: the loss of sample n is Σ of its terms, and the mean is Σ_n w_n·(Σ terms)_n with
 * w_n = 1 / (number of all terms).
 */
import { InputError, ShapeError } from '../base/errors.js';
import type { Node, Shape } from '../graph/index.js';
import { ops } from '../graph/index.js';

const { mul, sub } = ops;

export interface Loss {
  readonly name: string;
  /** what the target is given as; null: the loss needs none */
  readonly target: 'int32' | 'float' | null;
  /** The loss for an output and a target of these shapes, axis 0 counting samples; throws where they do not fit. */
  bind(output: Shape, target: Shape): BoundLoss;
}

export interface BoundLoss {
  /** Σ of the loss terms of each sample, [samples], for a model output and a target. */
  terms(output: Node, target: Node): Node;
  /** number of loss terms in a piece of target */
  count(target: ArrayLike<number>): number;
  /** what is wrong with a target value, or null */
  check(value: number): string | null;
  /** for the Fishers; absent where the loss is no likelihood */
  readonly likelihood?: Likelihood;
}

export interface Likelihood {
  /** what `random` holds, and its shape for an output's (without the axis of draws) */
  readonly distribution: 'uniform' | 'normal';
  randomShape(output: Shape): Shape;
  /** gradients of the terms for labels drawn with `random` [draws, …randomShape]: [draws, …output] */
  drawn(output: Node, random: Node): Node;
  /** axes of the output over which one label's gradient extends; the others index independent labels */
  readonly labelAxes: readonly number[];
  /** Q·(Qᵀ·v) with Q Qᵀ the Hessian of the terms at the output, by the exact root */
  root(output: Node, v: Node): Node;
  /** 1 for terms that count, else 0, shaped to broadcast with the output; null if all count */
  mask(output: Node, target: Node): Node | null;
}

const rest = (x: Node): number[] => x.shape.map((_, i) => i).slice(1);
const perSample = (x: Node): Node => ops.reduceSum(x, rest(x));

function softmaxParts(z: Node, axis: number): { shifted: Node; exponentials: Node; total: Node } {
  // the maximum only guards against overflow; it is not differentiated
  const shifted = sub(z, ops.stopGradient(ops.reduceMax(z, [axis], true)));
  const exponentials = ops.exp(shifted);
  return { shifted, exponentials, total: ops.reduceSum(exponentials, [axis], true) };
}

export interface CrossEntropyOptions {
  /** axis of the output that counts classes; told from the shapes if absent (contract: --class-axis) */
  readonly classAxis?: number | undefined;
  /** targets with this value have no term */
  readonly ignoreIndex?: number | undefined;
}

/** −log softmax(output)[target], mean over the targets that are not ignored. Targets are class indices. */
export function crossEntropy(options: CrossEntropyOptions = {}): Loss {
  return {
    name: 'cross-entropy',
    target: 'int32',
    bind(output, target) {
      const axis = findClassAxis(output, target, options.classAxis);
      return boundCrossEntropy(output[axis] as number, axis, options.ignoreIndex ?? -100);
    },
  };
}

/** The contract's rule: axis 1, else the last, whichever makes the target's shape the output's without it. */
function findClassAxis(output: Shape, target: Shape, given: number | undefined): number {
  const fits = (axis: number): boolean => output.filter((_, i) => i !== axis).join() === target.join();
  const refuse = (): never => {
    throw new ShapeError(
      `cross-entropy: a target of shape [${target}] does not fit an output of shape [${output}]${given === undefined ? '' : ` with classes along axis ${given}`}`,
    );
  };
  if (output.length < 2) return refuse();
  if (given !== undefined) {
    const axis = ops.normaliseAxis(given, output.length);
    return fits(axis) ? axis : refuse();
  }
  const last = output.length - 1;
  if (last > 1 && fits(1) && fits(last))
    throw new InputError(
      `cross-entropy: classes may lie along axis 1 or ${last} of the output [${output}]; say which with --class-axis`,
    );
  return fits(1) ? 1 : fits(last) ? last : refuse();
}

function boundCrossEntropy(classes: number, axis: number, ignoreIndex: number): BoundLoss {
  const valid = (target: Node): Node => ops.ne(target, target.graph.fill(ignoreIndex, target.shape, 'int32'));
  const overClasses = (perPosition: Node): Node => ops.expandDims(perPosition, axis);
  return {
    terms(output, target) {
      const { shifted, total } = softmaxParts(output, axis);
      const hit = ops.eq(output.graph.iota(axis, output.shape), ops.broadcastTo(overClasses(target), output.shape));
      const picked = ops.reduceSum(ops.select(hit, shifted, 0), [axis]);
      const logTotal = ops.log(ops.reshape(total, picked.shape));
      return perSample(sub(ops.select(valid(target), logTotal, 0), picked));
    },
    count: (target) => {
      let n = 0;
      for (let i = 0; i < target.length; i++) if (target[i] !== ignoreIndex) n++;
      return n;
    },
    check: (t) => (t === ignoreIndex || (t >= 0 && t < classes) ? null : `class ${t} is outside 0…${classes - 1}`),
    likelihood: {
      distribution: 'uniform',
      randomShape: (output) => output.filter((_, i) => i !== axis),
      labelAxes: [axis],
      drawn(output, random) {
        const { exponentials, total } = softmaxParts(output, axis);
        const p = ops.div(exponentials, total);
        const draws = random.shape[0] as number;
        const all = ops.broadcastTo(p, [draws, ...p.shape]);
        const below = ops.broadcastTo(ops.cumsum(p, axis, true), all.shape),
          upTo = ops.broadcastTo(ops.cumsum(p, axis), all.shape);
        const u = ops.broadcastTo(ops.expandDims(random, axis + 1), all.shape);
        // the last class takes what rounding leaves between the last partial sum and 1
        const last = ops.eq(output.graph.iota(axis + 1, all.shape), output.graph.fill(classes - 1, all.shape, 'int32'));
        const label = ops.and(ops.le(below, u), ops.or(ops.lt(u, upTo), last));
        return sub(all, ops.cast(label, p.dtype));
      },
      root(output, v) {
        const { exponentials, total } = softmaxParts(output, axis);
        const p = ops.div(exponentials, total),
          r = ops.sqrt(p);
        const u = mul(r, sub(v, ops.reduceSum(mul(p, v), [axis], true)));
        return sub(mul(r, u), mul(p, ops.reduceSum(mul(r, u), [axis], true)));
      },
      mask: (output, target) => overClasses(ops.cast(valid(target), output.dtype)),
    },
  };
}

function sameShape(name: string, output: Shape, target: Shape): void {
  if (output.join() !== target.join())
    throw new ShapeError(`${name}: a target of shape [${target}] does not fit an output of shape [${output}]`);
}

/** (output − target)², mean over elements. As a likelihood: normal with variance ½, whose Fisher is the Gauss–Newton matrix. */
export function meanSquaredError(): Loss {
  const bound: BoundLoss = {
    terms: (output, target) => {
      const r = sub(output, target);
      return perSample(mul(r, r));
    },
    count: (target) => target.length,
    check: () => null,
    likelihood: {
      distribution: 'normal',
      randomShape: (output) => output,
      labelAxes: [],
      drawn: (_, random) => mul(Math.SQRT2, random),
      root: (_, v) => mul(2, v),
      mask: () => null,
    },
  };
  return {
    name: 'mse',
    target: 'float',
    bind: (output, target) => {
      sameShape('mse', output, target);
      return bound;
    },
  };
}

/** log(1 + e^z) − t·z, mean over elements; targets in [0, 1]. */
export function binaryCrossEntropy(): Loss {
  const bound: BoundLoss = {
    terms: (output, target) => perSample(sub(ops.softplus(output), mul(target, output))),
    count: (target) => target.length,
    check: (t) => (t >= 0 && t <= 1 ? null : `target ${t} is outside 0…1`),
    likelihood: {
      distribution: 'uniform',
      randomShape: (output) => output,
      labelAxes: [],
      drawn(output, random) {
        const p = ops.broadcastTo(ops.sigmoid(output), random.shape);
        return sub(p, ops.cast(ops.lt(random, p), output.dtype));
      },
      root(output, v) {
        const q = ops.sqrt(mul(ops.sigmoid(output), ops.sigmoid(ops.neg(output))));
        return mul(q, mul(q, v));
      },
      mask: () => null,
    },
  };
  return {
    name: 'bce-with-logits',
    target: 'float',
    bind: (output, target) => {
      sameShape('bce-with-logits', output, target);
      return bound;
    },
  };
}

/** The model's own scalar output is the loss, a mean over axis 0. Batches are weighted by their samples. */
export function outputLoss(): Loss {
  const bound: BoundLoss = { terms: (output) => output, count: () => 1, check: () => null };
  return { name: 'output', target: null, bind: () => bound };
}

export function lossByName(name: string, classAxis?: number): Loss {
  switch (name) {
    case 'cross-entropy':
      return crossEntropy({ classAxis });
    case 'mse':
      return meanSquaredError();
    case 'bce-with-logits':
      return binaryCrossEntropy();
    case 'output':
      return outputLoss();
    default:
      throw new InputError(`unknown loss '${name}'; use cross-entropy, mse, bce-with-logits or output`);
  }
}
