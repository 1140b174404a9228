/**
 * Scalar functions of parameters as objectives: f(θ), or the mean over samples of f(θ, x). For whole problems written
 * in TypeScript: physics-informed losses, priors, test functions.
 */
import { InputError, ShapeError } from '../base/errors.js';
import { type Dataset, datasetFromArrays } from '../data/index.js';
import * as f from '../graph/functions.js';
import { type Node, ops } from '../graph/index.js';
import { outputLoss } from '../model/loss.js';
import { type MeanLoss, meanLoss } from '../model/mean-loss.js';
import { typed } from './functions.js';
import { type Inputs, type Parameters, type TracedModel, type TraceOptions, trace } from './trace.js';

/** Options of `traceFunction`. */
export interface TraceFunctionOptions<P extends Parameters, I extends Inputs>
  extends Omit<TraceOptions<P, I>, 'inputs'> {
  readonly inputs?: I | undefined;
  /** what the inputs are read from; needed when there are any */
  readonly data?: Dataset | undefined;
  readonly samples?: number | undefined;
  readonly batchSize?: number | undefined;
}
/** A mean loss whose model's parameters may be given new values. */
export interface TracedFunction extends MeanLoss {
  readonly model: TracedModel;
}

/**
 * The objective θ ↦ f(θ), or with inputs θ ↦ (1/N) Σₙ f(θ, xₙ). The function returns a scalar ([]), which with inputs
 * must itself be a mean over the samples of the batch, or one value per sample ([samples]), which is averaged.
 *
 *   const rosenbrock = traceFunction(({ x }) => …, { parameters: { x: { shape: [2], values: [-1, 1] } } });
 *   await using H = await hessian(rosenbrock, { dtype: 'float64' });
 */
export function traceFunction<const P extends Parameters, const I extends Inputs = Record<never, never>>(
  recipe: (parameters: { readonly [K in keyof P]: Node }, inputs: { readonly [K in keyof I]: Node }) => Node,
  options: TraceFunctionOptions<P, I>,
): TracedFunction {
  const { data, samples, batchSize, ...rest } = options;
  const inputs = options.inputs ?? ({} as I);
  const named = Object.keys(inputs).length > 0;
  if (named && !data) throw new InputError('traceFunction: inputs are given, but no data that they are read from');
  const model = trace<P, I>(
    (p, x) => {
      const y = recipe(p, x);
      if (y.shape.length === 0) return y;
      const [first] = Object.values(x) as Node[];
      if (y.shape.length !== 1 || !first || y.shape[0] !== first.shape[0])
        throw new ShapeError(
          `traceFunction: the function must return a scalar or one value per sample, not ${typed(y)}`,
        );
      return ops.reshape(f.mean(y), []);
    },
    { name: 'the traced function', ...rest, inputs },
  );
  return { ...meanLoss(model, outputLoss(), data ?? nothing(), { samples, batchSize }), model };
}

/** data of one sample that no input reads */
const nothing = (): Dataset => datasetFromArrays({ inputs: { nothing: { data: new Float32Array(1), shape: [1] } } });
