/**
 * Quantisation of a model's weights, layer by layer, against what the layers read: for each layer in the file's order the
 * moments of its inputs are taken with all layers before it quantised already, so that it makes up for their errors, too.
 * Costs a forward pass over the calibration data for each layer, besides what the method costs.
 */
import { checkInterrupted, InputError } from '../base/errors.js';
import type { NdArray } from '../base/ndarray.js';
import type { Device } from '../device/device.js';
import { openDevice } from '../device/open.js';
import type { MeanLoss } from '../model/mean-loss.js';
import { parameterArrays, withParameters } from '../model/with-parameters.js';
import type { CurvatureOptions } from '../operators/create.js';
import { type Evaluation, evaluate } from '../operators/evaluation.js';
import { obq } from '../pruning/layerwise/exact-obs.js';
import { codes, type GridOptions, gridRange } from '../pruning/layerwise/grid.js';
import { type Layer, layerHessian, withoutDead } from '../pruning/layerwise/layer.js';
import { gptq, type QuantizedLayer, rtn } from '../pruning/layerwise/sweep.js';
import { openLayerTaps } from '../taps/index.js';
import { type QuantizedTensor, quantizedTensors } from './layers.js';

/** Rounding to nearest, greedy by the inverse Hessian, and column by column. */
export const quantizationMethods = ['rtn', 'obq', 'gptq'] as const;
/** One of `quantizationMethods`. */
export type QuantizationMethod = (typeof quantizationMethods)[number];

/** How to quantise, and which parameters. */
export interface QuantizeOptions extends Omit<CurvatureOptions, 'block' | 'fisherSamples'>, GridOptions {
  readonly method: QuantizationMethod;
  /** gptq: columns by falling diag H */
  readonly actOrder?: boolean | undefined;
  /** of each layer's H, as a multiple of its mean diagonal. Default 0.01 for gptq, and 1e-6 for obq */
  readonly damping?: number | undefined;
  /** what `before` and `after` are measured on. Default: the calibration data */
  readonly test?: MeanLoss | undefined;
  readonly signal?: AbortSignal | undefined;
  /** before each layer: its name, how many are done, of how many */
  readonly onProgress?: ((layer: string, done: number, total: number) => void) | undefined;
}

/** A tensor in few bits: W[row, column] = scale·(code − zero) is element indices[row·columns + column]. */
export interface QuantizedWeights {
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
  readonly indices: Int32Array;
  readonly codes: Int32Array;
  readonly symmetric: boolean;
  /** columns of a group, and groups of a row; scales and zeros are rows × groups */
  readonly group: number;
  readonly groups: number;
  readonly scales: Float64Array;
  readonly zeros: Float64Array;
}
/** What became of a layer. */
export interface QuantizedLayerResult {
  readonly name: string;
  readonly shape: readonly number[];
  readonly bits: number;
  /** (1/n)‖(Ŵ − W)Aᵀ‖² with the damping, of the layer on its own */
  readonly error: number;
  readonly seconds: number;
}
/** The weights in few bits, and what they cost. */
export interface QuantizeResult {
  readonly method: QuantizationMethod;
  readonly before: Evaluation;
  readonly after: Evaluation;
  readonly layers: readonly QuantizedLayerResult[];
  /** what `writeQuantizedOnnx` takes */
  readonly weights: readonly QuantizedWeights[];
  /** all parameters by name, quantised ones at their new values */
  readonly values: ReadonlyMap<string, NdArray>;
  readonly seconds: number;
}

/** Throws InputError for options out of range, layers that are no one matrix and a singular Hessian. */
export async function quantize(f: MeanLoss, options: QuantizeOptions): Promise<QuantizeResult> {
  const { method, device, threads, dtype, memory, test, signal } = options;
  if (!quantizationMethods.includes(method))
    throw new InputError(`the method must be ${quantizationMethods.join(', ')}, not ${String(method)}`);
  if (options.actOrder === true && method !== 'gptq')
    throw new InputError(`act-order is a choice of gptq, not of ${method}`);
  gridRange(options);
  const execution = { device, threads, dtype, memory };
  const started = performance.now();
  const tensors = quantizedTensors(f, options);
  const before = await evaluate(test ?? f, { ...execution, signal });
  const arrays = parameterArrays(f.model);
  const layers: QuantizedLayerResult[] = [];
  const weights: QuantizedWeights[] = [];
  // layers are small and many of their steps serial: the CPU's, where the model runs elsewhere
  const shared = device instanceof Object && device.kind === 'cpu' ? device : undefined;
  const own = shared ?? openDevice({ device: 'cpu', ...(threads === undefined ? {} : { threads }) });
  try {
    for (const [i, tensor] of tensors.entries()) {
      checkInterrupted(signal);
      options.onProgress?.(tensor.name, i, tensors.length);
      const from = performance.now();
      const array = arrays.get(tensor.name) as NdArray;
      const now = { ...f, model: withParameters(f.model, arrays) };
      const { found, error } = await quantizeTensor(
        now,
        tensor,
        Float64Array.from(array.data as ArrayLike<number>),
        own,
        options,
      );
      weights.push(found);
      arrays.set(tensor.name, { dtype: 'float64', shape: array.shape, data: dequantized(found) });
      layers.push({
        name: tensor.name,
        shape: array.shape,
        bits: options.bits,
        error,
        seconds: (performance.now() - from) / 1000,
      });
    }
  } finally {
    if (!shared) own.dispose();
  }
  const model = withParameters(f.model, arrays);
  const after = await evaluate(test ? { ...test, model } : { ...f, model }, { ...execution, signal });
  return { method, before, after, layers, weights, values: arrays, seconds: (performance.now() - started) / 1000 };
}

/** The tensor's elements, in its own order. */
export function dequantized({
  rows,
  columns,
  indices,
  codes: q,
  group,
  groups,
  scales,
  zeros,
}: QuantizedWeights): Float64Array {
  const out = new Float64Array(rows * columns);
  for (let at = 0; at < out.length; at++) {
    const g = Math.floor(at / columns) * groups + Math.floor((at % columns) / group);
    out[indices[at] as number] = (scales[g] as number) * ((q[at] as number) - (zeros[g] as number));
  }
  return out;
}

async function quantizeTensor(
  f: MeanLoss,
  tensor: QuantizedTensor,
  values: Float64Array,
  device: Device,
  options: QuantizeOptions,
): Promise<{ found: QuantizedWeights; error: number }> {
  const { name, tap, rows, columns, indices } = tensor;
  const { method, signal, threads, memory } = options;
  const { moments, n } = await inputMoments(f, name, { device: options.device, threads, memory }, signal);
  const size = columns * columns;
  const parts: QuantizedLayer[] = [];
  for (let g = 0; g < tap.groups; g++) {
    const moment = moments.subarray(g * size, (g + 1) * size);
    const own = indices.subarray(g * tap.out * columns, (g + 1) * tap.out * columns);
    const layer: Layer = {
      device,
      rows: tap.out,
      columns,
      weights: withoutDead(
        Float64Array.from(own, (at) => values[at] as number),
        moment,
      ),
      hessian: layerHessian(moment, n, options.damping ?? (method === 'gptq' ? 0.01 : 1e-6)),
      signal,
    };
    parts.push(
      await (method === 'gptq' ? gptq(layer, options) : method === 'obq' ? obq(layer, options) : rtn(layer, options)),
    );
  }
  const [first] = parts as [QuantizedLayer, ...QuantizedLayer[]];
  const { symmetric, group, groups } = first.grid;
  const joined = (of: (p: QuantizedLayer) => ArrayLike<number>): number[] => parts.flatMap((p) => Array.from(of(p)));
  return {
    found: {
      ...{ name, rows, columns, indices, symmetric, group, groups },
      codes: Int32Array.from(joined((p) => codes(p.weights, columns, p.grid))),
      scales: Float64Array.from(joined((p) => p.grid.scales)),
      zeros: Float64Array.from(joined((p) => p.grid.zeros)),
    },
    error: parts.reduce((sum, p) => sum + p.losses.reduce((a, b) => a + b, 0), 0),
  };
}

/**
 * Σ A Aᵀ of each group over n rows, of the one tap of a parameter. Of inputs in float64, so that with fewer rows than inputs
 * it stays semidefinite and the least damping makes it regular.
 */
async function inputMoments(
  f: MeanLoss,
  name: string,
  execution: Pick<CurvatureOptions, 'device' | 'threads' | 'memory'>,
  signal: AbortSignal | undefined,
): Promise<{ moments: Float64Array; n: number }> {
  await using taps = await openLayerTaps(f, { ...execution, dtype: 'float64', parameters: [name] });
  const [moment] = await taps.moments({ taps: taps.taps, cotangents: false, signal });
  if (!moment?.input) throw new InputError(`'${name}' has no inputs`);
  try {
    return { moments: await moment.input.readFloat64(), n: moment.rows };
  } finally {
    moment.input.dispose();
  }
}
