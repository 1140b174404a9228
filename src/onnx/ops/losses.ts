import { InputError } from '../../base/errors.js';
import * as f from '../../graph/functions.js';
import { type Node, ops } from '../../graph/index.js';
import type { Op, OpTable } from '../op.js';

/** −w[target]·score[target], summed, averaged by weight or as it is; scores [N, C, …] */
function negativeLogLikelihood(op: Op, scores: Node): Node {
  const target = ops.cast(op.x(1), 'int32'),
    weight = op.maybe(2),
    [n = 0, classes = 0, ...space] = scores.shape;
  const ignored = op.hasAttribute('ignore_index') ? ops.eq(target, op.int('ignore_index', 0)) : undefined;
  const safe = ignored ? ops.select(ignored, 0, target) : target;
  const picked = ops.reshape(ops.gatherElements(scores, ops.expandDims(safe, 1), 1), [n, ...space]);
  const weights = weight ? ops.take(weight, safe, 0) : scores.graph.fill(1, picked.shape, scores.dtype);
  if (weight && weight.shape[0] !== classes)
    throw new InputError(`weight [${weight.shape}] does not fit ${classes} classes`);
  const counted = ignored ? ops.select(ignored, 0, weights) : weights;
  const losses = ops.neg(ops.mul(counted, picked));
  const reduction = op.string('reduction', 'mean');
  if (reduction === 'none') return losses;
  return reduction === 'sum' ? ops.reduceSum(losses) : ops.div(ops.reduceSum(losses), ops.reduceSum(counted));
}

export const lossOps: OpTable = {
  NegativeLogLikelihoodLoss: { build: (op) => negativeLogLikelihood(op, op.floating(0)) },
  SoftmaxCrossEntropyLoss: {
    build: (op) => {
      const scores = f.logSoftmax(op.floating(0), [1]);
      return [negativeLogLikelihood(op, scores), op.hasOutput(1) ? scores : undefined];
    },
  },
};
