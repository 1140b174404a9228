/** Matrix products. */
import { InputError } from '../../base/errors.js';
import { type Node, ops } from '../../graph/index.js';
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

export const productOps: OpTable = {
  Gemm: { build: gemm },
  MatMul: { build: (op) => ops.matmul(op.x(0), op.x(1)) },
  Einsum: {
    build: (op) =>
      einsum(
        op.string('equation', ''),
        op.values.map((_, i) => op.x(i)),
      ),
  },
};
