/**
 * What a loss's per-sample gradients sum to, from taps, without the gradients themselves. With A, D of k samples (n),
 * rows p per sample, the gradient of sample n in a tap's matrix is G_n = Σ_p D[n,p]⊗A[n,p], and
 *
 *   Σ_n G_n                  Σ_{n,p} D⊗A                                       2·k·P·in·out flops, one product
 *   Σ_n G_n∘G_n, P = 1       (D∘D)ᵀ(A∘A)                                       the same
 *   ⟨G_n, G_m⟩               Σ_{p,q} (A_np·A_mq)(D_np·D_mq)                     P²(in+out) instead of in·out
 *
 * the last being Goodfellow's (2015) ‖D‖²‖A‖² for n = m and P = 1, and the ghost norm of Li et al. (2022) for P > 1.
 */
import { type Node, ops, sizeOf } from '../graph/index.js';
import { transpose } from '../transform/jvp.js';
import type { LayerTap, TapNodes } from './list.js';

/** The matrix [groups, out, in] in the stored tensor's shape: elements that are read twice are added up. */
export function stored({ selection, source }: TapNodes, matrix: Node): Node {
  const [found] = transpose([selection], [matrix], [source]);
  return found ?? ops.zerosLike(source);
}

/** Σ_{n,p} D⊗A of rows [k, P, groups, …] of several samples, in the stored tensor's shape. */
export function summedGradient(of: TapNodes, a: Node, d: Node): Node {
  if (of.tap.kind !== 'embedding') return stored(of, ops.dot(d, a, 'npgo', 'npgi', 'goi'));
  const rows = (a.shape[0] as number) * (a.shape[1] as number);
  const index = ops.cast(ops.reshape(a, [rows]), 'int32');
  const table = ops.takeTranspose(ops.reshape(d, [rows, of.tap.out]), index, 0, of.tap.in);
  return stored(of, ops.reshape(ops.transpose(table), [1, of.tap.out, of.tap.in]));
}
/** Σ_n G_n∘G_n of a tap of one position. */
export const summedSquares = (of: TapNodes, a: Node, d: Node): Node =>
  stored(of, ops.dot(ops.mul(d, d), ops.mul(a, a), 'npgo', 'npgi', 'goi'));

/** ⟨G_n, G_n⟩, [k] */
export function squaredNorms({ kind }: LayerTap, a: Node, d: Node): Node {
  if (a.shape[1] === 1) {
    const own = (x: Node): Node => ops.reduceSum(ops.mul(x, x), [1, 3]);
    return kind === 'embedding' ? ops.reduceSum(own(d), [1]) : ops.reduceSum(ops.mul(own(a), own(d)), [1]);
  }
  const labels = ['npgi', 'nqgi', 'ngpq'] as const;
  const inputs = kind === 'embedding' ? sameRow(a, a, [0]) : ops.dot(a, a, ...labels);
  return ops.reduceSum(ops.mul(inputs, ops.dot(d, d, ...labels)), [1, 2, 3]);
}
/** ⟨G_n, G_m⟩ of k samples here and l there, [k, l] */
export function innerProducts({ kind }: LayerTap, a: Node, d: Node, a2: Node, d2: Node): Node {
  const labels = ['npgi', 'mqgi', 'nmgpq'] as const;
  const inputs = kind === 'embedding' ? sameRow(a, a2, []) : ops.dot(a, a2, ...labels);
  return ops.reduceSum(ops.mul(inputs, ops.dot(d, d2, ...labels)), [2, 3, 4]);
}
/** One-hot rows' inner products, of indices [k, P, 1, 1] and [l, Q, 1, 1]: [k, l, 1, P, Q], without l where samples pair up. */
function sameRow(a: Node, b: Node, paired: readonly number[]): Node {
  const [k = 0, p = 0] = a.shape,
    [l = 0, q = 0] = b.shape;
  const pairs = paired.length > 0;
  const shape = pairs ? [k, 1, p, q] : [k, l, 1, p, q];
  const left = ops.broadcast(ops.reshape(a, [k, p]), shape, pairs ? [0, 2] : [0, 3]);
  const right = ops.broadcast(ops.reshape(b, [l, q]), shape, pairs ? [0, 3] : [1, 4]);
  return ops.cast(ops.eq(left, right), a.dtype);
}

/** Whether inner products of samples cost less from A and D than from the gradients. */
export function cheaperUnformed({ kind, positions: p, in: inner, out, groups }: LayerTap): boolean {
  const width = (kind === 'embedding' ? 1 : inner) + out;
  return groups * p * p * width <= groups * inner * out * (p === 1 ? 2 : 1);
}

/** Whether a tap's matrix holds no element of the parameter twice, so that squares of one are squares of the other. */
export function readsOnce({ tap, source }: TapNodes): boolean {
  const seen = new Uint8Array(sizeOf(source.shape));
  return tap.layout.indices().every((at) => {
    const again = at >= 0 && seen[at] === 1;
    if (at >= 0) seen[at] = 1;
    return !again;
  });
}
