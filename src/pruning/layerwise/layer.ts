/**
 * One layer on its own: W, rows × columns, reads inputs A of n rows, and what a change of W costs is
 *
 *   (1/n)‖(Ŵ − W)Aᵀ‖² = Σ over rows of ½ δw H δwᵀ,   H = 2AᵀA/n + damping·mean(diag)·I
 *
 * Rows are independent. Everything is float64. The computations run on a device (native/kernels/layerwise), whatever the
 * device of the model.
 */
import { InputError } from '../../base/errors.js';
import type { Block } from '../../device/block.js';
import type { Device } from '../../device/device.js';

/** Matrices are row-major. */
export interface Layer {
  readonly device: Device;
  readonly rows: number;
  readonly columns: number;
  /** rows × columns */
  readonly weights: Float64Array;
  /** columns × columns, as `layerHessian` makes it */
  readonly hessian: Float64Array;
  readonly signal?: AbortSignal | undefined;
}

export interface LayerResult {
  /** rows × columns */
  readonly weights: Float64Array;
  /** ½ δw H δwᵀ of each row */
  readonly losses: Float64Array;
}

/**
 * 2AᵀA/n with its damping, from Σ A Aᵀ over n rows (`LayerTaps.moments`). An input that is always 0 has the curvature 1
 * and is joined to no other: its weights have no effect, and `withoutDead` sets them to 0.
 */
export function layerHessian(moment: Float64Array, n: number, damping: number): Float64Array {
  const columns = Math.sqrt(moment.length);
  if (!(damping >= 0 && damping < Number.POSITIVE_INFINITY))
    throw new InputError(`the damping of a layer's Hessian must be a number of at least 0, not ${damping}`);
  const h = moment.map((x) => (2 * x) / n);
  let mean = 0;
  for (let j = 0; j < columns; j++) mean += (h[j * (columns + 1)] as number) / columns;
  for (let j = 0; j < columns; j++) {
    const at = j * (columns + 1);
    h[at] = h[at] === 0 ? 1 : (h[at] as number) + damping * mean;
  }
  return h;
}

/** Σ A Aᵀ has no diagonal entry of 0 but for inputs that are always 0. */
export function withoutDead(weights: Float64Array, moment: Float64Array): Float64Array {
  const columns = Math.sqrt(moment.length);
  return weights.map((w, at) => (moment[(at % columns) * (columns + 1)] === 0 ? 0 : w));
}

/** A matrix on the device. The caller disposes it. */
export function upload(device: Device, columns: number, values: Float64Array): Block {
  const block = device.block('float64', columns, values.length / columns);
  block.write(values);
  return block;
}

/** H⁻¹, or the upper triangular U with H⁻¹ = UᵀU. Singular: the next read rejects with InputError. */
export function inverted({ device, columns, hessian }: Layer, what: 'inverse' | 'factor'): Block {
  const block = upload(device, columns, hessian);
  device.guard(() => device.native.invert(columns, block.native, what === 'factor'));
  return block;
}
