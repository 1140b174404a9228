/**
 * Gauss quadrature from Lanczos (Golub & Meurant; Golub & Welsch 1969): for a unit start vector z,
 * zᵀ f(A) z ≈ Σ weights_i f(nodes_i), exactly for polynomials of degree ≤ 2m − 1 after m steps.
 */
import type { Tridiagonal } from './lanczos.js';
import { tridiagonalEigen } from './tridiagonal.js';

/** A Gauss rule for vᵀf(A)v: Σ weight·f(node), times ‖v‖². */
export interface Quadrature {
  /** ascending */
  readonly nodes: Float64Array;
  /** not negative, sum 1 */
  readonly weights: Float64Array;
}

/** Nodes, weights, and for each node the bound β |s_m| on its distance to an eigenvalue. */
export function quadrature(t: Tridiagonal): Quadrature & { bounds: Float64Array } {
  const { values, first, last } = tridiagonalEigen(t.diagonal, t.coupling);
  return {
    nodes: values,
    weights: first.map((x) => x * x),
    bounds: last.map((x) => Math.abs(x) * t.next),
  };
}

/** A squared eigenvector component this small is rounding error (100 roundoffs, squared). */
const noWeight = (100 * 2 ** -53) ** 2;

/** Σ weights_i f(nodes_i). Nodes found after a breakdown carry no weight, and f may be infinite there (log 0). */
export function evaluate(q: Quadrature, f: (x: number) => number): number {
  let sum = 0;
  q.nodes.forEach((node, i) => {
    const weight = q.weights[i] as number;
    if (weight > noWeight) sum += weight * f(node);
  });
  return sum;
}
