/**
 * Losses of classes, by logits. With p = softmax(z) along the class axis, y the target class, w its weight, C classes
 * and ε the label smoothing (Szegedy et al. 2016), one position's term is PyTorch's
 *
 *   cross-entropy   (1−ε)·w_y·(−log p_y) + (ε/C)·Σ_c w_c·(−log p_c),   divided by Σ w_y over positions that count
 *   soft targets    −Σ_c w_c·t'_c·log p_c, t' = (1−ε)t + ε/C,         divided by the number of positions
 *   binary          w·[(1−t)·z + (1 + (π−1)t)·log(1 + e^−z)],          divided by the number of elements
 *
 * The Hessian of a term at z is s·(diag p − ppᵀ), s the sum of the factors before −log p_c; binary: w(1 + (π−1)t)·p(1−p).
 */
import { InputError, ShapeError } from '../base/errors.js';
import type { Node, Shape } from '../graph/index.js';
import { ops } from '../graph/index.js';
import {
  type BoundLoss,
  checkedWeights,
  countPerSample,
  detailOf,
  type Likelihood,
  type Loss,
  mustShareShape,
  perSample,
} from './loss-base.js';

const { add, mul, sub } = ops;

/** Options of `crossEntropy`. */
export interface CrossEntropyOptions {
  /** axis of the output that counts classes; told from the shapes if absent (contract: --class-axis) */
  readonly classAxis?: number | undefined;
  /** targets with this value have no term; default −100 */
  readonly ignoreIndex?: number | undefined;
  /** ε in [0, 1]; default 0 */
  readonly labelSmoothing?: number | undefined;
  /** one weight per class, at least 0 */
  readonly classWeights?: ArrayLike<number> | undefined;
  /** targets are probabilities of the classes, shaped like the output, instead of class indices */
  readonly softTargets?: boolean | undefined;
}

/** −log softmax(output)[target], mean over the targets that are not ignored. Targets are class indices, or probabilities. */
export function crossEntropy(options: CrossEntropyOptions = {}): Loss {
  const { ignoreIndex = -100, labelSmoothing: smoothing = 0, softTargets = false } = options;
  if (!(smoothing >= 0 && smoothing <= 1))
    throw new InputError(`cross-entropy: label smoothing must lie in 0…1, not ${smoothing}`);
  const weights = checkedWeights('cross-entropy', 'class weight', options.classWeights);
  return {
    name: 'cross-entropy',
    detail: detailOf({ ...options, classWeights: weights }),
    target: softTargets ? 'float' : 'int32',
    bind(output, target) {
      if (softTargets) mustShareShape('cross-entropy with soft targets', output, target);
      const labels = softTargets ? withoutAxis(output, options.classAxis ?? 1) : target;
      const axis = findClassAxis(output, labels, softTargets ? (options.classAxis ?? 1) : options.classAxis);
      const classes = output[axis] as number;
      if (weights && weights.length !== classes)
        throw new ShapeError(`cross-entropy: ${weights.length} class weights for ${classes} classes`);
      const setting: Setting = { axis, classes, ignoreIndex, smoothing, weights };
      return softTargets ? boundSoft(setting) : boundHard(setting);
    },
  };
}

function withoutAxis(output: Shape, axis: number): Shape {
  if (output.length < 2) throw new ShapeError(`cross-entropy: an output of shape [${output}] has no axis of classes`);
  const at = ops.normaliseAxis(axis, output.length);
  return output.filter((_, i) => i !== at);
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
    if (axis === 0) throw new InputError('cross-entropy: axis 0 counts samples, so classes cannot lie along it');
    return fits(axis) ? axis : refuse();
  }
  const last = output.length - 1;
  if (last > 1 && fits(1) && fits(last))
    throw new InputError(
      `cross-entropy: classes may lie along axis 1 or ${last} of the output [${output}]; say which with --class-axis`,
    );
  return fits(1) ? 1 : fits(last) ? last : refuse();
}

interface Setting {
  readonly axis: number;
  readonly classes: number;
  readonly ignoreIndex: number;
  readonly smoothing: number;
  readonly weights: Float64Array | undefined;
}
function softmaxParts(z: Node, axis: number): { shifted: Node; exponentials: Node; total: Node } {
  // the maximum only guards against overflow; it is not differentiated
  const shifted = sub(z, ops.stopGradient(ops.reduceMax(z, [axis], true)));
  const exponentials = ops.exp(shifted);
  return { shifted, exponentials, total: ops.reduceSum(exponentials, [axis], true) };
}
/** class weights along their axis, in the shape of the output; ones without weights */
function weightsLike(output: Node, { axis, classes, weights }: Setting): Node {
  if (!weights) return output.graph.fill(1, output.shape, output.dtype);
  return ops.broadcast(output.graph.constant(weights, [classes], output.dtype), output.shape, [axis]);
}

function boundHard(s: Setting): BoundLoss {
  const { axis, classes, ignoreIndex, smoothing, weights } = s;
  const valid = (target: Node): Node => ops.ne(target, target.graph.fill(ignoreIndex, target.shape, 'int32'));
  const overClasses = (perPosition: Node): Node => ops.expandDims(perPosition, axis);
  /** where the class is the target, in the shape of the output */
  const hits = (output: Node, target: Node): Node => {
    const hit = ops.eq(output.graph.iota(axis, output.shape), ops.broadcastTo(overClasses(target), output.shape));
    const counted =
      ignoreIndex >= 0 && ignoreIndex < classes ? ops.broadcastTo(overClasses(valid(target)), output.shape) : null;
    return counted ? ops.and(hit, counted) : hit;
  };
  const plain = !weights && smoothing === 0;
  /** the factor before each −log p_c */
  const factors = (output: Node, target: Node): Node => {
    const w = weightsLike(output, s);
    const own = ops.select(hits(output, target), mul(1 - smoothing, w), 0);
    if (smoothing === 0) return own;
    const spread = ops.select(
      ops.broadcastTo(overClasses(valid(target)), output.shape),
      mul(smoothing / classes, w),
      0,
    );
    return add(own, spread);
  };
  return {
    terms(output, target) {
      const { shifted, total } = softmaxParts(output, axis);
      if (!plain) return perSample(mul(factors(output, target), sub(ops.log(total), shifted)));
      const picked = ops.reduceSum(ops.select(hits(output, target), shifted, 0), [axis]);
      const logTotal = ops.log(ops.reshape(total, picked.shape));
      return perSample(sub(ops.select(valid(target), logTotal, 0), picked));
    },
    count: (target) => {
      let n = 0;
      for (let i = 0; i < target.length; i++) {
        const t = target[i] as number;
        if (t !== ignoreIndex) n += weights ? (weights[t] as number) : 1;
      }
      return n;
    },
    check: (t) => (t === ignoreIndex || (t >= 0 && t < classes) ? null : `class ${t} is outside 0…${classes - 1}`),
    accuracy(output, target) {
      const counted = valid(target);
      return {
        right: countPerSample(ops.and(ops.eq(ops.argMax(output, axis), target), counted), output),
        labels: countPerSample(counted, output),
      };
    },
    likelihood: categorical(s, (output, target) =>
      plain ? overClasses(ops.cast(valid(target), output.dtype)) : ops.reduceSum(factors(output, target), [axis], true),
    ),
  };
}

function boundSoft(s: Setting): BoundLoss {
  const { axis, classes, smoothing, weights } = s;
  const factors = (output: Node, target: Node): Node => {
    const smoothed = smoothing === 0 ? target : add(mul(1 - smoothing, target), smoothing / classes);
    return weights ? mul(smoothed, weightsLike(output, s)) : smoothed;
  };
  return {
    terms(output, target) {
      const { shifted, total } = softmaxParts(output, axis);
      return perSample(mul(factors(output, target), sub(ops.log(total), shifted)));
    },
    count: (target) => target.length / classes,
    check: (t) => (t >= 0 && t <= 1 ? null : `target ${t} is outside 0…1`),
    accuracy(output, target) {
      const right = ops.eq(ops.argMax(output, axis), ops.argMax(target, axis));
      return {
        right: countPerSample(right, output),
        labels: perSample(output.graph.fill(1, right.shape, output.dtype)),
      };
    },
    likelihood: categorical(s, (output, target) => ops.reduceSum(factors(output, target), [axis], true)),
  };
}

/** Labels drawn from softmax by the inverse of its partial sums; g = p − e_label, E[g gᵀ] = diag p − ppᵀ. */
function categorical({ axis, classes }: Setting, mask: Likelihood['mask']): Likelihood {
  const probabilities = (output: Node): Node => {
    const { exponentials, total } = softmaxParts(output, axis);
    return ops.div(exponentials, total);
  };
  return {
    distribution: 'uniform',
    randomShape: (output) => output.filter((_, i) => i !== axis),
    labelAxes: [axis],
    drawn(output, random) {
      const p = probabilities(output);
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
      const p = probabilities(output),
        r = ops.sqrt(p);
      const u = mul(r, sub(v, ops.reduceSum(mul(p, v), [axis], true)));
      return sub(mul(r, u), mul(p, ops.reduceSum(mul(r, u), [axis], true)));
    },
    mask,
  };
}

/** Options of `binaryCrossEntropy`. */
export interface BinaryCrossEntropyOptions {
  /** π, the factor of positive targets: one number, or one per element of the output's last axis */
  readonly positiveWeight?: number | ArrayLike<number> | undefined;
  /** w, one per element of the output's last axis */
  readonly weights?: ArrayLike<number> | undefined;
}

/** log(1 + e^z) − t·z (weighted as above), mean over elements; targets in [0, 1]. */
export function binaryCrossEntropy(options: BinaryCrossEntropyOptions = {}): Loss {
  const name = 'bce-with-logits';
  const asList = typeof options.positiveWeight === 'number' ? [options.positiveWeight] : options.positiveWeight;
  const positive = checkedWeights(name, 'positive weight', asList);
  const weights = checkedWeights(name, 'weight', options.weights);
  const lastAxis = (output: Node, w: Float64Array): Node =>
    ops.broadcastTo(output.graph.constant(w, [w.length], output.dtype), output.shape);
  /** the factor of log(1 + e^−z), hence of p(1−p) */
  const factor = (output: Node, target: Node): Node | null => {
    const own = positive ? add(1, mul(target, sub(lastAxis(output, positive), 1))) : null;
    if (!weights) return own;
    const w = lastAxis(output, weights);
    return own ? mul(w, own) : w;
  };
  const bound: BoundLoss = {
    terms(output, target) {
      if (!positive && !weights) return perSample(sub(ops.softplus(output), mul(target, output)));
      const negative = mul(sub(1, target), output);
      const weighted = weights ? mul(lastAxis(output, weights), negative) : negative;
      return perSample(add(weighted, mul(factor(output, target) as Node, ops.softplus(ops.neg(output)))));
    },
    count: (target) => target.length,
    check: (t) => (t >= 0 && t <= 1 ? null : `target ${t} is outside 0…1`),
    accuracy(output, target) {
      const positive = (x: Node, above: number): Node => ops.ge(x, output.graph.fill(above, x.shape, output.dtype));
      // where a logit is at least 0 the probability is at least ½
      const right = ops.eq(ops.cast(positive(output, 0), 'int32'), ops.cast(positive(target, 0.5), 'int32'));
      return {
        right: countPerSample(right, output),
        labels: perSample(output.graph.fill(1, output.shape, output.dtype)),
      };
    },
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
      mask: factor,
    },
  };
  return {
    name,
    detail: detailOf({ positiveWeight: positive, weights }),
    target: 'float',
    bind: (output, target) => {
      mustShareShape(name, output, target);
      for (const w of [positive, weights]) {
        if (w && w.length !== 1 && w.length !== output.at(-1))
          throw new ShapeError(
            `${name}: ${w.length} weights for an output of shape [${output}]; one per element of its last axis`,
          );
      }
      return bound;
    },
  };
}
