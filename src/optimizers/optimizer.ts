/**
 * What a first-order optimizer is: a pair of pure functions. `init` makes a state for parameters, `update` gives the next
 * state and parameters and changes nothing that it was given. A state is plain data (numbers and float64 arrays), so
 * saving and restoring it continues in the same bits.
 *
 * Named optimizers are `define`d by the vectors they keep and one loop over the elements.
 */
import { ComputationError, InputError, ShapeError } from '../base/errors.js';
import { constant, type Schedule } from './schedule.js';

/** Plain data; an optimizer continues from it in the same bits. */
export interface OptimizerState {
  /** updates done */
  readonly step: number;
  /** one number per parameter element each: moments, previous gradients */
  readonly vectors: Readonly<Record<string, Float64Array>>;
  readonly scalars: Readonly<Record<string, number>>;
}

/** An optimizer as two pure functions: arrays in, new arrays out. */
export interface Optimizer {
  readonly name: string;
  /** The state before the first step. */
  init(parameters: Float64Array): OptimizerState;
  /**
   * One step. Throws ShapeError where lengths differ, ComputationError (naming the step) for a gradient that is not
   * finite, before anything is computed from it.
   */
  update(
    state: OptimizerState,
    gradient: Float64Array,
    parameters: Float64Array,
  ): { state: OptimizerState; parameters: Float64Array };
}

/** What every optimizer takes. */
export interface CommonOptions {
  /** η, multiplied by the schedule */
  readonly learningRate?: number | undefined;
  readonly schedule?: Schedule | undefined;
  /** the gradient is scaled down to this global norm first, before any moment sees it */
  readonly clip?: number | undefined;
}

/** What a loop over the elements works on. θ, the vectors and scalars are its own copies, to be written to. */
export interface Step {
  /** 1, 2, … */
  readonly t: number;
  /** η of this step */
  readonly eta: number;
  readonly g: Float64Array;
  readonly theta: Float64Array;
  readonly vectors: Record<string, Float64Array>;
  readonly scalars: Record<string, number>;
}

export interface Definition extends CommonOptions {
  readonly name: string;
  /** η unless given */
  readonly rate: number;
  /** vectors kept, all zero at first */
  readonly vectors?: readonly string[];
  readonly scalars?: Readonly<Record<string, number>>;
  readonly move: (step: Step) => void;
}

export function define(definition: Definition): Optimizer {
  const { name, vectors = [], scalars = {}, move, clip, schedule = constant() } = definition;
  const rate = definition.learningRate ?? definition.rate;
  positive(name, { learningRate: rate, ...(clip === undefined ? {} : { clip }) });
  return {
    name,
    init: (parameters) => ({
      step: 0,
      vectors: Object.fromEntries(vectors.map((key) => [key, new Float64Array(parameters.length)])),
      scalars: { ...scalars },
    }),
    update(state, gradient, parameters) {
      if (gradient.length !== parameters.length)
        throw new ShapeError(`a gradient of ${gradient.length} elements for ${parameters.length} parameters`);
      for (const key of vectors)
        if (state.vectors[key]?.length !== parameters.length)
          throw new ShapeError(`the state of ${name} is not one for ${parameters.length} parameters`);
      const t = state.step + 1;
      const norm = globalNorm(gradient);
      if (!Number.isFinite(norm))
        throw new ComputationError(`the gradient of step ${t} is not finite; try a smaller learning rate`);
      const g = clip === undefined ? gradient : clipByNorm(gradient, clip, norm);
      const own = Object.fromEntries(vectors.map((key) => [key, (state.vectors[key] as Float64Array).slice()]));
      const step = {
        t,
        eta: rate * schedule(state.step),
        g,
        theta: parameters.slice(),
        vectors: own,
        scalars: { ...state.scalars },
      };
      move(step);
      return { state: { step: t, vectors: own, scalars: step.scalars }, parameters: step.theta };
    },
  };
}

/** ‖g‖₂, without overflow. */
export function globalNorm(g: Float64Array): number {
  let largest = 0;
  for (const x of g) {
    if (!Number.isFinite(x)) return Number.NaN;
    largest = Math.max(largest, Math.abs(x));
  }
  if (largest === 0) return 0;
  let sum = 0;
  for (const x of g) sum += (x / largest) ** 2;
  return largest * Math.sqrt(sum);
}

/** g, scaled by min(1, limit/‖g‖). */
export function clipByNorm(g: Float64Array, limit: number, norm = globalNorm(g)): Float64Array {
  return norm > limit ? g.map((x) => (x * limit) / norm) : g;
}

/** Throws InputError unless every number given is positive and finite. */
export function positive(name: string, options: Readonly<Record<string, number>>): void {
  for (const [key, value] of Object.entries(options))
    if (!(value > 0 && Number.isFinite(value)))
      throw new InputError(`${name}: ${key} must be a positive number, not ${value}`);
}

/** Throws InputError unless every number given is in [0, 1). */
export function fraction(name: string, options: Readonly<Record<string, number>>): void {
  for (const [key, value] of Object.entries(options))
    if (!(value >= 0 && value < 1))
      throw new InputError(`${name}: ${key} must be at least 0 and below 1, not ${value}`);
}

/** Throws InputError unless every number given is at least 0 and finite. */
export function nonNegative(name: string, options: Readonly<Record<string, number>>): void {
  for (const [key, value] of Object.entries(options))
    if (!(value >= 0 && Number.isFinite(value)))
      throw new InputError(`${name}: ${key} must be at least 0, not ${value}`);
}
