/** Values of traced functions, and finite differences of them. */

import { philoxNormal } from '../../src/base/philox.js';
import { evaluate } from '../../src/graph/evaluate.js';
import { Graph, type Node, type Shape, sizeOf } from '../../src/graph/index.js';

export interface Leaf {
  readonly shape: Shape;
  readonly values?: readonly number[];
  readonly dtype?: 'float64' | 'int32';
}
/** f over leaves with the given (or random normal) values, in float64 */
export function compute(leaves: readonly Leaf[], f: (...nodes: Node[]) => Node | readonly Node[]): number[][] {
  const graph = new Graph();
  const nodes = leaves.map(({ shape, dtype = 'float64' }, i) => graph.input(`x${i}`, shape, dtype) as Node);
  const made = f(...nodes);
  const outputs = Array.isArray(made) ? (made as readonly Node[]) : [made as Node];
  const given = new Map(nodes.map((n, i) => [n, leaves[i]?.values ?? random(sizeOf(n.shape), i)]));
  return evaluate(outputs, given).map((v) => Array.from(v));
}
export const random = (count: number, stream = 0): number[] => Array.from(philoxNormal(11, stream, 0, count));

/** the difference relative to the largest expected entry; NaN where anything is NaN or lengths differ */
export function error(got: ArrayLike<number>, want: ArrayLike<number>): number {
  if (got.length !== want.length) return Number.NaN;
  let most = 0,
    scale = 0;
  for (let i = 0; i < want.length; i++) {
    const d = Math.abs((got[i] as number) - (want[i] as number));
    if (Number.isNaN(d)) return Number.NaN;
    most = Math.max(most, d);
    scale = Math.max(scale, Math.abs(want[i] as number));
  }
  return most / (scale || 1);
}

/** f's derivative along e_j for every j, by fourth-order central differences; error about h⁴ + eps/h ≈ 1e-11 relative */
export function differences(f: (x: Float64Array) => ArrayLike<number>, x: ArrayLike<number>, h = 2e-3): Float64Array[] {
  const moved = (j: number, by: number): ArrayLike<number> =>
    f(Float64Array.from({ length: x.length }, (_, i) => (x[i] as number) + (i === j ? by : 0)));
  return Array.from({ length: x.length }, (_, j) => {
    const [a, b, c, d] = [moved(j, h), moved(j, -h), moved(j, 2 * h), moved(j, -2 * h)];
    return Float64Array.from(
      { length: a.length },
      (_, i) => (8 * ((a[i] as number) - (b[i] as number)) - ((c[i] as number) - (d[i] as number))) / (12 * h),
    );
  });
}
