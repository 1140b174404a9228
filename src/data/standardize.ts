/** The arithmetic between a file and a model's input: (x · scale − mean) / std. */
import { InputError } from '../base/errors.js';
import { quoted } from '../base/quote.js';

/** Inputs as (x · scale − mean) / std, in float32; targets are left alone. */
export interface StandardizeOptions {
  /** A number, or a fraction as text: "1/255". */
  readonly scale?: number | string;
  /** One number, or one per channel (axis 1 of the array, the first axis of a sample). */
  readonly mean?: number | readonly number[];
  readonly std?: number | readonly number[];
}

export interface Standardization {
  readonly scale: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** The options as numbers, or undefined if none is given. Throws InputError for what cannot be meant. */
export function parseStandardization(options: StandardizeOptions): Standardization | undefined {
  const { scale = 1, mean = 0, std = 1 } = options;
  if (options.scale === undefined && options.mean === undefined && options.std === undefined) return undefined;
  const parsed = { scale: parseScale(scale), mean: toList(mean), std: toList(std) };
  if (!parsed.mean.every(Number.isFinite) || parsed.mean.length === 0)
    throw new InputError('mean must be a finite number, or one per channel');
  if (!parsed.std.every((value) => Number.isFinite(value) && value > 0) || parsed.std.length === 0) {
    throw new InputError('std must be a number above 0, or one per channel');
  }
  return parsed;
}

function toList(value: number | readonly number[]): readonly number[] {
  return typeof value === 'number' ? [value] : value;
}

function parseScale(scale: number | string): number {
  const [, above, below] = /^\s*([^/]+?)\s*(?:\/\s*([^/]+?)\s*)?$/.exec(String(scale)) ?? [];
  const value = Number(above ?? NaN) / Number(below ?? 1);
  if (!Number.isFinite(value) || value === 0)
    throw new InputError(`scale ${quoted(String(scale))} is not a number; write it like 0.5 or 1/255`);
  return value;
}

/** Refuses per-channel values that do not fit the samples of the array `what`. */
export function checkChannels(by: Standardization, sampleShape: readonly number[], what: string): void {
  for (const [name, values] of [
    ['mean', by.mean],
    ['std', by.std],
  ] as const) {
    if (values.length > 1 && values.length !== sampleShape[0]) {
      throw new InputError(
        `${name} has ${values.length} values, but samples of ${what} have the shape [${sampleShape.join(', ')}]; give one number, or one per extent of the first axis`,
      );
    }
  }
}

/** In place on whole samples; `sampleShape` gives the channels. Computed in float64, rounded once. */
export function standardize(
  data: Float32Array | Float64Array,
  sampleShape: readonly number[],
  by: Standardization,
): void {
  const perSample = sampleShape.reduce((product, extent) => product * extent, 1);
  const channels = Math.max(by.mean.length, by.std.length);
  const perChannel = perSample / channels;
  for (let start = 0; start < data.length; start += perChannel) {
    const channel = (start / perChannel) % channels;
    const mean = by.mean.length > 1 ? by.mean[channel]! : by.mean[0]!;
    const std = by.std.length > 1 ? by.std[channel]! : by.std[0]!;
    for (let i = start; i < start + perChannel; i++) data[i] = (data[i]! * by.scale - mean) / std;
  }
}
