/** Symmetric test matrices with known spectra, and dense algebra to compare with. */
import { EigenvalueDecomposition, Matrix } from 'ml-matrix';

/** A small, seeded generator for test data: mulberry32. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Standard normal numbers by Box and Muller. */
export function normals(count: number, seed: number): Float64Array {
  const next = random(seed);
  return Float64Array.from(
    { length: count },
    () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
  );
}

/** rows × columns standard normal. */
export function gaussian(rows: number, columns: number, seed: number): Matrix {
  return Matrix.from1DArray(rows, columns, Array.from(normals(rows * columns, seed)));
}

export function symmetric(n: number, seed: number): Matrix {
  const g = gaussian(n, n, seed);
  return Matrix.add(g, g.transpose()).mul(0.5);
}

/**
 * Q diag(values) Qᵀ with Q the product of `reflections` random Householder reflections: the eigenvalues are
 * `values` to rounding. Exactly symmetric.
 */
export function withSpectrum(values: ArrayLike<number>, seed: number, reflections = 3): Matrix {
  const n = values.length;
  let a = Matrix.diag(Array.from(values));
  for (let r = 0; r < reflections; r += 1) {
    const u = Matrix.columnVector(Array.from(normals(n, seed * 1000 + r)));
    u.div(u.norm());
    // (I − 2uuᵀ) A (I − 2uuᵀ) = A − 2u(Au)ᵀ − 2(Au)uᵀ + 4(uᵀAu) uuᵀ
    const au = a.mmul(u);
    const s = u.transpose().mmul(au).get(0, 0);
    const w = Matrix.sub(au, Matrix.mul(u, s)).mul(2);
    a = Matrix.sub(a, Matrix.add(u.mmul(w.transpose()), w.mmul(u.transpose())));
  }
  for (let i = 0; i < n; i += 1) for (let j = 0; j < i; j += 1) a.set(i, j, a.get(j, i));
  return a;
}

/** Eigenvalues ascending. */
export function eigenvaluesOf(a: Matrix): Float64Array {
  const { realEigenvalues } = new EigenvalueDecomposition(a, { assumeSymmetric: true });
  return Float64Array.from(realEigenvalues).sort();
}

/** Largest difference of two equally long lists. NaN anywhere gives NaN. */
export function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.NaN;
  let most = 0;
  for (let i = 0; i < a.length; i += 1) most = Math.max(most, Math.abs((a[i] as number) - (b[i] as number)));
  return most;
}

/** §4.1 of the algorithm notes: a bulk N(0, 0.05²) and ten outliers 5, 10, …, 50. */
export function bulkAndOutliers(n: number, seed: number): Float64Array {
  const values = normals(n, seed).map((x) => 0.05 * x);
  for (let i = 0; i < 10; i += 1) values[i] = 5 * (i + 1);
  return values.sort();
}
