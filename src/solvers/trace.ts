/** Estimates of the trace of an operator, or of a function of it, with their standard errors. */
import { ComputationError, InputError } from '../base/errors.js';
import type { LinearOperator } from '../operators/linear-operator.js';
import { mustBeCount, mustBeSquare, mustBeSymmetric } from './checks.js';
import { deflatedSamples, type Sampling, samples } from './hutchinson.js';
import { type ProbingOptions, planProbing, probe } from './probing.js';
import { evaluate, quadrature } from './quadrature.js';
import { type Estimate, estimate } from './statistics.js';
import { xtrace } from './xtrace.js';

/**
 * - `hutchinson`: mean of zᵀAz. Best for flat spectra; error falls as 1/√products (Hutchinson 1990).
 * - `hutch++`: the largest part of the range exactly, the rest as above; error falls as 1/products for positive
 *   semidefinite A (Meyer, Musco, Musco & Woodruff 2021).
 * - `xtrace`: the same idea with every vector used for both parts (Epperly, Tropp & Webber 2024). Best where
 *   eigenvalues decay; its error estimate is optimistic when only a few vectors are taken.
 */
export type TraceMethod = 'hutchinson' | 'hutch++' | 'xtrace';

/** Options of `estimateTrace`. */
export interface EstimateTraceOptions extends Sampling {
  /** Default 'hutchinson'. */
  readonly method?: TraceMethod | undefined;
  /** Vectors to multiply: at least 1, 6 for hutch++, 4 for xtrace. Default 100. */
  readonly products?: number | undefined;
}

export interface TraceResult extends Estimate {
  readonly method: TraceMethod | 'slq';
  /** vectors multiplied by A, at most as many as asked for */
  readonly products: number;
  readonly seconds: number;
}

const leastProducts: Record<TraceMethod, number> = { hutchinson: 1, 'hutch++': 6, xtrace: 4 };

/** tr A, A square. Throws InputError, ComputationError when a product is not finite, InterruptedError. */
export async function estimateTrace(
  operator: LinearOperator,
  options: EstimateTraceOptions = {},
): Promise<TraceResult> {
  const { method = 'hutchinson', products = 100 } = options;
  mustBeSquare(operator, 'the trace');
  const least = leastProducts[method] as number | undefined;
  if (least === undefined) throw new InputError(`method must be hutchinson, hutch++ or xtrace, not ${String(method)}`);
  mustBeCount(products, `products of ${method}`, least);
  const started = performance.now();
  const result = await methods[method](operator, products, options);
  return { ...result, method, seconds: (performance.now() - started) / 1000 };
}

type Method = (
  operator: LinearOperator,
  products: number,
  options: Sampling,
) => Promise<Estimate & { products: number }>;

const methods: Record<TraceMethod, Method> = {
  hutchinson: async (operator, products, options) => {
    return { ...estimate(await samples(operator, products, options)), products };
  },
  'hutch++': async (operator, products, options) => {
    const third = Math.floor(products / 3);
    const part = await deflatedSamples(operator, third, products - 2 * third, options);
    const rest = estimate(part.samples);
    return { estimate: part.exact + rest.estimate, standardError: rest.standardError, products: part.products };
  },
  xtrace,
};

/** Names of functions of eigenvalues; 'inverse' is 1/x, the others are what they say. */
export type MatrixFunction = 'identity' | 'square' | 'abs' | 'sqrt' | 'log' | 'exp' | 'inverse';
/** Functions of eigenvalues by name, for the command line. */
export const matrixFunctions: Readonly<Record<MatrixFunction, (eigenvalue: number) => number>> = {
  identity: (x) => x,
  square: (x) => x * x,
  abs: Math.abs,
  sqrt: Math.sqrt,
  log: Math.log,
  exp: Math.exp,
  inverse: (x) => 1 / x,
};

/** Options of `estimateFunctionTrace`. */
export interface EstimateFunctionTraceOptions extends ProbingOptions {
  /** f, by name or as a function of one eigenvalue */
  readonly function: MatrixFunction | ((eigenvalue: number) => number);
}

/**
 * tr f(A) for symmetric A by stochastic Lanczos quadrature: mean over probes of n Σ weights f(nodes). The
 * standard error is that of the probes; the quadrature's own error shows when `steps` changes. Throws
 * ComputationError where f is not finite, as log is at an eigenvalue ≤ 0.
 */
export async function estimateFunctionTrace(
  operator: LinearOperator,
  options: EstimateFunctionTraceOptions,
): Promise<TraceResult> {
  mustBeSymmetric(operator, 'the trace of a function');
  const { function: chosen } = options;
  const name = typeof chosen === 'string' ? chosen : 'the function';
  const f =
    typeof chosen === 'string' ? (matrixFunctions[chosen] as ((eigenvalue: number) => number) | undefined) : chosen;
  if (f === undefined)
    throw new InputError(`function must be one of ${Object.keys(matrixFunctions).join(', ')}, not ${name}`);
  const checked = (x: number): number => {
    const y = f(x);
    if (!Number.isFinite(y)) {
      throw new ComputationError(
        `${name} of the eigenvalue estimate ${x} is ${y}: shift the operator, or take another function`,
      );
    }
    return y;
  };
  const started = performance.now();
  const plan = planProbing(operator, options, 0);
  const values: number[] = [];
  await probe(operator, plan, options, (run) => {
    for (const t of run.tridiagonals) values.push(operator.rows * evaluate(quadrature(t), checked));
  });
  return {
    ...estimate(values),
    method: 'slq',
    products: plan.probes * plan.steps,
    seconds: (performance.now() - started) / 1000,
  };
}
