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

/** A value, or a number of the other operand's type. */
export type Operand = Node | number;

const unary =
  (op: UnaryName) =>
  (x: Node): Node =>
    x.graph.make(op, [x], {});
/** −x */
export const neg = unary('neg');
/** |x|, whose derivative at 0 is 0 */
export const abs = unary('abs');
/** −1, 0 or 1; its derivative is zero */
export const sign = unary('sign');
/** eˣ */
export const exp = unary('exp');
/** eˣ − 1 without cancellation near 0 */
export const expm1 = unary('expm1');
/** natural logarithm */
export const log = unary('log');
/** log(1 + x) without cancellation near 0 */
export const log1p = unary('log1p');
/** √x */
export const sqrt = unary('sqrt');
/** 1/√x */
export const rsqrt = unary('rsqrt');
/** 1/x */
export const reciprocal = unary('reciprocal');
/** sine, of radians */
export const sin = unary('sin');
/** cosine, of radians */
export const cos = unary('cos');
/** tangent, of radians */
export const tan = unary('tan');
/** inverse sine, in radians */
export const asin = unary('asin');
/** inverse cosine, in radians */
export const acos = unary('acos');
/** inverse tangent, in radians */
export const atan = unary('atan');
/** hyperbolic sine */
export const sinh = unary('sinh');
/** hyperbolic cosine */
export const cosh = unary('cosh');
/** inverse hyperbolic sine */
export const asinh = unary('asinh');
/** inverse hyperbolic cosine */
export const acosh = unary('acosh');
/** inverse hyperbolic tangent */
export const atanh = unary('atanh');
/** hyperbolic tangent */
export const tanh = unary('tanh');
/** 1/(1 + e⁻ˣ) */
export const sigmoid = unary('sigmoid');
/** log(1 + eˣ) without overflow */
export const softplus = unary('softplus');
/** error function, 2/√π ∫₀ˣ e^(−t²) dt */
export const erf = unary('erf');
/** the largest whole number ≤ x */
export const floor = unary('floor');
/** the smallest whole number ≥ x */
export const ceil = unary('ceil');
/** the nearest whole number; halves go to even */
export const round = unary('round');
/** truth value: x is false */
export const not = unary('not');
/** truth value: x is NaN */
export const isNaN = unary('isNaN');
/** truth value: x is ∞ or −∞ */
export const isInf = unary('isInf');

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
/** a + b */
export const add = binary('add');
/** a − b */
export const sub = binary('sub');
/** a · b, by elements */
export const mul = binary('mul');
/** a / b */
export const div = binary('div');
/** aᵇ */
export const pow = binary('pow');
/** the larger; a tie splits the derivative evenly */
export const max = binary('max');
/** the smaller; a tie splits the derivative evenly */
export const min = binary('min');
/** the angle of the point (b, a), in radians */
export const atan2 = binary('atan2');
/** a − b·⌊a/b⌋, of the sign of b */
export const mod = binary('mod');
/** truth value: a = b */
export const eq = binary('eq');
/** truth value: a ≠ b */
export const ne = binary('ne');
/** truth value: a < b */
export const lt = binary('lt');
/** truth value: a ≤ b */
export const le = binary('le');
/** truth value: a > b */
export const gt = binary('gt');
/** truth value: a ≥ b */
export const ge = binary('ge');
/** truth value: both */
export const and = binary('and');
/** truth value: a or b */
export const or = binary('or');
/** truth value: one of a and b */
export const xor = binary('xor');

/** condition ? a : b, by elements; only the chosen branch has a derivative */
export function select(condition: Node, a: Operand, b: Operand): Node {
  const [x, y] = pair(a, b);
  const shape = broadcastShapes(condition.shape, x.shape);
  return x.graph.make('select', [broadcastTo(condition, shape), broadcastTo(x, shape), broadcastTo(y, shape)], {});
}
/** x as another type; derivatives pass between floating-point types */
export const cast = (x: Node, to: DType): Node => x.graph.make('cast', [x], { to });
/** x, whose derivative is zero */
export const stopGradient = (x: Node): Node => x.graph.make('stopGradient', [x], {});
/** 0 everywhere, in the shape and type of x */
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
/** Σ over axes (all by default), which are removed unless `keepDims` */
export const reduceSum = reduction('reduceSum');
/** the largest over axes; a tie splits the derivative evenly */
export const reduceMax = reduction('reduceMax');
/** the smallest over axes; a tie splits the derivative evenly */
export const reduceMin = reduction('reduceMin');
/** index (int32) of the first maximum; the axis is removed */
export const argMax = (x: Node, axis: number): Node =>
  x.graph.make('argMax', [x], { axis: normaliseAxis(axis, x.shape.length) });
/** index (int32) of the first minimum; the axis is removed */
export const argMin = (x: Node, axis: number): Node =>
  x.graph.make('argMin', [x], { axis: normaliseAxis(axis, x.shape.length) });
/** running sums along an axis; `exclusive` leaves out the element itself, `reverse` starts at the end */
export const cumsum = (x: Node, axis: number, exclusive = false, reverse = false): Node =>
  x.graph.make('cumsum', [x], { axis: normaliseAxis(axis, x.shape.length), exclusive, reverse });
/** positions (int32) that sort x along an axis */
export const argsort = (x: Node, axis: number, descending = false): Node =>
  x.graph.make('argsort', [x], { axis: normaliseAxis(axis, x.shape.length), descending });

/**
 * Σ x·y by labels, one character per axis (a of x, b of y); labels absent from `out` are summed: dot(x, y, 'mk', 'nk',
 * 'mn')
 */
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
/** the adjoint of `conv` in its input: y [n, o, …positions], w → x of spatial shape `size` */
export const convInput = (y: Node, w: Node, a: ConvAttributes, size: readonly number[]): Node =>
  y.graph.make('convInput', [y, w], { ...geometry(a), size });
/** the adjoint of `conv` in its weight: x, y → w of spatial shape `size` */
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
/** the adjoint of `windowSum`: [n, …positions] → trailing axes of `size` */
export const windowSumTranspose = (y: Node, a: WindowAttributes, size: readonly number[]): Node =>
  y.graph.make('windowSumTranspose', [y], { ...windowGeometry(a), size });
/** Flat index (int32) into the trailing axes of the first maximum of each window. */
export const windowArgMax = (x: Node, a: WindowAttributes, positions: readonly number[]): Node =>
  x.graph.make('windowArgMax', [x], { ...windowGeometry(a), positions });

/**
 * x with `axis` replaced by the axes of index (int32): embedding rows, for instance. Indices outside the axis are
 * refused when run.
 */
export const take = (x: Node, index: Node, axis: number): Node =>
  x.graph.make('take', [x, index], { axis: normaliseAxis(axis, x.shape.length) });
/** the adjoint of `take`: adds the slices of y to zeros, at index along an axis of this size */
export const takeTranspose = (y: Node, index: Node, axis: number, size: number): Node =>
  y.graph.make('takeTranspose', [y, index], { axis, size, indexRank: index.shape.length });
/** y[…, j, …] = x[…, index[…, j, …], …] along an axis; index (int32) has y's shape */
export const gatherElements = (x: Node, index: Node, axis: number): Node =>
  x.graph.make('gatherElements', [x, index], { axis: normaliseAxis(axis, x.shape.length) });
/** the adjoint of `gatherElements`: adds y to zeros at index along an axis of this size */
export const scatterElements = (y: Node, index: Node, axis: number, size: number): Node =>
  y.graph.make('scatterElements', [y, index], { axis: normaliseAxis(axis, y.shape.length), size });

/** the same values, row-major, in another shape of as many */
export function reshape(x: Node, shape: Shape): Node {
  if (sizeOf(shape) !== sizeOf(x.shape)) throw new ShapeError(`cannot reshape ${describe(x)} to [${shape}]`);
  return x.graph.make('reshape', [x], { shape });
}
/** axis i of the result is axis permutation[i] of x; reversed by default */
export const transpose = (
  x: Node,
  permutation: readonly number[] = x.shape.map((_, i) => x.shape.length - 1 - i),
): Node => x.graph.make('transpose', [x], { permutation });
/** axis i of x becomes axis dims[i] of the result; the other axes of `shape` repeat it */
export const broadcast = (x: Node, shape: Shape, dims: readonly number[]): Node =>
  x.graph.make('broadcast', [x], { shape, dims });
/** per axis `sizes` elements from `starts` on, `strides` apart */
export const slice = (
  x: Node,
  starts: readonly number[],
  sizes: readonly number[],
  strides: readonly number[] = starts.map(() => 1),
): Node => x.graph.make('slice', [x], { starts, sizes, strides });
/** zeros: low before and high after each axis, `interior` between neighbours */
export const pad = (
  x: Node,
  low: readonly number[],
  high: readonly number[],
  interior: readonly number[] = low.map(() => 0),
): Node => x.graph.make('pad', [x], { low, high, interior });
/** parts side by side along an axis */
export function concat(parts: readonly Node[], axis: number): Node {
  const first = parts[0];
  if (!first) throw new ShapeError('concat of nothing');
  return first.graph.make('concat', parts, { axis: normaliseAxis(axis, first.shape.length) });
}
/** backwards along axes */
export const reverse = (x: Node, axes: readonly number[]): Node => x.graph.make('reverse', [x], { axes });
/** inserts an axis of extent 1 */
export const expandDims = (x: Node, axis: number): Node =>
  reshape(x, [...x.shape.slice(0, axis), 1, ...x.shape.slice(axis)]);
