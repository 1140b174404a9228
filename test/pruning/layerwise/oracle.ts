/** Layers by dense linear algebra on the host, from definitions. */
import { philoxUniform } from '../../../src/base/philox.js';
import { openDevice } from '../../../src/device/open.js';
import { type Layer, layerHessian } from '../../../src/pruning/layerwise/layer.js';

export const device = openDevice({ device: 'cpu', threads: 2 });

/** Uniform in −1 … 1. */
export function random(count: number, seed: number): Float64Array {
  return philoxUniform(seed, 7, 0, count).map((u) => 2 * u - 1);
}

/** A layer whose inputs are correlated: samples × columns of mixed uniform numbers. */
export function layerOf(rows: number, columns: number, seed: number, damping = 0.01, samples = 3 * columns): Layer {
  const x = random(samples * columns, seed);
  const moment = new Float64Array(columns * columns);
  for (let s = 0; s < samples; s++) {
    const a = Float64Array.from({ length: columns }, (_, j) => {
      const own = x[s * columns + j] as number;
      return own + 0.7 * (x[s * columns + ((j + 1) % columns)] as number) + 0.3 * (x[s * columns] as number);
    });
    for (let i = 0; i < columns; i++)
      for (let j = 0; j < columns; j++)
        moment[i * columns + j] = (moment[i * columns + j] as number) + (a[i] as number) * (a[j] as number);
  }
  return {
    device,
    rows,
    columns,
    weights: random(rows * columns, seed + 100),
    hessian: layerHessian(moment, samples, damping),
  };
}

/** a⁻¹ b by Gauss–Jordan with pivoting; a is n × n. */
export function solve(a: readonly (readonly number[])[], b: readonly number[]): number[] {
  const n = b.length;
  const m = a.map((row, i) => [...row, b[i] as number]);
  for (let k = 0; k < n; k++) {
    let p = k;
    for (let i = k; i < n; i++) if (Math.abs(m[i]![k]!) > Math.abs(m[p]![k]!)) p = i;
    [m[k], m[p]] = [m[p]!, m[k]!];
    for (let i = 0; i < n; i++) {
      if (i === k) continue;
      const f = m[i]![k]! / m[k]![k]!;
      for (let j = k; j <= n; j++) m[i]![j]! -= f * m[k]![j]!;
    }
  }
  return m.map((row, i) => row[n]! / row[i]!);
}

/** The weights `fixed` (by column) as given, the others where ½ δw H δwᵀ is least: stationary in all of them. */
export function best(h: Float64Array, n: number, w: ArrayLike<number>, fixed: ReadonlyMap<number, number>): number[] {
  const free = Array.from({ length: n }, (_, j) => j).filter((j) => !fixed.has(j));
  const delta = Array.from({ length: n }, (_, j) => (fixed.has(j) ? (fixed.get(j) as number) - w[j]! : 0));
  const rhs = free.map((i) => -[...fixed.keys()].reduce((sum, j) => sum + h[i * n + j]! * delta[j]!, 0));
  const found = solve(
    free.map((i) => free.map((j) => h[i * n + j]!)),
    rhs,
  );
  free.forEach((j, k) => {
    delta[j] = found[k] as number;
  });
  return delta.map((d, j) => (fixed.has(j) ? (fixed.get(j) as number) : w[j]! + d));
}

/** ½ δw H δwᵀ of a row */
export function cost(h: Float64Array, n: number, w: ArrayLike<number>, now: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) sum += 0.5 * (now[i]! - w[i]!) * h[i * n + j]! * (now[j]! - w[j]!);
  return sum;
}

/** Greedy removal by trying every weight that is left and solving for the others: columns in order. */
export function exhaustive(
  h: Float64Array,
  n: number,
  w: ArrayLike<number>,
  steps: number,
  allowed: (gone: ReadonlyMap<number, number>, j: number) => boolean = () => true,
): { order: number[]; weights: number[]; costs: number[] } {
  const gone = new Map<number, number>();
  const costs: number[] = [];
  let before = 0;
  for (let k = 0; k < steps; k++) {
    const tried = Array.from({ length: n }, (_, j) => j)
      .filter((j) => !gone.has(j) && allowed(gone, j))
      .map((j) => ({ j, cost: cost(h, n, w, best(h, n, w, new Map([...gone, [j, 0]]))) }));
    const least = tried.reduce((a, b) => (b.cost < a.cost ? b : a));
    gone.set(least.j, 0);
    costs.push(least.cost - before);
    before = least.cost;
  }
  return { order: [...gone.keys()], weights: best(h, n, w, gone), costs };
}

export const row = (values: ArrayLike<number>, columns: number, r: number): number[] =>
  Array.from({ length: columns }, (_, j) => values[r * columns + j] as number);
export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let most = a.length === b.length ? 0 : Number.NaN;
  for (let i = 0; i < a.length; i++) {
    const d = Math.abs(a[i]! - b[i]!);
    if (!(d <= most)) most = d;
  }
  return most;
}
