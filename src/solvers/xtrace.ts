/** XTrace (Epperly, Tropp & Webber 2024), with normal vectors scaled to length √n. */
import { ComputationError } from '../base/errors.js';
import type { Block } from '../device/block.js';
import type { LinearOperator } from '../operators/linear-operator.js';
import { blockSize, type Sampling } from './hutchinson.js';
import { leaveOneOut, sketch } from './leave-one-out.js';
import { type Estimate, estimate } from './statistics.js';

/** tr A from at most `products` vectors, half of them random. */
export async function xtrace(
  operator: LinearOperator,
  products: number,
  options: Sampling,
): Promise<Estimate & { products: number }> {
  const n = operator.rows;
  const k = Math.min(Math.floor(products / 2), n);
  const block = blockSize(operator, k, 1, 3 * k, options.memory);
  const prepare = async (omega: Block): Promise<void> =>
    omega.scale((await omega.norms()).map((x) => Math.sqrt(n) / x));
  const parts = await sketch(
    operator,
    { ...options, distribution: 'normal' },
    { size: k, block, adjoint: false, prepare },
  );
  try {
    const { omega, q, z, r, dropped, products: used } = parts;
    const exact = q.count === 0 ? 0 : (await q.dots(z)).reduce((a, b) => a + b, 0);
    if (!Number.isFinite(exact)) throw new ComputationError('a product is not finite: NaN or overflow in the operator');
    // A range smaller than the sketch, or as large as the space, is captured whole: nothing is left to estimate
    // but rounding error, of which the dropped remainder (of a vector of length √n) tells the size.
    if (r === undefined || k === n) return { estimate: exact, standardError: Math.sqrt(n) * dropped, products: used };
    const [w, h, t] = await Promise.all([q.gram(omega), q.gram(z), z.gram(omega)]);
    return { ...estimate(leaveOneOutTraces(n, k, exact, r, w, h, t)), products: used };
  } finally {
    parts.dispose();
  }
}

/** The estimate without vector i, for each i. W = QᵀΩ, H = QᵀZ, T = ZᵀΩ, all k × k, row-major. */
function leaveOneOutTraces(
  n: number,
  k: number,
  exact: number,
  r: Float64Array,
  w: Float64Array,
  h: Float64Array,
  t: Float64Array,
): number[] {
  const s = leaveOneOut(r, k);
  const columnOf = (a: Float64Array, i: number): Float64Array =>
    Float64Array.from({ length: k }, (_, j) => a[j * k + i] as number);
  return Array.from({ length: k }, (_, i) => {
    const si = s.subarray(i * k, (i + 1) * k);
    const [wi, ti, ri] = [columnOf(w, i), columnOf(t, i), columnOf(r, i)];
    const hw = product(h, k, wi);
    const hs = product(h, k, si);
    const shs = dot(si, hs);
    const sw = dot(si, wi);
    const kappa = (n - k + 1) / (n - dot(wi, wi) + sw * sw);
    // ωᵀ(I − PPᵀ)A(I − PPᵀ)ω with P = Q(I − s sᵀ), the basis without vector i
    const rest =
      -dot(ti, wi) + dot(wi, hw) + sw * (dot(si, ri) - dot(si, hw)) + sw * sw * shs + sw * (dot(ti, si) - dot(wi, hs));
    return exact - shs + kappa * rest;
  });
}

function product(a: Float64Array, k: number, x: Float64Array): Float64Array {
  return Float64Array.from({ length: k }, (_, i) => dot(a.subarray(i * k, (i + 1) * k), x));
}

function dot(a: Float64Array, b: Float64Array): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);
}
