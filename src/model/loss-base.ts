/** What a loss is to an objective. The losses themselves: loss-classification.ts and loss-regression.ts. */
import { InputError, ShapeError } from '../base/errors.js';
import type { Node, Shape } from '../graph/index.js';
import { ops } from '../graph/index.js';

/** A loss of outputs and targets; ones of your own come from `customLoss`. */
export interface Loss {
  readonly name: string;
  /** options that change the function, for fingerprints; absent where there are none */
  readonly detail?: string | undefined;
  /** what the target is given as; null: the loss needs none */
  readonly target: 'int32' | 'float' | null;
  /** The loss for an output and a target of these shapes, axis 0 counting samples; throws where they do not fit. */
  bind(output: Shape, target: Shape): BoundLoss;
}

/** A loss for outputs and targets of known shapes, in primitives. */
export interface BoundLoss {
  /** Σ of the loss terms of each sample, [samples], for a model output and a target. */
  terms(output: Node, target: Node): Node;
  /** what the terms of one sample's target are divided by in the mean: their number, or the sum of their weights */
  count(target: ArrayLike<number>): number;
  /** what is wrong with a target value, or null */
  check(value: number): string | null;
  /** for the Fishers; absent where the loss is no likelihood */
  readonly likelihood?: Likelihood;
  /** for losses of labels: how many each sample has right, and how many it has, [samples] both */
  accuracy?(output: Node, target: Node): { readonly right: Node; readonly labels: Node };
}

/** A loss as the negative logarithm of a probability of labels, which its Fishers draw. */
export interface Likelihood {
  /** what `random` holds, and its shape for an output's (without the axis of draws) */
  readonly distribution: 'uniform' | 'normal';
  /** of the random numbers that one draw of labels takes */
  randomShape(output: Shape): Shape;
  /** gradients of the terms for labels drawn with `random`, shaped draws × randomShape: draws × output */
  drawn(output: Node, random: Node): Node;
  /** axes of the output over which one label's gradient extends; the others index independent labels */
  readonly labelAxes: readonly number[];
  /** Q·(Qᵀ·v) with Q Qᵀ the Hessian of the unweighted terms at the output, by the exact root */
  root(output: Node, v: Node): Node;
  /** the weight of each term (0 where it does not count), shaped to broadcast with the output; null if all are 1 */
  mask(output: Node, target: Node): Node | null;
}

const rest = (x: Node): number[] => x.shape.map((_, i) => i).slice(1);
export const perSample = (x: Node): Node => ops.reduceSum(x, rest(x));

/** how many of each sample's flags are set, [samples] in a float type */
export const countPerSample = (flags: Node, like: Node): Node => perSample(ops.cast(flags, like.dtype));

export function mustShareShape(name: string, output: Shape, target: Shape): void {
  if (output.join() !== target.join())
    throw new ShapeError(`${name}: a target of shape [${target}] does not fit an output of shape [${output}]`);
}
export function mustBePositive(name: string, what: string, value: number): void {
  if (!(value > 0 && Number.isFinite(value)))
    throw new InputError(`${name}: ${what} must be a positive number, not ${value}`);
}
/** weights as numbers, at least 0 and finite */
export function checkedWeights(
  name: string,
  what: string,
  given: ArrayLike<number> | undefined,
): Float64Array | undefined {
  if (given === undefined) return undefined;
  const weights = Float64Array.from(given);
  const bad = weights.findIndex((w) => !(w >= 0 && Number.isFinite(w)));
  if (bad >= 0 || weights.length === 0)
    throw new InputError(`${name}: ${what} ${bad} is ${weights[bad]}; they must be finite and at least 0`);
  return weights;
}
/** the options that are set, as text; undefined where none is */
export function detailOf(options: Readonly<Record<string, unknown>>): string | undefined {
  const set = Object.entries(options).filter(([, v]) => v !== undefined);
  return set.length === 0
    ? undefined
    : JSON.stringify(set.map(([k, v]) => [k, ArrayBuffer.isView(v) ? Array.from(v as Float64Array) : v]));
}
