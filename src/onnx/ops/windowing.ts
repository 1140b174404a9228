/** The geometry of sliding windows as ONNX writes it: pads, auto_pad, strides, dilations, ceil_mode. */
import { InputError } from '../../base/errors.js';
import { quoted } from '../../base/quote.js';
import type { AttributeView } from '../op.js';

export interface Windowing {
  readonly window: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly padLow: readonly number[];
  readonly padHigh: readonly number[];
}

/** an attribute of one number per spatial axis */
function perAxis(op: AttributeView, name: string, rank: number, otherwise: number, least: number): readonly number[] {
  const values = op.ints(name) ?? new Array<number>(rank).fill(otherwise);
  if (values.length !== rank || values.some((v) => v < least))
    throw new InputError(`attribute ${quoted(name)} [${values}] does not fit ${rank} spatial axes`);
  return values;
}

export function stridesOf(op: AttributeView, rank: number): readonly number[] {
  return perAxis(op, 'strides', rank, 1, 1);
}
export function dilationsOf(op: AttributeView, rank: number): readonly number[] {
  return perAxis(op, 'dilations', rank, 1, 1);
}
export function kernelOf(op: AttributeView, rank: number): readonly number[] {
  if (!op.hasAttribute('kernel_shape')) throw new InputError("attribute 'kernel_shape' is missing");
  return perAxis(op, 'kernel_shape', rank, 1, 1);
}
/** [low, high] per axis, as written */
export function padsOf(op: AttributeView, rank: number): { low: readonly number[]; high: readonly number[] } {
  const pads = op.ints('pads') ?? new Array<number>(2 * rank).fill(0);
  if (pads.length !== 2 * rank || pads.some((p) => p < 0))
    throw new InputError(`attribute 'pads' [${pads}] does not fit ${rank} spatial axes`);
  return { low: pads.slice(0, rank), high: pads.slice(rank) };
}
/** how far a dilated window reaches */
export const reach = (window: number, dilation: number): number => (window - 1) * dilation + 1;

/** an odd total of padding puts the larger half where auto_pad says */
export function splitPadding(total: number, auto: string): [low: number, high: number] {
  const small = Math.floor(total / 2);
  return auto === 'SAME_LOWER' ? [total - small, small] : [small, total - small];
}
export function autoPad(op: AttributeView): string {
  const auto = op.string('auto_pad', 'NOTSET');
  if (!['NOTSET', 'SAME_UPPER', 'SAME_LOWER', 'VALID'].includes(auto))
    throw new InputError(`attribute 'auto_pad' has the unknown value ${quoted(auto)}`);
  return auto === '' ? 'NOTSET' : auto;
}

export function windowing(op: AttributeView, size: readonly number[], window: readonly number[]): Windowing {
  const rank = size.length,
    auto = autoPad(op);
  const strides = stridesOf(op, rank),
    dilations = dilationsOf(op, rank);
  const common = { window, strides, dilations };
  if (auto === 'NOTSET') {
    const { low, high } = padsOf(op, rank);
    return { ...common, padLow: low, padHigh: high };
  }
  const zeros = size.map(() => 0);
  if (auto === 'VALID') return { ...common, padLow: zeros, padHigh: zeros };
  const pads = size.map((s, i) => {
    const stride = strides[i] as number;
    const total = Math.max(
      0,
      (Math.ceil(s / stride) - 1) * stride + reach(window[i] as number, dilations[i] as number) - s,
    );
    return splitPadding(total, auto);
  });
  return { ...common, padLow: pads.map(([low]) => low), padHigh: pads.map(([, high]) => high) };
}

/** the number of positions along each axis */
export function positionsOf(size: readonly number[], w: Windowing, ceil: boolean): number[] {
  return size.map((s, i) => {
    const stride = w.strides[i] as number,
      low = w.padLow[i] as number;
    const room = s + low + (w.padHigh[i] as number) - reach(w.window[i] as number, w.dilations[i] as number);
    if (room < 0) throw new InputError(`the window [${w.window}] exceeds the padded input [${size}]`);
    const count = (ceil ? Math.ceil(room / stride) : Math.floor(room / stride)) + 1;
    // a last window that would start in the padding behind the input is left out
    return ceil && (count - 1) * stride >= s + low ? count - 1 : count;
  });
}
