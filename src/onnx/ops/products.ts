/** Matrix products. */
import { InputError, UnsupportedError } from '../../base/errors.js';
import { type Node, ops, sizeOf } from '../../graph/index.js';
import type { Op, OpTable } from '../op.js';
import { einsum } from './einsum.js';

function gemm(op: Op): Node {
  const a = op.x(0),
    b = op.x(1);
  if (a.shape.length !== 2 || b.shape.length !== 2)
    throw new InputError(`needs matrices, got [${a.shape}] and [${b.shape}]`);
  const product = ops.dot(a, b, op.int('transA', 0) ? 'km' : 'mk', op.int('transB', 0) ? 'nk' : 'kn', 'mn');
  const alpha = op.float('alpha', 1),
    beta = op.float('beta', 1);
  const scaled = alpha === 1 ? product : ops.mul(product, alpha);
  const c = op.maybe(2);
  if (!c || beta === 0) return scaled;
  const sum = ops.add(scaled, beta === 1 ? c : ops.mul(c, beta));
  if (sum.shape.length !== 2)
    throw new InputError(`C of shape [${c.shape}] does not broadcast to the product's [${product.shape}]`);
  return sum;
}

/** beyond, the rounding of products without division shows in float32 */
const largestDet = 16;

/**
 * The determinant by matrix products alone, without division, so that derivatives are right at singular matrices, too:
 * F ← μ(F)·A, n − 1 times, where μ(F) keeps what is above the diagonal and has −Σ_{j>i} F_jj on it; then
 * (−1)^{n−1} F_00 (R. Bird, A simple division-free algorithm for computing determinants, 2011). O(n⁴).
 */
function determinant(op: Op): Node {
  const given = op.floating(0),
    n = given.shape.at(-1) ?? 0,
    lead = given.shape.slice(0, -2);
  if (given.shape.length < 2 || given.shape.at(-2) !== n)
    throw new InputError(`needs square matrices, got [${given.shape}]`);
  if (n > largestDet)
    throw new UnsupportedError(`has matrices of ${n} × ${n}; ${largestDet} × ${largestDet} are the most`);
  if (n === 0) return given.graph.fill(1, lead, given.dtype);
  const a = ops.reshape(given, [sizeOf(lead), n, n]);
  const [row, column] = [a.graph.iota(1, a.shape), a.graph.iota(2, a.shape)];
  const onDiagonal = ops.eq(row, column),
    above = ops.lt(row, column);
  let x = a;
  for (let step = 1; step < n; step++) {
    const diagonal = ops.reduceSum(ops.select(onDiagonal, x, 0), [2]);
    const later = ops.cumsum(diagonal, 1, true, true);
    const kept = ops.sub(ops.select(above, x, 0), ops.select(onDiagonal, ops.expandDims(later, 2), 0));
    x = ops.dot(kept, a, 'bij', 'bjk', 'bik');
  }
  const first = ops.reshape(ops.slice(x, [0, 0, 0], [sizeOf(lead), 1, 1]), lead);
  return n % 2 === 0 ? ops.neg(first) : first;
}

export const productOps: OpTable = {
  Gemm: { build: gemm },
  Det: { limits: 'matrices of at most 16 × 16', build: determinant },
  MatMul: { build: (op) => ops.matmul(op.x(0), op.x(1)) },
  Einsum: {
    build: (op) =>
      einsum(
        op.string('equation', ''),
        op.values.map((_, i) => op.x(i)),
      ),
  },
};
