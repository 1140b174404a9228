/** Places and labels of axis ticks. */
import { powerOfTen } from './numbers.js';

export interface Tick {
  readonly value: number;
  /** empty for ticks between labels */
  readonly label: string;
}

/** Steps of 1, 2 or 5 times a power of ten, about `count` of them. */
export function linearTicks(low: number, high: number, count: number): Tick[] {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5].find((m) => m * power >= rough) ?? 10) * power;
  const exponent = Math.floor(Math.log10(step));
  const scientific = exponent < -4 || Math.max(Math.abs(low), Math.abs(high)) >= 1e6;
  const common = scientific ? Math.floor(Math.log10(Math.max(Math.abs(low), Math.abs(high)))) : 0;
  const decimals = Math.max(0, common - exponent);
  const label = (value: number): string => {
    if (value === 0) return '0';
    const digits = (value / 10 ** common).toFixed(decimals).replace('-', '−');
    return scientific ? `${digits}·${powerOfTen(common)}` : digits;
  };
  const ticks: Tick[] = [];
  // Multiples of the step, so that 0 is exactly 0.
  for (let i = Math.ceil(low / step); i * step <= high * (1 + 1e-12) + step * 1e-9; i += 1) {
    ticks.push({ value: i * step, label: label(i * step) });
  }
  return ticks;
}

/** Whole powers of ten between two positive numbers; labelled so that at most `count` labels are there. */
export function logTicks(low: number, high: number, count: number): Tick[] {
  const first = Math.ceil(Math.log10(low) - 1e-9);
  const last = Math.floor(Math.log10(high) + 1e-9);
  const every = Math.max(1, Math.ceil((last - first + 1) / count));
  const ticks: Tick[] = [];
  for (let e = first; e <= last; e += 1) {
    ticks.push({ value: 10 ** e, label: e % every === 0 ? decade(e) : '' });
  }
  return ticks;
}

/**
 * 0 and ± powers of ten from about the knee on, with twice and five times those between; `fits` says whether a
 * label has room at a value. Asked for the most important first: powers from outside in, then the others.
 */
export function symlogTicks(low: number, high: number, knee: number, fits: (value: number) => boolean): Tick[] {
  const ticks: Tick[] = [];
  const top = Math.floor(Math.log10(Math.max(Math.abs(low), Math.abs(high))));
  const bottom = Math.floor(Math.log10(knee));
  const add = (value: number, label: string): void => {
    if (value >= low && value <= high) ticks.push({ value, label: fits(value) ? label : '' });
  };
  add(0, '0');
  for (const multiple of [1, 2, 5]) {
    for (let e = top; e >= bottom; e -= 1) {
      for (const sign of [1, -1]) add(sign * multiple * 10 ** e, (sign < 0 ? '−' : '') + decade(e, multiple));
    }
  }
  return ticks.sort((a, b) => a.value - b.value);
}

/** multiple · 10^e, written out where that is short. */
function decade(e: number, multiple = 1): string {
  if (e >= -3 && e <= 4)
    return (multiple * 10 ** e).toLocaleString('en-US', { maximumFractionDigits: 6, useGrouping: false });
  return multiple === 1 ? powerOfTen(e) : `${multiple}·${powerOfTen(e)}`;
}
