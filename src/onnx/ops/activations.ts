import { quoted } from '../../base/quote.js';
import * as f from '../../graph/functions.js';
import { type Node, ops } from '../../graph/index.js';
import type { Op, OpRule, OpTable } from '../op.js';

const of = (apply: (x: Node, op: Op) => Node): OpRule => ({ build: (op) => apply(op.floating(0), op) });

/** Up to opset 12, all axes from `axis` on were taken as one. */
function overAxis(apply: (x: Node, axes: readonly number[]) => Node): OpRule {
  return of((x, op) => {
    const axis = ops.normaliseAxis(op.int('axis', op.opset < 13 ? 1 : -1), x.shape.length);
    return apply(x, op.opset < 13 ? x.shape.map((_, i) => i).slice(axis) : [axis]);
  });
}

/** 1 at the first maximum over axes, else 0 */
function hardmax(x: Node, axes: readonly number[]): Node {
  const first = axes[0] as number;
  const lead = x.shape.slice(0, first),
    tail = x.shape.slice(first + axes.length);
  const size = axes.reduce((n, a) => n * (x.shape[a] as number), 1);
  const flat = ops.reshape(x, [...lead, size, ...tail]);
  const best = ops.argMax(flat, first);
  const wide = ops.broadcastTo(ops.expandDims(best, first), flat.shape);
  return ops.reshape(ops.cast(ops.eq(wide, x.graph.iota(first, flat.shape)), x.dtype), x.shape);
}

/** the slope's axes align with the input's from the end; older files gave one slope per channel */
function slopeOf(x: Node, slope: Node): Node {
  const perChannel =
    slope.shape.length === 1 &&
    x.shape.length > 2 &&
    slope.shape[0] === x.shape[1] &&
    slope.shape[0] !== x.shape.at(-1);
  return perChannel ? ops.reshape(slope, [slope.shape[0] as number, ...x.shape.slice(2).map(() => 1)]) : slope;
}

export const activationOps: OpTable = {
  Relu: { build: (op) => f.relu(op.x(0)) },
  LeakyRelu: of((x, op) => f.leakyRelu(x, op.float('alpha', 0.01))),
  PRelu: of((x, op) => f.leakyRelu(x, slopeOf(x, op.floating(1)))),
  Elu: of((x, op) => f.elu(x, op.float('alpha', 1))),
  Celu: of((x, op) => f.celu(x, op.float('alpha', 1))),
  Selu: of((x, op) => f.selu(x, op.float('alpha', 1.6732632423543772), op.float('gamma', 1.0507009873554805))),
  ThresholdedRelu: of((x, op) => f.thresholdedRelu(x, op.float('alpha', 1))),
  Shrink: of((x, op) => f.shrink(x, op.float('lambd', 0.5), op.float('bias', 0))),
  HardSigmoid: of((x, op) => f.hardSigmoid(x, op.float('alpha', 0.2), op.float('beta', 0.5))),
  HardSwish: of(f.hardSwish),
  Sigmoid: of(ops.sigmoid),
  Softplus: of(ops.softplus),
  Softsign: of(f.softsign),
  Mish: of(f.mish),
  Swish: of((x, op) => f.silu(x, op.float('alpha', 1))),
  Gelu: {
    refuse: (node) =>
      ['none', 'tanh'].includes(node.string('approximate', 'none'))
        ? undefined
        : `has the unknown approximation ${quoted(node.string('approximate', ''))}`,
    build: (op) => (op.string('approximate', 'none') === 'tanh' ? f.geluTanh : f.gelu)(op.floating(0)),
  },
  Softmax: overAxis(f.softmax),
  LogSoftmax: overAxis(f.logSoftmax),
  Hardmax: overAxis(hardmax),
};
