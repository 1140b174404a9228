/**
 * Functions of neural networks under their familiar names, for use inside `trace`.
 *
 * Shapes are PyTorch's: images [n, c, h, w], linear weights [out, in], sequences [n, time, features]. Everything is
 * written in primitives, so derivatives of any order exist. Each call costs what its matrix products cost and one pass
 * over its result. Shapes that do not fit throw ShapeError naming the function and the operands' types and shapes.
 */
import { ShapeError } from '../base/errors.js';
import * as f from '../graph/functions.js';
import { isFloat, isOp, type Node, ops, type Shape, sizeOf } from '../graph/index.js';

/** a value's type and shape for messages: "float32[8, 3, 32, 32]" */
export const typed = (x: Node): string => `${x.dtype}[${x.shape.join(', ')}]`;

function refuse(name: string, why: string): never {
  throw new ShapeError(`${name}: ${why}`);
}

/** x [..., in] · weightᵀ + bias; weight [out, in], bias [out] → [..., out] */
export function linear(x: Node, weight: Node, bias?: Node): Node {
  if (weight.shape.length !== 2 || x.shape.length < 1 || x.shape.at(-1) !== weight.shape[1])
    refuse(
      'linear',
      `input ${typed(x)} does not fit weight ${typed(weight)}; its last axis must be ${weight.shape[1]}`,
    );
  if (bias && (bias.shape.length !== 1 || bias.shape[0] !== weight.shape[0]))
    refuse('linear', `bias ${typed(bias)} does not fit weight ${typed(weight)}`);
  const lead = 'abcdefgh'.slice(0, x.shape.length - 1);
  const y = ops.dot(x, weight, `${lead}k`, 'nk', `${lead}n`);
  return bias ? ops.add(y, bias) : y;
}

/** rows of table [count, features] at int32 indices [...] → [..., features]; indices must lie in 0 … count−1 */
export function embedding(indices: Node, table: Node): Node {
  if (table.shape.length !== 2) refuse('embedding', `table ${typed(table)} must have the axes [count, features]`);
  if (isFloat(indices.dtype)) refuse('embedding', `indices ${typed(indices)} must be int32`);
  return ops.take(table, indices, 0);
}

/** e^x / Σe^x along an axis (the last by default); the largest value is subtracted first and not differentiated */
export const softmax = (x: Node, axis = -1): Node => f.softmax(x, [axis]);
/** log softmax(x) without overflow */
export const logSoftmax = (x: Node, axis = -1): Node => f.logSoftmax(x, [axis]);

/** Scale and shift after a normalisation, each shaped like the normalised axes. */
export interface NormOptions {
  readonly scale?: Node | undefined;
  readonly bias?: Node | undefined;
  /** added to the variance; default 1e-5 */
  readonly epsilon?: number | undefined;
}
/** (x − mean)/√(variance + ε) · scale + bias over the axes from `axis` on (Ba, Kiros and Hinton 2016). */
export function layerNorm(
  x: Node,
  { scale, bias, epsilon = 1e-5, axis = -1 }: NormOptions & { axis?: number } = {},
): Node {
  for (const p of [scale, bias]) {
    const tail = p ? x.shape.slice(x.shape.length - p.shape.length) : [];
    if (p && p.shape.join() !== tail.join())
      refuse('layerNorm', `${typed(p)} does not fit the last axes of ${typed(x)}`);
  }
  return f.layerNorm(x, axis, epsilon, scale, bias);
}

/** Options of `batchNorm`. */
export interface BatchNormOptions extends NormOptions {
  /** running statistics, [channels] */
  readonly mean: Node;
  readonly variance: Node;
  /** μ of running ← μ·running + (1 − μ)·batch, in mode 'train'; default 0.9, which is PyTorch's 0.1 */
  readonly momentum?: number | undefined;
  /** of the buffers NAME.running_mean and NAME.running_var; default batchNorm0, batchNorm1, … in order of calls */
  readonly name?: string | undefined;
}
/**
 * (x − mean)/√(variance + ε) · scale + bias along axis 1 (Ioffe and Szegedy 2015): with the given statistics, or in mode
 * 'train' with those of the batch. Its variance divides by the count, that of the running statistics too.
 */
export function batchNorm(x: Node, options: BatchNormOptions): Node {
  const { scale, bias, epsilon = 1e-5 } = options;
  const { mean, variance } = x.graph.training ? observed(x, options) : options;
  const spread = (v: Node): Node => {
    if (v.shape.length !== 1 || v.shape[0] !== x.shape[1])
      refuse('batchNorm', `${typed(v)} does not fit the channels of ${typed(x)}`);
    return ops.broadcast(v, x.shape, [1]);
  };
  const inverse = ops.rsqrt(ops.add(variance, epsilon));
  const normal = ops.mul(ops.sub(x, spread(mean)), spread(inverse));
  const scaled = scale ? ops.mul(normal, spread(scale)) : normal;
  return bias ? ops.add(scaled, spread(bias)) : scaled;
}

/** the batch's statistics, left with the graph as updates of the running ones */
function observed(x: Node, options: BatchNormOptions): { mean: Node; variance: Node } {
  const batch = f.batchStatistics(x);
  const updates = x.graph.training?.updates ?? [];
  const { momentum = 0.9, name = `batchNorm${updates.length / 2}` } = options;
  for (const [key, part, fresh] of [
    ['mean', 'running_mean', 0],
    ['variance', 'running_var', 1],
  ] as const) {
    const initial = stored(options[key]);
    if (!initial) refuse('batchNorm', `running statistics ${typed(options[key])} must be constants`);
    updates.push({ buffer: `${name}.${part}`, keep: momentum, value: batch[key], initial, fresh });
  }
  return batch;
}
function stored(x: Node): ArrayLike<number> | undefined {
  if (isOp(x, 'constant')) return x.attributes.data;
  return isOp(x, 'fill') ? new Float64Array(sizeOf(x.shape)).fill(x.attributes.value) : undefined;
}

/** In mode 'train' each element is 0 with probability `ratio`, else divided by 1 − ratio; otherwise x. Seeded: see `mode`. */
export function dropout(x: Node, ratio = 0.5): Node {
  if (!isFloat(x.dtype)) refuse('dropout', `${typed(x)} must be floating-point`);
  return f.dropout(x, ratio);
}

/** one number for every spatial axis, or one each */
export type Extents = number | readonly number[];
const perAxis = (name: string, e: Extents, rank: number): readonly number[] => {
  const list = typeof e === 'number' ? new Array<number>(rank).fill(e) : e;
  if (list.length !== rank || !list.every((v) => Number.isInteger(v) && v >= 0))
    refuse(name, `[${list}] is not ${rank} whole numbers, one per spatial axis`);
  return list;
};

/** Options of `conv1d`, `conv2d` and `conv3d`. */
export interface ConvOptions {
  readonly bias?: Node | undefined;
  /** default 1 */
  readonly stride?: Extents | undefined;
  /** zeros on either side; default 0 */
  readonly padding?: Extents | undefined;
  /** default 1 */
  readonly dilation?: Extents | undefined;
  /** default 1 */
  readonly groups?: number | undefined;
}
function convolution(name: string, rank: number) {
  return (x: Node, weight: Node, options: ConvOptions = {}): Node => {
    const { bias, stride = 1, padding = 0, dilation = 1, groups = 1 } = options;
    const fits = x.shape.length === rank + 2 && weight.shape.length === rank + 2;
    if (!fits || x.shape[1] !== (weight.shape[1] as number) * groups || (weight.shape[0] as number) % groups !== 0)
      refuse(
        name,
        `input ${typed(x)} does not fit weight ${typed(weight)} in ${groups} group${groups === 1 ? '' : 's'}`,
      );
    const pads = perAxis(name, padding, rank);
    const y = ops.conv(x, weight, {
      strides: perAxis(name, stride, rank),
      padLow: pads,
      padHigh: pads,
      dilations: perAxis(name, dilation, rank),
      groups,
    });
    if (!bias) return y;
    if (bias.shape.join() !== String(weight.shape[0]))
      refuse(name, `bias ${typed(bias)} does not fit weight ${typed(weight)}`);
    return ops.add(y, ops.broadcast(bias, y.shape, [1]));
  };
}
/** Cross-correlation: x [n, c, t], weight [o, c/groups, window] → [n, o, positions] */
export const conv1d = convolution('conv1d', 1);
/** Cross-correlation: x [n, c, h, w], weight [o, c/groups, kh, kw] → [n, o, h', w'] */
export const conv2d = convolution('conv2d', 2);
/** Cross-correlation: x [n, c, d, h, w], weight [o, c/groups, kd, kh, kw] */
export const conv3d = convolution('conv3d', 3);

/** Options of `maxPool2d` and `avgPool2d`. */
export interface PoolOptions {
  /** default: the window */
  readonly stride?: Extents | undefined;
  readonly padding?: Extents | undefined;
}
function windows(name: string, x: Node, window: Extents, { stride, padding = 0 }: PoolOptions) {
  if (x.shape.length !== 4) refuse(name, `input ${typed(x)} must have the axes [n, c, h, w]`);
  const size = x.shape.slice(2);
  const w = perAxis(name, window, 2);
  const geometry = {
    window: w,
    strides: perAxis(name, stride ?? w, 2),
    padLow: perAxis(name, padding, 2),
    dilations: [1, 1],
  };
  const positions = size.map((s, i) => {
    const room = s + 2 * (geometry.padLow[i] as number) - (w[i] as number);
    if (room < 0 || 2 * (geometry.padLow[i] as number) > (w[i] as number))
      refuse(name, `window [${w}] with padding [${geometry.padLow}] does not fit ${typed(x)}`);
    return Math.floor(room / (geometry.strides[i] as number)) + 1;
  });
  return { geometry, positions, size };
}
/** largest of each window; the first one takes the gradient */
export function maxPool2d(x: Node, window: Extents, options: PoolOptions = {}): Node {
  const { geometry, positions, size } = windows('maxPool2d', x, window, options);
  const lead = x.shape.slice(0, 2);
  const index = ops.reshape(ops.windowArgMax(x, geometry, positions), [...lead, sizeOf(positions)]);
  return ops.reshape(ops.gatherElements(ops.reshape(x, [...lead, sizeOf(size)]), index, 2), [...lead, ...positions]);
}
/** mean of each window; padding counts as zeros unless `countIncludePad` is false */
export function avgPool2d(x: Node, window: Extents, options: PoolOptions & { countIncludePad?: boolean } = {}): Node {
  const { geometry, positions, size } = windows('avgPool2d', x, window, options);
  const total = ops.windowSum(x, geometry, positions);
  if (options.countIncludePad !== false) return ops.mul(total, 1 / sizeOf(geometry.window));
  const inside = ops.windowSum(x.graph.fill(1, size, x.dtype), geometry, positions);
  return ops.mul(total, ops.reciprocal(inside));
}
/** mean over the spatial axes: [n, c, ...] → [n, c] */
export const globalAvgPool = (x: Node): Node => f.mean(x, x.shape.map((_, i) => i).slice(2));

/** [n, ...] → [n, product of the rest] */
export const flatten = (x: Node): Node => ops.reshape(x, [x.shape[0] ?? 1, sizeOf(x.shape.slice(1))]);
/** x at one position of an axis, which is removed; negative positions count from the end */
export function at(x: Node, axis: number, position: number): Node {
  const a = ops.normaliseAxis(axis, x.shape.length);
  const extent = x.shape[a] as number;
  const p = position < 0 ? position + extent : position;
  if (!(Number.isInteger(p) && p >= 0 && p < extent))
    refuse('at', `position ${position} is outside axis ${axis} of ${typed(x)}`);
  return ops.reshape(
    range(x, a, p, p + 1),
    x.shape.filter((_, i) => i !== a),
  );
}
/** x at positions from … to−1 of an axis */
export function range(x: Node, axis: number, from: number, to: number): Node {
  const a = ops.normaliseAxis(axis, x.shape.length);
  if (!(from >= 0 && from < to && to <= (x.shape[a] as number)))
    refuse('range', `${from} … ${to} is outside axis ${axis} of ${typed(x)}`);
  const along = (inside: number, outside: (d: number) => number): Shape =>
    x.shape.map((d, i) => (i === a ? inside : outside(d)));
  return ops.slice(
    x,
    along(from, () => 0),
    along(to - from, (d) => d),
  );
}
/** equal values joined along a new axis */
export const stack = (parts: readonly Node[], axis = 0): Node =>
  ops.concat(
    parts.map((x) => ops.expandDims(x, axis)),
    axis,
  );

/** Options of `scaledDotProductAttention`. */
export interface AttentionOptions {
  /** a query sees keys up to its own position; default false */
  readonly causal?: boolean | undefined;
  /** truth values broadcasting to [..., queries, keys]: true where a query may look */
  readonly mask?: Node | undefined;
  /** default 1/√d */
  readonly scale?: number | undefined;
}
/** softmax(q kᵀ · scale) v over the last two axes [..., time, d] (Vaswani et al. 2017); leading axes agree. */
export function scaledDotProductAttention(q: Node, k: Node, v: Node, options: AttentionOptions = {}): Node {
  const rank = q.shape.length;
  const lead = (x: Node): string => x.shape.slice(0, -2).join();
  if (
    rank < 2 ||
    lead(q) !== lead(k) ||
    lead(k) !== lead(v) ||
    q.shape.at(-1) !== k.shape.at(-1) ||
    k.shape.at(-2) !== v.shape.at(-2)
  )
    refuse('scaledDotProductAttention', `queries ${typed(q)}, keys ${typed(k)} and values ${typed(v)} do not fit`);
  const l = 'abcdefgh'.slice(0, rank - 2);
  const scores = ops.mul(
    ops.dot(q, k, `${l}qz`, `${l}kz`, `${l}qk`),
    options.scale ?? 1 / Math.sqrt(q.shape.at(-1) as number),
  );
  const g = q.graph;
  const plane = scores.shape.slice(-2);
  const seen = options.causal ? ops.le(g.iota(1, plane), g.iota(0, plane)) : undefined;
  const allowed = seen && options.mask ? ops.and(seen, options.mask) : (seen ?? options.mask);
  const masked = allowed ? ops.select(allowed, scores, Number.NEGATIVE_INFINITY) : scores;
  return ops.dot(softmax(masked), v, `${l}qk`, `${l}kz`, `${l}qz`);
}

/** Weights of `lstm`. */
export interface LstmWeights {
  /** [4·hidden, features] and [4·hidden, hidden], gates in the order input, forget, cell, output (PyTorch's) */
  readonly input: Node;
  readonly hidden: Node;
  /** [4·hidden]; the sum of PyTorch's two */
  readonly bias?: Node | undefined;
}
/**
 * Long short-term memory (Hochreiter and Schmidhuber 1997) over x [n, time, features], from zero states → every hidden
 * state [n, time, hidden]. Unrolled: `time` matrix products of [n, hidden]; the input's projection is one.
 */
export function lstm(x: Node, { input, hidden, bias }: LstmWeights): Node {
  const [n = 0, time = 0] = x.shape;
  const size = hidden.shape[1] ?? 0;
  if (x.shape.length !== 3 || hidden.shape[0] !== 4 * size || input.shape[0] !== 4 * size)
    refuse('lstm', `input ${typed(x)} does not fit weights ${typed(input)} and ${typed(hidden)}`);
  return x.graph.within({ name: 'lstm' }, () => unrolled(x, { input, hidden, bias }, n, time, size));
}
function unrolled(x: Node, { input, hidden, bias }: LstmWeights, n: number, time: number, size: number): Node {
  const projected = linear(x, input, bias);
  let h = x.graph.fill(0, [n, size], x.dtype);
  let c = h;
  const states: Node[] = [];
  for (let t = 0; t < time; t++) {
    const gates = ops.add(at(projected, 1, t), linear(h, hidden));
    const gate = (i: number): Node => range(gates, 1, i * size, (i + 1) * size);
    c = ops.add(ops.mul(ops.sigmoid(gate(1)), c), ops.mul(ops.sigmoid(gate(0)), ops.tanh(gate(2))));
    h = ops.mul(ops.sigmoid(gate(3)), ops.tanh(c));
    states.push(h);
  }
  return stack(states, 1);
}
