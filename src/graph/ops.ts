/**
 * The primitives as functions, with NumPy broadcasting for element-wise ones. Numbers stand for scalars of the
 * other operand's type. Composites (softmax, gelu, …) are in functions.ts.
 */
import { ShapeError } from '../base/errors.js';
import type {
  BinaryName,
  CompareName,
  ConvAttributes,
  DType,
  Node,
  Shape,
  UnaryName,
  WindowAttributes,
} from './node.js';
import { describe, sameShape, sizeOf } from './node.js';

export type Operand = Node | number;

const unary =
  (op: UnaryName) =>
  (x: Node): Node =>
    x.graph.make(op, [x], {});
export const neg = unary('neg'),
  abs = unary('abs'),
  sign = unary('sign'),
  exp = unary('exp'),
  expm1 = unary('expm1');
export const log = unary('log'),
  log1p = unary('log1p'),
  sqrt = unary('sqrt'),
  rsqrt = unary('rsqrt');
export const reciprocal = unary('reciprocal'),
  sin = unary('sin'),
  cos = unary('cos'),
  tan = unary('tan');
export const asin = unary('asin'),
  acos = unary('acos'),
  atan = unary('atan'),
  sinh = unary('sinh'),
  cosh = unary('cosh');
export const asinh = unary('asinh'),
  acosh = unary('acosh'),
  atanh = unary('atanh'),
  tanh = unary('tanh');
export const sigmoid = unary('sigmoid'),
  softplus = unary('softplus'),
  erf = unary('erf'),
  floor = unary('floor');
export const ceil = unary('ceil'),
  round = unary('round'),
  not = unary('not'),
  isNaN = unary('isNaN'),
  isInf = unary('isInf');

/** The shape that both broadcast to. */
export function broadcastShapes(a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const da = a[i - rank + a.length] ?? 1;
    const db = b[i - rank + b.length] ?? 1;
    if (da !== db && da !== 1 && db !== 1) throw new ShapeError(`shapes [${a}] and [${b}] do not broadcast`);
    return da === 1 ? db : da;
  });
}

/** NumPy broadcasting of x to `shape` (axes align at the end). */
export function broadcastTo(x: Node, shape: Shape): Node {
  if (sameShape(x.shape, shape)) return x;
  const lead = shape.length - x.shape.length;
  return broadcast(
    x,
    shape,
    x.shape.map((_, i) => i + lead),
  );
}

function pair(a: Operand, b: Operand): [Node, Node] {
  const like = typeof a === 'number' ? b : a;
  if (typeof like === 'number') throw new ShapeError('one operand must be a node');
  const na = typeof a === 'number' ? like.graph.fill(a, like.shape, like.dtype) : a;
  const nb = typeof b === 'number' ? like.graph.fill(b, like.shape, like.dtype) : b;
  const shape = broadcastShapes(na.shape, nb.shape);
  return [broadcastTo(na, shape), broadcastTo(nb, shape)];
}
const binary =
  (op: BinaryName | CompareName) =>
  (a: Operand, b: Operand): Node => {
    const [x, y] = pair(a, b);
    return x.graph.make(op, [x, y], {});
  };
export const add = binary('add'),
  sub = binary('sub'),
  mul = binary('mul'),
  div = binary('div'),
  pow = binary('pow');
export const max = binary('max'),
  min = binary('min'),
  atan2 = binary('atan2'),
  mod = binary('mod');
export const eq = binary('eq'),
  ne = binary('ne'),
  lt = binary('lt'),
  le = binary('le'),
  gt = binary('gt'),
  ge = binary('ge');
export const and = binary('and'),
  or = binary('or'),
  xor = binary('xor');

export function select(condition: Node, a: Operand, b: Operand): Node {
  const [x, y] = pair(a, b);
  const shape = broadcastShapes(condition.shape, x.shape);
  return x.graph.make('select', [broadcastTo(condition, shape), broadcastTo(x, shape), broadcastTo(y, shape)], {});
}
export const cast = (x: Node, to: DType): Node => x.graph.make('cast', [x], { to });
export const stopGradient = (x: Node): Node => x.graph.make('stopGradient', [x], {});
export const zerosLike = (x: Node): Node => x.graph.fill(0, x.shape, x.dtype);

function normaliseAxes(axes: readonly number[], rank: number): number[] {
  const out = axes.map((a) => normaliseAxis(a, rank)).sort((p, q) => p - q);
  if (new Set(out).size !== out.length) throw new ShapeError(`axes [${axes}] repeat`);
  return out;
}
/** −rank … rank−1 → 0 … rank−1 */
export function normaliseAxis(axis: number, rank: number): number {
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank)
    throw new ShapeError(`axis ${axis} is outside a value of rank ${rank}`);
  return axis < 0 ? axis + rank : axis;
}
const reduction =
  (op: 'reduceSum' | 'reduceMax' | 'reduceMin') =>
  (x: Node, axes: readonly number[] = x.shape.map((_, i) => i), keepDims = false): Node => {
    const list = normaliseAxes(axes, x.shape.length);
    const y = x.graph.make(op, [x], { axes: list });
    return keepDims
      ? reshape(
          y,
          x.shape.map((d, i) => (list.includes(i) ? 1 : d)),
        )
      : y;
  };
export const reduceSum = reduction('reduceSum'),
  reduceMax = reduction('reduceMax'),
  reduceMin = reduction('reduceMin');
/** index (int32) of the first maximum; the axis is removed */
export const argMax = (x: Node, axis: number): Node =>
  x.graph.make('argMax', [x], { axis: normaliseAxis(axis, x.shape.length) });
export const argMin = (x: Node, axis: number): Node =>
  x.graph.make('argMin', [x], { axis: normaliseAxis(axis, x.shape.length) });
export const cumsum = (x: Node, axis: number, exclusive = false, reverse = false): Node =>
  x.graph.make('cumsum', [x], { axis: normaliseAxis(axis, x.shape.length), exclusive, reverse });
export const argsort = (x: Node, axis: number, descending = false): Node =>
  x.graph.make('argsort', [x], { axis: normaliseAxis(axis, x.shape.length), descending });

export const dot = (x: Node, y: Node, a: string, b: string, out: string): Node =>
  x.graph.make('dot', [x, y], { a, b, out });

/** NumPy matmul: vectors, matrices and broadcast batches of them. */
export function matmul(x: Node, y: Node): Node {
  if (x.shape.length === 0 || y.shape.length === 0) throw new ShapeError('matmul: an operand is a scalar');
  const letters = 'abcdefghijkl';
  const lead = Math.max(x.shape.length, y.shape.length, 2) - 2;
  const batchOf = (n: Node): string => (n.shape.length > 2 ? letters.slice(lead - (n.shape.length - 2), lead) : '');
  // A batch extent of 1 that the other operand repeats is dropped: the label is then absent, which broadcasts.
  const squeeze = (n: Node, other: Node): [Node, string] => {
    const labels = batchOf(n);
    const keep = [...labels].map((c, i) => {
      const o = batchOf(other).indexOf(c);
      return !(n.shape[i] === 1 && o >= 0 && other.shape[o] !== 1);
    });
    const kept = n.shape.filter((_, i) => i >= labels.length || keep[i]);
    return [reshape(n, kept), [...labels].filter((_, i) => keep[i]).join('')];
  };
  const [xs, bx] = squeeze(x, y);
  const [ys, by] = squeeze(y, x);
  const all = [...letters].filter((c) => bx.includes(c) || by.includes(c)).join('');
  return dot(
    xs,
    ys,
    bx + (x.shape.length > 1 ? 'mk' : 'k'),
    by + (y.shape.length > 1 ? 'kn' : 'k'),
    all + (x.shape.length > 1 ? 'm' : '') + (y.shape.length > 1 ? 'n' : ''),
  );
}

/** Cross-correlation; see ConvInstruction. x: [n, c, …space] or [k, n, c, …space], w: [o, c/groups, …window] or with k. */
export function conv(x: Node, w: Node, attributes: ConvAttributes & { padHigh: readonly number[] }): Node {
  const n = attributes.strides.length;
  const size = x.shape.slice(-n),
    window = w.shape.slice(-n);
  const positions = size.map((s, i) => {
    const reach = ((window[i] ?? 1) - 1) * (attributes.dilations[i] ?? 1) + 1;
    const room = s + (attributes.padLow[i] ?? 0) + (attributes.padHigh[i] ?? 0) - reach;
    if (room < 0) throw new ShapeError(`conv: window ${describe(w)} exceeds the padded input ${describe(x)}`);
    return Math.floor(room / (attributes.strides[i] ?? 1)) + 1;
  });
  return convAt(x, w, { ...geometry(attributes), positions });
}
const geometry = ({ strides, padLow, dilations, groups }: ConvAttributes): ConvAttributes => ({
  strides,
  padLow,
  dilations,
  groups,
});
/** conv with the number of output positions given (padding above follows from it) */
export const convAt = (x: Node, w: Node, a: ConvAttributes & { positions: readonly number[] }): Node =>
  x.graph.make('conv', [x, w], { ...geometry(a), positions: a.positions });
export const convInput = (y: Node, w: Node, a: ConvAttributes, size: readonly number[]): Node =>
  y.graph.make('convInput', [y, w], { ...geometry(a), size });
export const convWeight = (x: Node, y: Node, a: ConvAttributes, size: readonly number[]): Node =>
  x.graph.make('convWeight', [x, y], { ...geometry(a), size });

const windowGeometry = ({ window, strides, padLow, dilations }: WindowAttributes): WindowAttributes => ({
  window,
  strides,
  padLow,
  dilations,
});
/** Sums over windows of the trailing axes; outside counts zero. */
export const windowSum = (x: Node, a: WindowAttributes, positions: readonly number[]): Node =>
  x.graph.make('windowSum', [x], { ...windowGeometry(a), positions });
export const windowSumTranspose = (y: Node, a: WindowAttributes, size: readonly number[]): Node =>
  y.graph.make('windowSumTranspose', [y], { ...windowGeometry(a), size });
/** Flat index (int32) into the trailing axes of the first maximum of each window. */
export const windowArgMax = (x: Node, a: WindowAttributes, positions: readonly number[]): Node =>
  x.graph.make('windowArgMax', [x], { ...windowGeometry(a), positions });

export const take = (x: Node, index: Node, axis: number): Node =>
  x.graph.make('take', [x, index], { axis: normaliseAxis(axis, x.shape.length) });
export const takeTranspose = (y: Node, index: Node, axis: number, size: number): Node =>
  y.graph.make('takeTranspose', [y, index], { axis, size, indexRank: index.shape.length });
export const gatherElements = (x: Node, index: Node, axis: number): Node =>
  x.graph.make('gatherElements', [x, index], { axis: normaliseAxis(axis, x.shape.length) });
export const scatterElements = (y: Node, index: Node, axis: number, size: number): Node =>
  y.graph.make('scatterElements', [y, index], { axis: normaliseAxis(axis, y.shape.length), size });

export function reshape(x: Node, shape: Shape): Node {
  if (sizeOf(shape) !== sizeOf(x.shape)) throw new ShapeError(`cannot reshape ${describe(x)} to [${shape}]`);
  return x.graph.make('reshape', [x], { shape });
}
export const transpose = (
  x: Node,
  permutation: readonly number[] = x.shape.map((_, i) => x.shape.length - 1 - i),
): Node => x.graph.make('transpose', [x], { permutation });
export const broadcast = (x: Node, shape: Shape, dims: readonly number[]): Node =>
  x.graph.make('broadcast', [x], { shape, dims });
export const slice = (
  x: Node,
  starts: readonly number[],
  sizes: readonly number[],
  strides: readonly number[] = starts.map(() => 1),
): Node => x.graph.make('slice', [x], { starts, sizes, strides });
export const pad = (
  x: Node,
  low: readonly number[],
  high: readonly number[],
  interior: readonly number[] = low.map(() => 0),
): Node => x.graph.make('pad', [x], { low, high, interior });
export function concat(parts: readonly Node[], axis: number): Node {
  const first = parts[0];
  if (!first) throw new ShapeError('concat of nothing');
  return first.graph.make('concat', parts, { axis: normaliseAxis(axis, first.shape.length) });
}
export const reverse = (x: Node, axes: readonly number[]): Node => x.graph.make('reverse', [x], { axes });
/** inserts an axis of extent 1 */
export const expandDims = (x: Node, axis: number): Node =>
  reshape(x, [...x.shape.slice(0, axis), 1, ...x.shape.slice(axis)]);
