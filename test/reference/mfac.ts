/**
 * M-FAC's oracles: the paper's recursions as they are printed (Frantar, Kurtic and Alistarh 2021; algorithm notes §2.1
 * and §2.2), in plain float64 loops, and the dense inverse. F = λI + (1/m) Σ gᵢgᵢᵀ. O(dm²) and O(d³).
 */
import { inverse, Matrix } from 'ml-matrix';

export type Vector = Float64Array<ArrayBufferLike>;

const dot = (a: Vector, b: Vector): number => a.reduce((sum, x, i) => sum + x * (b[i] as number), 0);
const plus = (a: Vector, s: number, b: Vector): Vector => a.map((x, i) => x + s * (b[i] as number));

/** rows of length d of a flat array */
export const split = (values: Vector, d: number): Vector[] =>
  Array.from({ length: values.length / d }, (_, i) => values.slice(i * d, (i + 1) * d));

export function denseFisher(gradients: readonly Vector[], lambda: number, divisor = gradients.length): Matrix {
  const g = new Matrix(gradients.map((row) => Array.from(row)));
  const f = g
    .transpose()
    .mmul(g)
    .mul(1 / divisor);
  for (let j = 0; j < f.rows; j++) f.set(j, j, f.get(j, j) + lambda);
  return f;
}
export const denseInverse = (gradients: readonly Vector[], lambda: number, divisor?: number): Matrix =>
  inverse(denseFisher(gradients, lambda, divisor));

export interface StaticRecursion {
  readonly v: Vector[];
  readonly q: number[];
  product(x: Vector): Vector;
  element(a: number, b: number): number;
}

/** vᵢ = gᵢ/λ − Σ_{k<i} vₖ (vₖᵀgᵢ)/qₖ, qᵢ = m + gᵢᵀvᵢ */
export function staticRecursion(gradients: readonly Vector[], lambda: number): StaticRecursion {
  const v: Vector[] = [];
  const q: number[] = [];
  const product = (x: Vector): Vector =>
    v.reduce<Vector>(
      (y, vk, k) => plus(y, -dot(vk, x) / (q[k] as number), vk),
      x.map((e) => e / lambda),
    );
  for (const g of gradients) {
    const next = product(g);
    q.push(gradients.length + dot(g, next));
    v.push(next);
  }
  const element = (a: number, b: number): number =>
    v.reduce(
      (sum, vk, k) => sum - ((vk[a] as number) * (vk[b] as number)) / (q[k] as number),
      a === b ? 1 / lambda : 0,
    );
  return { v, q, product, element };
}

/** The dynamic algorithm: U from the pivot-free LU of mI + GGᵀ/λ, B by its recursion, the product by c's recursion. */
export function dynamicRecursion(
  gradients: readonly Vector[],
  lambda: number,
  round: (x: number) => number = (x) => x,
): { b: number[][]; q: number[]; product(x: Vector): Vector } {
  const m = gradients.length;
  const u = gradients.map((gi, i) =>
    gradients.map((gj, j) => round((i === j ? m : 0) + round(round(dot(gi, gj)) / lambda))),
  );
  for (let k = 0; k < m; k++)
    for (let i = k + 1; i < m; i++) {
      const f = round((u[i]?.[k] as number) / (u[k]?.[k] as number));
      for (let j = k; j < m; j++)
        (u[i] as number[])[j] = round((u[i]?.[j] as number) - round(f * (u[k]?.[j] as number)));
    }
  const q = u.map((row, i) => row[i] as number);
  const b: number[][] = [];
  for (let i = 0; i < m; i++) {
    const row = new Array<number>(m).fill(0);
    row[i] = round(1 / lambda);
    for (let k = 0; k < i; k++) {
      const f = round((u[k]?.[i] as number) / (q[k] as number));
      for (let j = 0; j <= k; j++) row[j] = round((row[j] as number) - round(f * (b[k]?.[j] as number)));
    }
    b.push(row);
  }
  const product = (x: Vector): Vector => {
    const c = gradients.map((g) => round(round(dot(g, x)) / lambda));
    for (let i = 1; i < m; i++) {
      const f = round((c[i - 1] as number) / (q[i - 1] as number));
      for (let j = i; j < m; j++) c[j] = round((c[j] as number) - round((u[i - 1]?.[j] as number) * f));
    }
    const weights = gradients.map((_, j) =>
      c.reduce((s, ci, i) => round(s + round(round(ci / (q[i] as number)) * (b[i]?.[j] as number))), 0),
    );
    return weights
      .reduce<Vector>(
        (y, w, j) => plus(y, -w, gradients[j] as Vector),
        x.map((e) => round(e / lambda)),
      )
      .map(round);
  };
  return { b, q, product };
}

/** ‖a − b‖/‖b‖, NaN where lengths differ */
export function relative(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.NaN;
  let difference = 0,
    scale = 0;
  for (let i = 0; i < b.length; i++) {
    difference += ((a[i] as number) - (b[i] as number)) ** 2;
    scale += (b[i] as number) ** 2;
  }
  return Math.sqrt(difference / scale);
}
