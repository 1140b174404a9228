/** From values to pixels: linear where that shows everything, else linear near 0 and logarithmic beyond a knee. */
import { linearTicks, logTicks, symlogTicks, type Tick } from './ticks.js';

export interface Axis {
  readonly kind: 'linear' | 'symlog' | 'log';
  readonly low: number;
  readonly high: number;
  /** where a symlog axis turns from linear to logarithmic */
  readonly knee: number;
  readonly ticks: readonly Tick[];
  /** pixel of a value */
  readonly at: (value: number) => number;
}

/** The part of the axis' length that a spectrum's bulk must at least have, or the axis is not linear. */
const readable = 1 / 12;
const labelWidth = 46;

export interface Range {
  readonly low: number;
  readonly high: number;
}

/**
 * For eigenvalues from `low` to `high` whose bulk (nearly all of them) lies in `bulk`, on pixels from … to. A
 * linear axis would show the bulk of a loss Hessian, thousands of times narrower than the outliers are far, as
 * a line at 0.
 */
export function eigenvalueAxis(all: Range, bulk: Range, from: number, to: number): Axis {
  const width = all.high - all.low;
  if (bulk.high - bulk.low >= readable * width) {
    const low = all.low - 0.02 * width;
    const high = all.high + 0.02 * width;
    const at = (x: number): number => from + ((x - low) / (high - low)) * (to - from);
    return { kind: 'linear', low, high, knee: 0, at, ticks: linearTicks(low, high, (to - from) / 110) };
  }
  const knee = Math.max(Math.max(Math.abs(bulk.low), Math.abs(bulk.high)) / 2, 1e-6 * width);
  const bend = (x: number): number => Math.asinh(x / knee);
  const margin = 0.025 * (bend(all.high) - bend(all.low));
  const [start, end] = [bend(all.low) - margin, bend(all.high) + margin];
  const at = (x: number): number => from + ((bend(x) - start) / (end - start)) * (to - from);
  const [low, high] = [knee * Math.sinh(start), knee * Math.sinh(end)];
  const taken: number[] = [];
  const fits = (value: number): boolean => {
    const pixel = at(value);
    if (taken.some((t) => Math.abs(t - pixel) < labelWidth)) return false;
    taken.push(pixel);
    return true;
  };
  return { kind: 'symlog', low, high, knee, at, ticks: symlogTicks(low, high, knee, fits) };
}

/** Logarithmic, for positive values; what is below (0 too) lands `below` pixels outside. */
export function logAxis(low: number, high: number, from: number, to: number, below: number): Axis {
  const [start, end] = [Math.log10(low), Math.log10(high)];
  const at = (y: number): number =>
    y < low ? from + Math.sign(from - to) * below : from + ((Math.log10(y) - start) / (end - start)) * (to - from);
  return { kind: 'log', low, high, knee: 0, at, ticks: logTicks(low, high, 8) };
}
