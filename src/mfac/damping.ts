/**
 * The matrix that M-FAC inverts and how it is damped:
 *
 *   F = λI + (1/n) Σᵢ gᵢgᵢᵀ,   λ given, or relative: λ = r · tr((1/n) Σᵢ gᵢgᵢᵀ)/d
 *
 * with the gradients gᵢ as rows of G (m × d). Everything is done with the m × m *damped Gram matrix*
 *
 *   A = nλI + GGᵀ   (λ times the K of the algorithm notes, §2.1)
 *
 * so that F⁻¹x = (x − GᵀA⁻¹Gx)/λ (Woodbury), F⁻¹Gᵀc = n·GᵀA⁻¹c (push-through: no difference of nearly equal vectors).
 */
import { ComputationError, InputError } from '../base/errors.js';
import type { Cholesky } from './cholesky.js';

/** λ itself, or as a multiple of the mean eigenvalue tr/d of the undamped matrix. */
export type Damping = number | { readonly relative: number };

/** Throws InputError unless the number given is positive and finite. */
export function checkDamping(damping: Damping): void {
  const value = typeof damping === 'number' ? damping : damping.relative;
  if (!(value > 0 && value < Number.POSITIVE_INFINITY))
    throw new InputError(`the damping must be a positive number, not ${value}`);
}

/**
 * λ for gradients whose squared norms add up to `squares`, n the divisor.
 * Throws InputError where a relative damping meets gradients that are all zero, ComputationError for squares that are
 * not finite.
 */
export function dampingOf(damping: Damping, squares: number, divisor: number, dimension: number): number {
  if (!Number.isFinite(squares)) throw notFinite();
  if (typeof damping === 'number') return damping;
  if (!(squares > 0))
    throw new InputError(`relative damping needs gradients that are not all zero; their squares sum to ${squares}`);
  return (damping.relative * squares) / (divisor * dimension);
}

/** What NaN or infinity among gradients is reported as. */
export const notFinite = (): ComputationError =>
  new ComputationError('the gradients are not finite; try --dtype float64, or look for overflow in the model');

/** Pivots are at least nλ; one below this share of it was lost to rounding. */
const lostPivot = 0.5;

/** The least pivot of A that is believed. */
export const pivotFloor = (shift: number): number => lostPivot * shift;

/**
 * Factors A = shift·I + Gram, given by `gram(i, j)` (j ≤ i). Where rounding has made it indefinite, a jitter is added
 * to the diagonal, from u·tr/m, ten times as much each time (notes, §10.5). Returns the jitter: 0 almost always.
 * Throws ComputationError where the Gram matrix is not finite.
 */
export function factorDamped(
  factor: Cholesky,
  size: number,
  gram: (i: number, j: number) => number,
  shift: number,
): number {
  let trace = 0;
  for (let i = 0; i < size; i++) trace += gram(i, i);
  if (!Number.isFinite(trace + shift)) throw notFinite();
  let jitter = 0;
  for (;;) {
    const added = shift + jitter;
    if (factor.factor(size, (i, j) => (i === j ? gram(i, j) + added : gram(i, j)), pivotFloor(shift))) return jitter;
    jitter = jitter === 0 ? (2 ** -53 * trace) / size : 10 * jitter;
    if (!(jitter <= trace + shift))
      throw new ComputationError('the Gram matrix of the gradients could not be factored; use a larger damping');
  }
}
