/** Curvature operators from a mean loss: what users call. */
import { freemem } from 'node:os';
import { InputError } from '../base/errors.js';
import { formatBytes, parseBytes } from '../base/format.js';
import { Device } from '../device/device.js';
import type { DeviceName } from '../device/open.js';
import { sharedDevice } from '../device/open.js';
import type { FloatDType } from '../graph/index.js';
import { Execution } from '../model/execution.js';
import type { MeanLoss } from '../model/mean-loss.js';
import type { ParameterChoice } from '../model/objective.js';
import { Objective } from '../model/objective.js';
import type { CurvatureName } from './curvature.js';
import { CurvatureOperator } from './curvature.js';
import { GradientEvaluator } from './gradient.js';

/** Which parameters, and how to compute; for every operator and evaluation of a loss. */
export interface CurvatureOptions extends ParameterChoice {
  /** storage and products; sums are float64 either way. Default float32 */
  readonly dtype?: FloatDType | undefined;
  /** a device that is open, or which to open. Default 'auto' */
  readonly device?: Device | DeviceName | undefined;
  /** of the CPU; default all cores */
  readonly threads?: number | undefined;
  /** bytes, or text such as '2GiB', for everything but vectors; default 70 % of what is free */
  readonly memory?: number | string | undefined;
  /** products at a time, where memory allows; absent: as many as gain from it */
  readonly block?: number | undefined;
  /** of drawn labels ('fisher') and of dropout in mode 'train'; default 0 */
  readonly seed?: number | undefined;
  /** labels drawn per position ('fisher'); default 1 */
  readonly fisherSamples?: number | undefined;
  /** stops the first pass over the data, with which everything begins, and what else is computed before there is a result */
  readonly signal?: AbortSignal | undefined;
}

/** Bytes to stay within: as given, or 70 % of what the machine has free now. */
export function memoryBudget(memory: number | string | undefined): number {
  const free = process.availableMemory?.() ?? freemem();
  const bytes = memory === undefined ? 0.7 * free : typeof memory === 'string' ? parseBytes(memory, 'memory') : memory;
  if (!(bytes > 0)) throw new InputError(`memory must be a positive number of bytes, not ${memory}`);
  if (bytes > free && memory !== undefined)
    throw new InputError(`memory ${formatBytes(bytes)} is more than the ${formatBytes(free)} that are free`);
  return bytes;
}

function deviceOf({ device, threads }: CurvatureOptions): Device {
  if (device instanceof Device) return device;
  return sharedDevice({ ...(device && { device }), ...(threads !== undefined && { threads }) });
}

/** The objective on its device: parameters and data uploaded as they are needed. */
export function execute(
  f: MeanLoss,
  options: CurvatureOptions,
  labels?: { draws: number; seed: number },
): Promise<Execution> {
  const budget = memoryBudget(options.memory);
  const { dtype = 'float32' } = options;
  if (dtype !== 'float32' && dtype !== 'float64')
    throw new InputError(`dtype must be float32 or float64, not ${String(dtype)}`);
  return Execution.create(new Objective(f, options), {
    device: deviceOf(options),
    dtype,
    labels,
    seed: options.seed,
    signal: options.signal,
    dataBudget: 0.2 * budget,
  });
}

/** Any of the curvature matrices by name. */
export async function curvature(
  name: CurvatureName,
  f: MeanLoss,
  options: CurvatureOptions = {},
): Promise<CurvatureOperator> {
  const { fisherSamples = 1, seed = 0, block } = options;
  for (const [what, value, least] of [
    ['fisherSamples', fisherSamples, 1],
    ['seed', seed, 0],
    ['block', block ?? 1, 1],
  ] as const) {
    if (!Number.isSafeInteger(value) || value < least)
      throw new InputError(`${what} must be a whole number of at least ${least}, not ${value}`);
  }
  const memory = memoryBudget(options.memory);
  const execution = await execute(
    f,
    { ...options, memory },
    name === 'fisher' ? { draws: fisherSamples, seed } : undefined,
  );
  try {
    if (name === 'empirical-fisher') await execution.refusePerSample('the empirical Fisher matrix');
    return await CurvatureOperator.create(name, execution, { memory, block });
  } catch (error) {
    execution.dispose();
    throw error;
  }
}

/** H = ∇²f. */
export const hessian = (f: MeanLoss, options?: CurvatureOptions): Promise<CurvatureOperator> =>
  curvature('hessian', f, options);
/** G = JᵀSJ with S the Hessian of the loss at the model output. */
export const gaussNewton = (f: MeanLoss, options?: CurvatureOptions): Promise<CurvatureOperator> =>
  curvature('gauss-newton', f, options);
/** F with labels drawn from the model; its expectation is the Gauss–Newton matrix. */
export const fisher = (f: MeanLoss, options?: CurvatureOptions): Promise<CurvatureOperator> =>
  curvature('fisher', f, options);
/** F by the exact root of S (type 2). */
export const exactFisher = (f: MeanLoss, options?: CurvatureOptions): Promise<CurvatureOperator> =>
  curvature('fisher-exact', f, options);
/** (1/N) Σ ∇ℓₙ∇ℓₙᵀ at the true labels. */
export const empiricalFisher = (f: MeanLoss, options?: CurvatureOptions): Promise<CurvatureOperator> =>
  curvature('empirical-fisher', f, options);

/** The mean loss and its gradient, in float64 numbers whatever the dtype; by parameter name and as one vector. */
export async function lossAndGradient(
  f: MeanLoss,
  options: CurvatureOptions = {},
): Promise<{ loss: number; gradient: Float64Array; norm: number }> {
  const execution = await execute(f, options);
  try {
    const result = await new GradientEvaluator(execution).evaluate({ signal: options.signal });
    const gradient = await result.gradient.readFloat64();
    result.gradient.dispose();
    return { loss: result.loss, gradient, norm: result.norm };
  } finally {
    execution.dispose();
  }
}
