import { InputError } from '../../base/errors.js';
import * as f from '../../graph/functions.js';
import { type Node, ops } from '../../graph/index.js';
import type { Mode } from '../../model/model.js';
import type { AttributeView, Op, OpTable } from '../op.js';
import { perChannel } from './convolution.js';

const spatialRank = (x: Node): number => x.shape.length - 2;
const spatial = (x: Node): number[] => x.shape.map((_, i) => i).slice(2);

/**
 * In evaluation mode with the running statistics, which are no parameters: nothing is differentiated in them. In training
 * mode with the batch's own (differentiated), and running ← momentum·running + (1 − momentum)·batch, in which the variance
 * is the population's, as opsets from 14 on say (PyTorch's running variance takes the sample's, n/(n − 1) times as much).
 */
function batchNormalization(op: Op): readonly (Node | undefined)[] {
  const x = op.floating(0),
    rank = Math.max(0, spatialRank(x));
  const beside = (w: Node): Node => (x.shape.length === 1 ? w : perChannel(w, rank));
  const { training } = op.graph;
  const running = [ops.stopGradient(op.floating(3)), ops.stopGradient(op.floating(4))] as const;
  const batch = training && f.batchStatistics(x);
  const [average, variance] = batch ? [batch.mean, batch.variance] : running;
  const scale = ops.mul(op.floating(1), ops.rsqrt(ops.add(variance, op.float('epsilon', 1e-5))));
  const y = ops.add(ops.mul(ops.sub(x, beside(average)), beside(scale)), beside(op.floating(2)));
  if (!batch) return [y];
  const keep = op.float('momentum', 0.9);
  const updated = [batch.mean, batch.variance].map((value, i) => {
    const initial = op.known(3 + i)?.data;
    // statistics that the model computes itself are nowhere to be written to
    if (initial) training.updates.push({ buffer: op.node.inputs[3 + i] ?? '', keep, value, initial, fresh: i });
    return ops.add(ops.mul(keep, running[i] as Node), ops.mul(1 - keep, value));
  });
  return [y, ...updated];
}
function refuseTraining(node: AttributeView, mode: Mode): string | undefined {
  const training =
    node.int('training_mode', 0) !== 0 ||
    (node.opset < 7 && node.int('is_test', 0) === 0) ||
    (node.opset < 14 && node.hasOutput(1));
  if (training && mode === 'eval')
    return 'is in training mode, where samples of a batch influence one another; load the model in mode train, or export it in evaluation mode (model.eval())';
  return node.int('spatial', 1) === 0 ? 'has statistics per position (spatial=0)' : undefined;
}

function instanceNormalization(op: Op): Node {
  const x = op.floating(0),
    rank = spatialRank(x);
  return f.affine(
    f.normalise(x, spatial(x), op.float('epsilon', 1e-5)),
    perChannel(op.floating(1), rank),
    perChannel(op.floating(2), rank),
  );
}

function groupNormalization(op: Op): Node {
  const x = op.floating(0),
    [n = 0, channels = 0, ...space] = x.shape,
    groups = op.int('num_groups', 0);
  if (groups < 1 || channels % groups !== 0) throw new InputError(`${channels} channels do not form ${groups} groups`);
  const grouped = ops.reshape(x, [n, groups, channels / groups, ...space]);
  const normal = f.normalise(grouped, grouped.shape.map((_, i) => i).slice(2), op.float('epsilon', 1e-5));
  // up to opset 20 scale and bias were per group
  const beside = (w: Node): Node => {
    const perGroup = w.shape[0] === groups && groups !== channels;
    return ops.reshape(w, [...(perGroup ? [groups, 1] : [groups, channels / groups]), ...space.map(() => 1)]);
  };
  return ops.reshape(f.affine(normal, beside(op.floating(1)), beside(op.floating(2))), x.shape);
}

function layerNormalization(op: Op): (Node | undefined)[] {
  const x = op.floating(0),
    axis = ops.normaliseAxis(op.int('axis', -1), x.shape.length),
    epsilon = op.float('epsilon', 1e-5);
  const y = f.layerNorm(x, axis, epsilon, op.floating(1), op.maybe(2));
  if (!op.hasOutput(1) && !op.hasOutput(2)) return [y];
  const axes = x.shape.map((_, i) => i).slice(axis);
  return [y, f.mean(x, axes, true), ops.rsqrt(ops.add(f.variance(x, axes, true), epsilon))];
}

/** local response: x / (bias + alpha/size · Σ x² over neighbouring channels)^beta */
function lrn(op: Op): Node {
  const x = op.floating(0),
    size = op.int('size', 1),
    last = x.shape.length - 1;
  const swapped = x.shape.map((_, i) => (i === 1 ? last : i === last ? 1 : i));
  const squares = ops.transpose(f.square(x), swapped);
  const low = Math.floor((size - 1) / 2);
  const sums = ops.windowSum(squares, { window: [size], strides: [1], padLow: [low], dilations: [1] }, [
    x.shape[1] as number,
  ]);
  const total = ops.mul(ops.transpose(sums, swapped), op.float('alpha', 1e-4) / size);
  return ops.div(x, ops.pow(ops.add(total, op.float('bias', 1)), op.float('beta', 0.75)));
}

function lpNormalization(op: Op): Node {
  const x = op.floating(0),
    axes = [op.int('axis', -1)];
  const norm = op.int('p', 2) === 1 ? f.norm1(x, axes, true) : f.norm2(x, axes, true);
  // a vector of zeros stays one
  return ops.div(x, ops.select(ops.eq(norm, 0), 1, norm));
}

export const normalizationOps: OpTable = {
  BatchNormalization: {
    limits: 'running statistics are not differentiated',
    refuse: refuseTraining,
    build: batchNormalization,
  },
  InstanceNormalization: { build: instanceNormalization },
  GroupNormalization: { build: groupNormalization },
  LayerNormalization: { build: layerNormalization },
  RMSNormalization: {
    build: (op) => f.rmsNorm(op.floating(0), op.int('axis', -1), op.float('epsilon', 1e-5), op.floating(1)),
  },
  LRN: { build: lrn },
  LpNormalization: { build: lpNormalization },
  MeanVarianceNormalization: {
    build: (op) => {
      const x = op.floating(0),
        axes = op.ints('axes') ?? [0, 2, 3],
        centred = ops.sub(x, f.mean(x, axes, true));
      return ops.div(centred, ops.add(ops.sqrt(f.mean(f.square(centred), axes, true)), 1e-9));
    },
  },
};
