/** One axis of a resize: which elements each new one is made of, and with what weights. */
import { InputError } from '../../base/errors.js';
import { quoted } from '../../base/quote.js';
import { checkTable } from '../values.js';

export interface AxisResize {
  /** extents before and after */
  readonly from: number;
  readonly to: number;
  /** as given, or to / from */
  readonly scale: number;
  /** the part that tf_crop_and_resize reads, as fractions of the axis */
  readonly crop: readonly [start: number, end: number];
}
export interface ResizeOptions {
  readonly mode: string;
  readonly coordinates: string;
  readonly nearest: string;
  readonly cubicA: number;
  readonly excludeOutside: boolean;
  readonly antialias: boolean;
}
/** index[t][i] and weight[t][i]: new element i is Σₜ weight · x[index] */
export interface Taps {
  readonly index: readonly Int32Array[];
  readonly weight: readonly Float64Array[];
  /** new elements that lie outside the crop */
  readonly outside: readonly boolean[];
}

/** where new element i lies on the old axis */
function coordinate(i: number, { from, to, scale, crop: [start, end] }: AxisResize, mode: string): number {
  switch (mode) {
    case 'half_pixel':
      return (i + 0.5) / scale - 0.5;
    case 'half_pixel_symmetric':
      return (from / 2) * (1 - to / (scale * from)) + (i + 0.5) / scale - 0.5;
    case 'pytorch_half_pixel':
      return to > 1 ? (i + 0.5) / scale - 0.5 : 0;
    case 'tf_half_pixel_for_nn':
      return (i + 0.5) / scale;
    case 'align_corners':
      return to > 1 ? (i * (from - 1)) / (to - 1) : 0;
    case 'asymmetric':
      return i / scale;
    case 'tf_crop_and_resize':
      return to > 1
        ? start * (from - 1) + (i * (end - start) * (from - 1)) / (to - 1)
        : 0.5 * (start + end) * (from - 1);
    default:
      throw new InputError(`coordinate transformation ${quoted(mode)} is unknown`);
  }
}
function rounded(x: number, mode: string): number {
  switch (mode) {
    case 'round_prefer_floor':
      return Math.ceil(x - 0.5);
    case 'round_prefer_ceil':
      return Math.floor(x + 0.5);
    case 'floor':
      return Math.floor(x);
    case 'ceil':
      return Math.ceil(x);
    default:
      throw new InputError(`nearest mode ${quoted(mode)} is unknown`);
  }
}
const linear = (d: number): number => Math.max(0, 1 - Math.abs(d));
/** Keys' cubic convolution */
function cubic(d: number, a: number): number {
  const x = Math.abs(d);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/** how far the kernel reaches on either side; shrinking with antialias widens it */
function reachOf({ scale }: AxisResize, o: ResizeOptions): { reach: number; shrink: number } {
  const shrink = o.antialias ? Math.min(1, scale) : 1;
  return { reach: Math.ceil((o.mode === 'linear' ? 1 : 2) / shrink), shrink };
}
const tapsOf = (axis: AxisResize, o: ResizeOptions): number => (o.mode === 'nearest' ? 1 : 2 * reachOf(axis, o).reach);

/** positions and weights around x, before the edges are seen to */
function neighbours(x: number, axis: AxisResize, o: ResizeOptions): { first: number; weights: number[] } {
  if (o.mode === 'nearest') return { first: rounded(x, o.nearest), weights: [1] };
  const kernel =
    o.mode === 'linear' ? linear : o.mode === 'cubic' ? (d: number): number => cubic(d, o.cubicA) : undefined;
  if (!kernel) throw new InputError(`mode ${quoted(o.mode)} is unknown`);
  const { reach, shrink } = reachOf(axis, o);
  const first = Math.floor(x) - reach + 1;
  const weights = Array.from({ length: 2 * reach }, (_, t) => kernel((first + t - x) * shrink));
  if (!o.antialias) return { first, weights };
  const sum = weights.reduce((p, q) => p + q, 0);
  return { first, weights: weights.map((w) => w / sum) };
}

export function resampling(axis: AxisResize, o: ResizeOptions): Taps {
  const { from, to } = axis;
  if (from < 1) throw new InputError(`an axis of ${from} cannot be resized to ${to}`);
  const count = to > 0 ? tapsOf(axis, o) : 0;
  checkTable(to * count, 'the taps of an axis');
  const index = Array.from({ length: count }, () => new Int32Array(to));
  const weight = Array.from({ length: count }, () => new Float64Array(to));
  const outside = new Array<boolean>(to);
  for (let i = 0; i < to; i++) {
    const x = coordinate(i, axis, o.coordinates);
    const { first, weights } = neighbours(x, axis, o);
    const inside = (t: number): boolean => first + t >= 0 && first + t < from;
    const kept = o.excludeOutside ? weights.map((w, t) => (inside(t) ? w : 0)) : weights;
    const sum = o.excludeOutside ? kept.reduce((p, q) => p + q, 0) : 1;
    for (let t = 0; t < count; t++) {
      (index[t] as Int32Array)[i] = Math.min(from - 1, Math.max(0, first + t));
      (weight[t] as Float64Array)[i] = (kept[t] as number) / sum;
    }
    outside[i] = o.coordinates === 'tf_crop_and_resize' && (x < 0 || x > from - 1);
  }
  return { index, weight, outside };
}
