import type { WindowAttributes } from '../node.js';
import { product } from './common.js';

/** One element of a window: the positions at which it lies inside, and which element of space it meets there. */
export interface Tap {
  readonly position: Int32Array;
  readonly source: Int32Array;
}

/** For every element q of the window, all p with p·stride + q·dilation − padLow inside space. */
export function taps(space: readonly number[], positions: readonly number[], a: WindowAttributes): Tap[] {
  const out: Tap[] = [];
  const count = product(positions);
  for (let q = 0; q < product(a.window); q++) {
    const position: number[] = [],
      source: number[] = [];
    for (let p = 0; p < count; p++) {
      const s = sourceOf(p, q, space, positions, a);
      if (s >= 0) {
        position.push(p);
        source.push(s);
      }
    }
    out.push({ position: Int32Array.from(position), source: Int32Array.from(source) });
  }
  return out;
}

/** flat index into space, or −1 outside */
function sourceOf(
  p: number,
  q: number,
  space: readonly number[],
  positions: readonly number[],
  a: WindowAttributes,
): number {
  let index = 0,
    step = 1;
  for (let d = space.length - 1; d >= 0; d--) {
    const at =
      (p % (positions[d] as number)) * (a.strides[d] as number) +
      (q % (a.window[d] as number)) * (a.dilations[d] as number) -
      (a.padLow[d] as number);
    if (at < 0 || at >= (space[d] as number)) return -1;
    index += at * step;
    step *= space[d] as number;
    p = Math.floor(p / (positions[d] as number));
    q = Math.floor(q / (a.window[d] as number));
  }
  return index;
}
