/**
 * Composites: functions of neural networks written in primitives, hence differentiable to every order.
 *
 * Kinks are PyTorch's. Where one branch of a select may overflow, its argument is made harmless first: a derivative
 * multiplies the unselected branch by zero, and ∞·0 would be NaN.
 */

import { InputError } from '../base/errors.js';
import type { Node } from './node.js';
import { sizeOf } from './node.js';
import {
  abs,
  add,
  cast,
  div,
  eq,
  erf,
  exp,
  expm1,
  ge,
  gt,
  isInf,
  le,
  log,
  lt,
  mul,
  neg,
  normaliseAxis,
  type Operand,
  reciprocal,
  reduceMax,
  reduceSum,
  rsqrt,
  select,
  sigmoid,
  softplus,
  sqrt,
  stopGradient,
  sub,
  tanh,
} from './ops.js';

/** x² */
export const square = (x: Node): Node => mul(x, x);

/** NaN passes; the derivative at 0 is 0 */
export const relu = (x: Node): Node => select(le(x, 0), 0, x);
/** the derivative at 0 is the slope */
export const leakyRelu = (x: Node, slope: Operand): Node => select(gt(x, 0), x, mul(slope, x));
const negativePart = (x: Node): Node => select(le(x, 0), x, 0);
/** x above 0, alpha·(eˣ − 1) below (Clevert, Unterthiner and Hochreiter 2015) */
export const elu = (x: Node, alpha = 1): Node => select(le(x, 0), mul(alpha, expm1(negativePart(x))), x);
/** x above 0, alpha·(e^(x/alpha) − 1) below (Barron 2017) */
export const celu = (x: Node, alpha = 1): Node =>
  select(le(x, 0), mul(alpha, expm1(mul(1 / alpha, negativePart(x)))), x);
/** gamma·elu(x, alpha), with the constants of self-normalising networks (Klambauer et al. 2017) */
export const selu = (x: Node, alpha = 1.6732632423543772, gamma = 1.0507009873554805): Node =>
  mul(gamma, elu(x, alpha));
/** passes gradient on both closed ends, as torch.clamp; where low > high the result is high */
export function clip(x: Node, low: Operand | undefined, high: Operand | undefined): Node {
  const raised = low === undefined ? x : select(lt(x, low), low, x);
  return high === undefined ? raised : select(gt(raised, high), high, raised);
}
/** min(max(x, 0), 6), flat on both closed ends as torch's */
export const relu6 = (x: Node): Node => select(le(x, 0), 0, select(ge(x, 6), 6, x));
/** min(max(alpha·x + beta, 0), 1), flat on both closed ends as torch's hardsigmoid */
export function hardSigmoid(x: Node, alpha = 1 / 6, beta = 0.5): Node {
  const line = add(mul(alpha, x), beta);
  return select(le(line, 0), 0, select(ge(line, 1), 1, line));
}
/** x · hardSigmoid(x), which is x itself above 3 */
export const hardSwish = (x: Node): Node => select(le(x, -3), 0, select(ge(x, 3), x, mul(x, add(mul(1 / 6, x), 0.5))));
/** x·Φ(x), Φ the normal distribution function (Hendrycks and Gimpel 2016) */
export const gelu = (x: Node): Node => mul(mul(0.5, x), add(erf(mul(Math.SQRT1_2, x)), 1));
/** gelu by the approximation with tanh */
export const geluTanh = (x: Node): Node =>
  mul(mul(0.5, x), add(tanh(mul(Math.sqrt(2 / Math.PI), add(x, mul(0.044715, mul(x, square(x)))))), 1));
/** x·sigmoid(alpha·x), also called swish */
export const silu = (x: Node, alpha = 1): Node => mul(x, sigmoid(mul(alpha, x)));
/** x·tanh(softplus(x)) (Misra 2019) */
export const mish = (x: Node): Node => mul(x, tanh(softplus(x)));
/** x/(1 + |x|) */
export const softsign = (x: Node): Node => div(x, add(abs(x), 1));
/** x above alpha, else 0 */
export const thresholdedRelu = (x: Node, alpha: number): Node => select(le(x, alpha), 0, x);
/** 0 within ±lambda, moved by bias towards 0 outside */
export const shrink = (x: Node, lambda = 0.5, bias = 0): Node =>
  select(lt(x, -lambda), add(x, bias), select(gt(x, lambda), sub(x, bias), 0));

const allAxes = (x: Node): number[] => x.shape.map((_, i) => i);
const extentOf = (x: Node, axes: readonly number[]): number =>
  sizeOf(axes.map((a) => x.shape[normaliseAxis(a, x.shape.length)] as number));

/** Σ / count over axes (all by default), which are removed unless `keepDims` */
export function mean(x: Node, axes: readonly number[] = allAxes(x), keepDims = false): Node {
  return mul(1 / extentOf(x, axes), reduceSum(x, axes, keepDims));
}
/** of the population (divides by the count) */
export const variance = (x: Node, axes: readonly number[] = allAxes(x), keepDims = false): Node =>
  mean(square(sub(x, mean(x, axes, true))), axes, keepDims);
/** (x − mean) / √(variance + epsilon) over axes */
export function normalise(x: Node, axes: readonly number[], epsilon: number): Node {
  const centred = sub(x, mean(x, axes, true));
  return mul(centred, rsqrt(add(mean(square(centred), axes, true), epsilon)));
}
/** normalised over the axes from `axis` on, then scaled and shifted */
export function layerNorm(x: Node, axis: number, epsilon: number, scale?: Node, bias?: Node): Node {
  const axes = allAxes(x).slice(normaliseAxis(axis, x.shape.length));
  return affine(normalise(x, axes, epsilon), scale, bias);
}
/**
 * Mean and variance over all axes but axis 1, [channels] each, of this batch (Ioffe and Szegedy 2015): the population's
 * variance, which divides by the count.
 */
export function batchStatistics(x: Node): { mean: Node; variance: Node } {
  const axes = allAxes(x).filter((a) => a !== 1);
  return { mean: mean(x, axes), variance: variance(x, axes) };
}
/** In training mode each element is 0 with probability `ratio`, else divided by 1 − ratio (Srivastava et al. 2014). */
export function dropout(x: Node, ratio: number): Node {
  const kept = dropoutMask(x, ratio);
  return kept ? mul(x, mul(1 / (1 - ratio), cast(kept, x.dtype))) : x;
}
/** which elements stay; undefined where all do */
export function dropoutMask(x: Node, ratio: number): Node | undefined {
  if (!(ratio >= 0 && ratio < 1)) throw new InputError(`a dropout ratio must be at least 0 and below 1, not ${ratio}`);
  const { training } = x.graph;
  return training && ratio > 0 ? ge(training.noise(x), ratio) : undefined;
}
/** x / √(mean of x² + epsilon) over the axes from `axis` on, then scaled (Zhang and Sennrich 2019) */
export function rmsNorm(x: Node, axis: number, epsilon: number, scale?: Node): Node {
  const axes = allAxes(x).slice(normaliseAxis(axis, x.shape.length));
  return affine(mul(x, rsqrt(add(mean(square(x), axes, true), epsilon))), scale, undefined);
}
/** x · scale + bias, either of which may be absent */
export function affine(x: Node, scale: Node | undefined, bias: Node | undefined): Node {
  const scaled = scale ? mul(x, scale) : x;
  return bias ? add(scaled, bias) : scaled;
}

/** the largest value, which only guards against overflow: it is not differentiated */
const guard = (x: Node, axes: readonly number[]): Node => stopGradient(reduceMax(x, axes, true));

/** eˣ / Σeˣ over axes; the largest value is subtracted first and not differentiated */
export function softmax(x: Node, axes: readonly number[]): Node {
  const e = exp(sub(x, guard(x, axes)));
  // the sum is at least 1; its reciprocal, once a row, leaves derivatives without divisions
  return mul(e, reciprocal(reduceSum(e, axes, true)));
}
/** log softmax(x) without overflow */
export function logSoftmax(x: Node, axes: readonly number[]): Node {
  const shifted = sub(x, guard(x, axes));
  return sub(shifted, log(reduceSum(exp(shifted), axes, true)));
}
/** log Σeˣ over axes without overflow */
export function logSumExp(x: Node, axes: readonly number[] = allAxes(x), keepDims = false): Node {
  const largest = guard(x, axes);
  // an infinite maximum would make ∞ − ∞
  const shift = select(isInf(largest), 0, largest);
  const y = add(log(reduceSum(exp(sub(x, shift)), axes, true)), shift);
  return keepDims ? y : reduceSum(y, axes);
}

/** √(Σx²), whose derivative at 0 is 0 as torch.norm's */
export function norm2(x: Node, axes: readonly number[] = allAxes(x), keepDims = false): Node {
  const squares = reduceSum(square(x), axes, keepDims);
  const zero = eq(squares, 0);
  return select(zero, 0, sqrt(select(zero, 1, squares)));
}
/** Σ|x| over axes */
export const norm1 = (x: Node, axes: readonly number[] = allAxes(x), keepDims = false): Node =>
  reduceSum(abs(x), axes, keepDims);

/** 1 where the class along a new last axis is the index, else 0; an index outside 0 … depth−1 gives all zeros */
export function oneHot(index: Node, depth: number, dtype: Node['dtype']): Node {
  const shape = [...index.shape, depth];
  const wide = index.graph.make('broadcast', [index], { shape, dims: index.shape.map((_, i) => i) });
  return cast(eq(wide, index.graph.iota(index.shape.length, shape)), dtype);
}

/** towards zero */
export const trunc = (x: Node): Node =>
  select(lt(x, 0), neg(x.graph.make('floor', [neg(x)], {})), x.graph.make('floor', [x], {}));
