/**
 * Removing weights under a quadratic model ½δᵀFδ of the loss (Hassibi and Stork 1993), for a dense F, float64, row-major.
 *
 * With S what goes and R what stays, the best δ has δ_S = −w_S and
 *
 *   δ_R = F_RR⁻¹F_RS w_S,     ½δᵀFδ = ½ w_Sᵀ([F⁻¹]_SS)⁻¹w_S
 *
 * which is −F⁻¹E_S([F⁻¹]_SS)⁻¹w_S restricted to R, without the inverse of F. It is the joint answer: the sum of the
 * updates of single weights is another, and costs more.
 */
import { InternalError } from '../base/errors.js';
import { Cholesky } from '../mfac/cholesky.js';
import { factorDamped } from '../mfac/damping.js';

/** ½ w_Qᵀ M⁻¹ w_Q with M = [F⁻¹]_QQ, k × k: the cost of removing Q. M is changed. */
export function removalCost(inversePart: Float64Array, weights: Float64Array): number {
  const k = weights.length;
  if (k === 1) return (weights[0] as number) ** 2 / (2 * (inversePart[0] as number));
  const factor = new Cholesky(k);
  // exact in theory; a part of an inverse that rounding made indefinite gets the least jitter that mends it
  factorDamped(factor, k, (i, j) => inversePart[i * k + j] as number, 0);
  const x = weights.slice();
  factor.forward(x);
  return x.reduce((sum, v) => sum + v * v, 0) / 2;
}

/** A symmetric positive definite matrix, its diagonal raised by λ. */
export function factorOf(matrix: Float64Array, size: number, lambda: number): Cholesky {
  if (matrix.length !== size * size) throw new InternalError('a matrix of another size');
  const factor = new Cholesky(size);
  factorDamped(factor, size, (i, j) => matrix[i * size + j] as number, lambda);
  return factor;
}

/** Rows and columns `indices` of a matrix of `size`. */
export function part(matrix: Float64Array, size: number, rows: readonly number[], columns = rows): Float64Array {
  const out = new Float64Array(rows.length * columns.length);
  rows.forEach((r, i) => {
    columns.forEach((c, j) => {
      out[i * columns.length + j] = matrix[r * size + c] as number;
    });
  });
  return out;
}

/**
 * δ for weights w under λI + `matrix` (b × b) where `state` says what goes: −w_j where 'removed', 0 where 'gone',
 * else as above.
 */
export function jointUpdate(
  matrix: Float64Array,
  lambda: number,
  weights: Float64Array,
  before: Uint8Array,
  after: Uint8Array,
): Float64Array {
  const b = weights.length;
  const all = Array.from({ length: b }, (_, j) => j);
  const rest = all.filter((j) => after[j]);
  const removed = all.filter((j) => before[j] && !after[j] && weights[j] !== 0);
  const delta = new Float64Array(b);
  for (const j of removed) delta[j] = -(weights[j] as number);
  if (removed.length === 0 || rest.length === 0) return delta;
  const x = Float64Array.from(rest, (r) =>
    removed.reduce((sum, s) => sum + (matrix[r * b + s] as number) * (weights[s] as number), 0),
  );
  factorOf(part(matrix, b, rest), rest.length, lambda).solve(x);
  rest.forEach((r, i) => {
    delta[r] = x[i] as number;
  });
  return delta;
}
