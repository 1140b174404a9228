/**
 * Operators outside the standard that files of floating-point models hold: the fusions of onnxruntime's optimiser
 * (com.microsoft) and what scikit-learn's converter puts behind a network (ai.onnx.ml).
 */
import { InputError } from '../../base/errors.js';
import { quoted } from '../../base/quote.js';
import * as f from '../../graph/functions.js';
import { type Node, ops, sizeOf } from '../../graph/index.js';
import type { AttributeView, Op, OpRule, OpTable, Result } from '../op.js';
import { conv } from './convolution.js';

const of = (apply: (x: Node, op: Op) => Node): OpRule => ({ build: (op) => apply(op.floating(0), op) });
const biased = (op: Op): Node => {
  const bias = op.maybe(1);
  return bias ? ops.add(op.floating(0), bias) : op.floating(0);
};

/** alpha · A B, either transposed in its last two axes, or with its first axis moved behind the batch */
function fusedMatMul(op: Op): Node {
  const turned = (i: number, transpose: string, batch: string): Node => {
    const x = op.floating(i),
      rank = x.shape.length;
    const order = x.shape.map((_, axis) => axis);
    if (op.int(batch, 0) !== 0) order.splice(Math.max(0, rank - 2), 0, ...order.splice(0, 1));
    if (op.int(transpose, 0) !== 0 && rank >= 2)
      order.splice(rank - 2, 2, order[rank - 1] as number, order[rank - 2] as number);
    return ops.transpose(x, order);
  };
  const product = ops.matmul(turned(0, 'transA', 'transBatchA'), turned(1, 'transB', 'transBatchB'));
  return ops.mul(product, op.float('alpha', 1));
}

/** the norm of input + skip (+ bias), and that sum as the last output */
function skipNorm(norm: (x: Node, op: Op) => Node, biasAt: number): OpRule {
  return {
    build: (op) => {
      const sum = ops.add(op.floating(0), op.floating(1)),
        bias = op.maybe(biasAt);
      const x = bias ? ops.add(sum, bias) : sum;
      return [norm(x, op), undefined, undefined, x];
    },
    limits: 'without the outputs of mean and deviation',
    refuse: withoutStatistics,
  };
}
const withoutStatistics = (node: AttributeView): string | undefined =>
  node.hasOutput(1) || node.hasOutput(2) ? 'gives the mean and deviation that only training needs' : undefined;

const activations: Readonly<Record<string, (x: Node, parameters: readonly number[]) => Node>> = {
  Relu: (x) => f.relu(x),
  Sigmoid: (x) => ops.sigmoid(x),
  Tanh: (x) => ops.tanh(x),
  LeakyRelu: (x, [alpha = 0.01]) => f.leakyRelu(x, alpha),
  Clip: (x, [low, high]) => f.clip(x, low, high),
  HardSigmoid: (x, [alpha = 0.2, beta = 0.5]) => f.hardSigmoid(x, alpha, beta),
};
/** a convolution, plus the fourth input, and an activation of that */
const fusedConv: OpRule = {
  refuse: (node) => {
    const name = node.string('activation', 'Relu');
    return name in activations ? undefined : `has the unknown activation ${quoted(name)}`;
  },
  build: (op) => {
    const y = conv(op),
      sum = op.hasInput(3) ? ops.add(y, op.floating(3)) : y;
    if (!op.hasAttribute('activation')) return sum;
    const apply = activations[op.string('activation', '')] as (x: Node, parameters: readonly number[]) => Node;
    return apply(sum, op.floats('activation_params') ?? []);
  },
};

/** (x − offset) · scale, either one number or one per column */
function scaler(op: Op): Node {
  const x = op.floating(0);
  const list = (name: string, otherwise: number): Node | number => {
    const values = op.floats(name);
    if (!values || values.length === 0) return otherwise;
    if (values.length !== 1 && values.length !== x.shape.at(-1))
      throw new InputError(`attribute '${name}' of ${values.length} numbers does not fit [${x.shape}]`);
    return x.graph.constant(
      x.dtype === 'float64' ? Float64Array.from(values) : Float32Array.from(values),
      [values.length],
      x.dtype,
    );
  };
  return ops.mul(ops.sub(x, list('offset', 0)), list('scale', 1));
}

const microsoft: OpTable = {
  Gelu: of(f.gelu),
  BiasGelu: { build: (op) => f.gelu(biased(op)) },
  FastGelu: { build: (op) => f.geluTanh(biased(op)) },
  QuickGelu: of((x, op) => f.silu(x, op.float('alpha', 1.702))),
  FusedMatMul: { build: fusedMatMul },
  FusedConv: fusedConv,
  SkipLayerNormalization: skipNorm(
    (x, op) => f.layerNorm(x, -1, op.float('epsilon', 1e-5), op.floating(2), op.maybe(3)),
    4,
  ),
  SkipSimplifiedLayerNormalization: skipNorm((x, op) => f.rmsNorm(x, -1, op.float('epsilon', 1e-5), op.floating(2)), 3),
};
export const contribOps: OpTable = {
  ...Object.fromEntries(Object.entries(microsoft).map(([name, rule]) => [`com.microsoft.${name}`, rule])),
  // onnxruntime keeps these two of its own under the standard's name
  SimplifiedLayerNormalization: {
    limits: 'without the output of the deviation',
    refuse: (node) => (node.hasOutput(1) ? 'gives the deviation that only training needs' : undefined),
    build: (op) => f.rmsNorm(op.floating(0), op.int('axis', -1), op.float('epsilon', 1e-5), op.floating(1)),
  },
  'ai.onnx.ml.Scaler': { build: scaler },
  'ai.onnx.ml.ZipMap': {
    limits: 'its maps are left as the tensor that they are made of',
    build: (op): Result => op.value(0),
  },
  'ai.onnx.ml.ArrayFeatureExtractor': {
    limits: 'along the last axis, at any indices',
    build: (op) => {
      const x = op.x(0),
        index = ops.cast(op.x(1), 'int32');
      // a list is one row
      return ops.take(x.shape.length === 1 ? ops.expandDims(x, 0) : x, ops.reshape(index, [sizeOf(index.shape)]), -1);
    },
  },
};
