/**
 * New values for a model's parameters, by what each is used as (layer taps), drawn as PyTorch's layers draw theirs:
 *
 *   weights of linear layers and convolutions   U(±1/√fan_in), fan_in the columns of A (He et al. 2015 with gain 1/√3)
 *   their biases                                U(±1/√fan_in) of their layer
 *   scales 1, shifts 0, tables of embeddings N(0, 1)
 *
 * What is used as none of these, or as several of them, keeps its value. In mode 'train' running statistics start from
 * mean 0 and variance 1.
 */
import type { NdArray } from '../base/ndarray.js';
import type { MeanLoss } from '../model/mean-loss.js';
import { Objective, type ParameterChoice } from '../model/objective.js';
import { parameterArrays, withParameters } from '../model/with-parameters.js';
import { type LayerTap, layerTaps } from '../taps/index.js';
import * as initialisers from '../trace/initialisers.js';

/** A mean loss at fresh parameters. */
export interface FreshStart {
  readonly f: MeanLoss;
  /** parameters that keep their values because nothing says how to draw them */
  readonly kept: readonly string[];
  /** running statistics as they are before any data, by name; none in mode 'eval'. For `train` */
  readonly statistics: Readonly<Record<string, Float64Array>>;
}

/**
 * The same objective from new values of its model's parameters, drawn from `seed` as PyTorch's layers draw theirs;
 * `choice` says which parameters are trained: the others stay as they are.
 */
export function withFreshParameters(f: MeanLoss, seed = 0, choice: ParameterChoice = {}): FreshStart {
  const taps = layerTaps(f);
  const objective = new Objective(f, choice);
  const chosen = new Set(objective.parameters.map((p) => p.name));
  const of = (name: string): LayerTap[] => taps.filter((t) => t.parameter === name);
  const kept: string[] = [];
  const values = new Map<string, NdArray>();
  for (const [index, [name, array]] of [...parameterArrays(f.model)].entries()) {
    if (!chosen.has(name)) {
      values.set(name, array);
      continue;
    }
    const own = of(name);
    const kinds = new Set(own.map((t) => t.kind));
    const initialiser = kinds.size === 1 ? choose(own[0] as LayerTap, of) : undefined;
    if (!initialiser) kept.push(name);
    const data = initialiser?.(array.shape, initialisers.parameterRandom(seed, index));
    values.set(name, data ? { dtype: 'float64', shape: array.shape, data } : array);
  }
  const { updates } = objective.formulate(objective.samplesOf(0), 'float32');
  const statistics = Object.fromEntries(
    updates.map(({ buffer, fresh, initial }) => [buffer, new Float64Array(initial.length).fill(fresh)]),
  );
  return { f: { ...f, model: withParameters(f.model, values) }, kept, statistics };
}

const uniform = (fan: number): initialisers.Initialiser =>
  initialisers.uniform(-1 / Math.sqrt(fan), 1 / Math.sqrt(fan));

function choose(tap: LayerTap, of: (name: string) => LayerTap[]): initialisers.Initialiser | undefined {
  switch (tap.kind) {
    case 'linear':
    case 'conv':
      return uniform(tap.in);
    case 'shift': {
      const layer = tap.weight === null ? undefined : of(tap.weight)[0];
      return layer ? uniform(layer.in) : initialisers.zeros;
    }
    case 'scale':
      return initialisers.ones;
    case 'embedding':
      return initialisers.normal();
    default:
      return undefined;
  }
}
