/**
 * Cheaper equals, applied as nodes are made. Each rule is exact in floating point up to the sign of zero and the
 * order of a sum, except where noted; none loses a NaN that the data could carry (x·0 with a literal 0 counts as
 * 0: such zeros come from structure, not from data).
 */
import type { Graph, Signature } from './graph.js';
import type { BinaryName, DType, Node, PrimitiveName, Primitives, UnaryName } from './node.js';
import { isFloat, isOp, sameShape, sizeOf } from './node.js';
import * as ops from './ops.js';

type Make = (graph: Graph, inputs: readonly Node[], attributes: never) => Node | undefined;

/** the value if the node is one number everywhere */
export function fillValue(node: Node | undefined): number | undefined {
  return node && isOp(node, 'fill') ? node.attributes.value : undefined;
}
const isFill = (node: Node | undefined, value: number): boolean => fillValue(node) === value;

/** Literals first, then by age: so equal sums and products meet as one node. */
const inOrder = (a: Node, b: Node): boolean => place(a) <= place(b);
const place = (x: Node): number => (isOp(x, 'fill') ? -1 : x.id);

const unaryFolds: Partial<Record<UnaryName, (x: number) => number>> = {
  neg: (x) => -x,
  abs: Math.abs,
  exp: Math.exp,
  log: Math.log,
  sqrt: Math.sqrt,
  reciprocal: (x) => 1 / x,
  rsqrt: (x) => 1 / Math.sqrt(x),
  floor: Math.floor,
  ceil: Math.ceil,
  not: (x) => (x === 0 ? 1 : 0),
};
const binaryFolds: Partial<Record<BinaryName, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  pow: (a, b) => a ** b,
};

const table: { [P in PrimitiveName]?: Make } = {
  neg: (_, [x]) => {
    if (x && isOp(x, 'neg')) return x.inputs[0];
    if (x && isOp(x, 'sub')) return ops.sub(x.inputs[1] as Node, x.inputs[0] as Node);
    const c = x && isOp(x, 'mul') ? fillValue(x.inputs[0]) : undefined;
    return x && c !== undefined ? ops.mul(x.inputs[1] as Node, -c) : undefined;
  },
  // whole numbers are whole
  floor: (_, [x]) => (x?.dtype === 'int32' ? x : undefined),
  ceil: (_, [x]) => (x?.dtype === 'int32' ? x : undefined),
  round: (_, [x]) => (x?.dtype === 'int32' ? x : undefined),
  add: (_, [a, b]) => {
    if (isFill(a, 0)) return b;
    if (isFill(b, 0)) return a;
    if (!a || !b) return undefined;
    if (a === b && isFloat(a.dtype)) return ops.mul(a, 2);
    if (isOp(b, 'neg')) return ops.sub(a, b.inputs[0] as Node);
    if (isOp(a, 'neg')) return ops.sub(b, a.inputs[0] as Node);
    return joinedPads(a, b) ?? (inOrder(a, b) ? undefined : ops.add(b, a));
  },
  sub: (_, [a, b]) => {
    if (isFill(b, 0)) return a;
    if (!a || !b) return undefined;
    if (isFill(a, 0)) return ops.neg(b);
    return isOp(b, 'neg') ? ops.add(a, b.inputs[0] as Node) : undefined;
  },
  mul: (_, [a, b]) => {
    if (!a || !b) return undefined;
    if (isFill(a, 1)) return b;
    if (isFill(b, 1)) return a;
    if (isFill(a, 0)) return a;
    if (isFill(b, 0)) return b;
    if (isFill(a, -1)) return ops.neg(b);
    if (isFill(b, -1)) return ops.neg(a);
    // signs move outwards, where a sum or a literal takes them in
    if (isOp(a, 'neg')) return ops.neg(ops.mul(a.inputs[0] as Node, b));
    if (isOp(b, 'neg')) return ops.neg(ops.mul(a, b.inputs[0] as Node));
    // c1·(c2·x): one product; keeps scale factors of means and losses from piling up
    const c = fillValue(a),
      inner = b;
    if (c !== undefined && isOp(inner, 'mul')) {
      const c2 = fillValue(inner.inputs[0]);
      if (c2 !== undefined && inner.inputs[1]) return ops.mul(a.graph.fill(c * c2, b.shape, b.dtype), inner.inputs[1]);
    }
    return c === undefined && (fillValue(b) !== undefined || !inOrder(a, b)) ? ops.mul(b, a) : undefined;
  },
  div: (_, [a, b]) => {
    if (isFill(b, 1)) return a;
    if (isFill(a, 0) && fillValue(b) === undefined) return a;
    return a && b && isOp(a, 'neg') && isFloat(a.dtype) ? ops.neg(ops.div(a.inputs[0] as Node, b)) : undefined;
  },
  pow: (_, [a, b]) => {
    if (!a || !b || !isFloat(a.dtype)) return undefined;
    switch (fillValue(b)) {
      case 0:
        return a.graph.fill(1, a.shape, a.dtype);
      case 1:
        return a;
      case 2:
        return ops.mul(a, a);
      case 3:
        return ops.mul(a, ops.mul(a, a));
      case 0.5:
        return ops.sqrt(a);
      case -0.5:
        return ops.rsqrt(a);
      case -1:
        return ops.reciprocal(a);
      default:
        return undefined;
    }
  },
  select: (_, [c, a, b]) => {
    if (a === b) return a;
    const known = fillValue(c);
    return known === undefined ? undefined : known !== 0 ? a : b;
  },
  cast: (g, [x], { to }: Primitives['cast']) => {
    if (!x || x.dtype === to) return x;
    const v = fillValue(x);
    if (v === undefined) return undefined;
    return g.fill(to === 'bool' ? Number(v !== 0) : to === 'int32' ? Math.trunc(v) : v, x.shape, to);
  },
  stopGradient: (_, [x]) => (x && (isOp(x, 'stopGradient') || isOp(x, 'fill') || isOp(x, 'constant')) ? x : undefined),
  reduceSum: (g, [x], { axes }: Primitives['reduceSum']) => {
    if (!x || axes.length === 0) return x;
    const shape = x.shape.filter((_, i) => !axes.includes(i));
    const v = fillValue(x);
    if (v !== undefined) return g.fill(v * axes.reduce((n, a) => n * (x.shape[a] ?? 1), 1), shape, x.dtype);
    // a sum along an axis that a broadcast repeated is a product with its extent
    if (isOp(x, 'broadcast')) {
      const { dims } = x.attributes;
      const inner = x.inputs[0] as Node;
      const repeated = axes.filter((a) => !dims.includes(a) || inner.shape[dims.indexOf(a)] !== x.shape[a]);
      const count = repeated.reduce((n, a) => n * (x.shape[a] ?? 1), 1);
      if (repeated.length > 0 && isFloat(x.dtype)) {
        const innerAxes = dims.flatMap((d, i) => (axes.includes(d) ? [i] : []));
        const summed = ops.reduceSum(inner, innerAxes);
        const kept = dims.filter((d) => !axes.includes(d));
        const place = kept.map((d) => d - axes.filter((a) => a < d).length);
        return ops.mul(ops.broadcast(summed, shape, place), count);
      }
    }
    if (axes.every((a) => x.shape[a] === 1)) return ops.reshape(x, shape);
    if (isOp(x, 'neg')) return ops.neg(ops.reduceSum(x.inputs[0] as Node, axes));
    if (isOp(x, 'reduceSum')) {
      const before = x.attributes.axes;
      const rank = x.shape.length + before.length;
      const left = Array.from({ length: rank }, (_, i) => i).filter((i) => !before.includes(i));
      return ops.reduceSum(x.inputs[0] as Node, [...before, ...axes.map((a) => left[a] as number)]);
    }
    return undefined;
  },
  reduceMax: (_, [x], { axes }: Primitives['reduceMax']) => (axes.length === 0 ? x : undefined),
  reduceMin: (_, [x], { axes }: Primitives['reduceMin']) => (axes.length === 0 ? x : undefined),
  dot: (g, [x, y], { a, b, out }: Primitives['dot']) => {
    if (!x || !y) return undefined;
    // transposes are relabelling
    if (isOp(x, 'transpose')) return ops.dot(x.inputs[0] as Node, y, relabel(x.attributes.permutation, a), b, out);
    if (isOp(y, 'transpose')) return ops.dot(x, y.inputs[0] as Node, a, relabel(y.attributes.permutation, b), out);
    if (isFill(x, 0) || isFill(y, 0)) {
      const extent = (c: string): number => (a.includes(c) ? x.shape[a.indexOf(c)] : y.shape[b.indexOf(c)]) ?? 1;
      return g.fill(0, [...out].map(extent), x.dtype);
    }
    // nothing is summed: an element-wise product of two broadcasts
    if (![...a].some((c) => b.includes(c) && !out.includes(c))) {
      const shape = [...out].map((c) => (a.includes(c) ? x.shape[a.indexOf(c)] : y.shape[b.indexOf(c)]) ?? 1);
      return ops.mul(aligned(x, a, out, shape), aligned(y, b, out, shape));
    }
    return undefined;
  },
  reshape: (g, [x], { shape }: Primitives['reshape']) => {
    if (!x || sameShape(x.shape, shape)) return x;
    const v = fillValue(x);
    if (v !== undefined) return g.fill(v, shape, x.dtype);
    return isOp(x, 'reshape') ? ops.reshape(x.inputs[0] as Node, shape) : undefined;
  },
  transpose: (g, [x], { permutation }: Primitives['transpose']) => {
    if (!x || permutation.every((p, i) => p === i)) return x;
    const v = fillValue(x);
    if (v !== undefined)
      return g.fill(
        v,
        permutation.map((p) => x.shape[p] ?? 1),
        x.dtype,
      );
    if (isOp(x, 'transpose')) {
      const inner = x.attributes.permutation;
      return ops.transpose(
        x.inputs[0] as Node,
        permutation.map((p) => inner[p] as number),
      );
    }
    return undefined;
  },
  broadcast: (g, [x], { shape, dims }: Primitives['broadcast']) => {
    if (!x || (sameShape(x.shape, shape) && dims.every((d, i) => d === i))) return x;
    const v = fillValue(x);
    if (v !== undefined) return g.fill(v, shape, x.dtype);
    if (isOp(x, 'broadcast'))
      return ops.broadcast(
        x.inputs[0] as Node,
        shape,
        x.attributes.dims.map((d) => dims[d] as number),
      );
    if (sizeOf(shape) === sizeOf(x.shape) && dims.every((d, i) => i === 0 || d > (dims[i - 1] as number)))
      return ops.reshape(x, shape);
    return undefined;
  },
  slice: (g, [x], { starts, sizes, strides }: Primitives['slice']) => {
    if (!x || (sameShape(x.shape, sizes) && starts.every((s) => s === 0) && strides.every((s) => s === 1))) return x;
    const v = fillValue(x);
    return v === undefined ? undefined : g.fill(v, sizes, x.dtype);
  },
  pad: (g, [x], { low, high, interior }: Primitives['pad']) => {
    if (!x || [...low, ...high, ...interior].every((p) => p === 0)) return x;
    if (!isFill(x, 0)) return undefined;
    return g.fill(
      0,
      x.shape.map((d, i) => d + (low[i] ?? 0) + (high[i] ?? 0) + Math.max(0, d - 1) * (interior[i] ?? 0)),
      x.dtype,
    );
  },
  concat: (g, parts, { axis }: Primitives['concat']) => {
    if (parts.length === 1) return parts[0];
    const filled = parts.filter((p) => p.shape[axis] !== 0);
    if (filled.length > 0 && filled.length < parts.length) return ops.concat(filled, axis);
    const v = fillValue(parts[0]);
    if (v === undefined || !parts.every((p) => isFill(p, v))) return undefined;
    const first = parts[0] as Node;
    return g.fill(
      v,
      first.shape.map((d, i) => (i === axis ? parts.reduce((n, p) => n + (p.shape[i] ?? 0), 0) : d)),
      first.dtype,
    );
  },
  reverse: (_, [x], { axes }: Primitives['reverse']) =>
    axes.length === 0 || (x && fillValue(x) !== undefined) ? x : undefined,
};

/**
 * pad(x) + pad(y) where the two lie next to one another along one axis: one padded concat. So the cotangents of the
 * slices of a value (queries, keys and values of attention, say) are put together without a sum.
 */
function joinedPads(a: Node, b: Node): Node | undefined {
  if (!isOp(a, 'pad') || !isOp(b, 'pad')) return undefined;
  const p = a.attributes,
    q = b.attributes,
    x = a.inputs[0] as Node,
    y = b.inputs[0] as Node;
  if ([...p.interior, ...q.interior].some((n) => n !== 0)) return undefined;
  const differ = p.low.flatMap((low, i) => (low !== q.low[i] || x.shape[i] !== y.shape[i] ? [i] : []));
  const axis = differ[0];
  if (axis === undefined || differ.length > 1) return undefined;
  const end = (low: readonly number[], z: Node): number => (low[axis] as number) + (z.shape[axis] as number);
  // by position, not by operand: both pads may be of one value
  const ascending = end(p.low, x) === q.low[axis];
  if (!ascending && end(q.low, y) !== p.low[axis]) return undefined;
  const first = ascending ? [x, y] : [y, x];
  const parts = first.flatMap((z) => (isOp(z, 'concat') && z.attributes.axis === axis ? z.inputs : [z]));
  const before = ascending ? p : q,
    after = ascending ? q : p;
  return ops.pad(
    ops.concat(parts, axis),
    before.low,
    p.high.map((h, i) => (i === axis ? (after.high[i] as number) : h)),
  );
}

/** labels of t(x) → labels of x, where output axis p of t is input axis permutation[p] */
function relabel(permutation: readonly number[], labels: string): string {
  const out: string[] = [];
  permutation.forEach((p, i) => {
    out[p] = labels[i] as string;
  });
  return out.join('');
}
function aligned(x: Node, labels: string, out: string, shape: readonly number[]): Node {
  return ops.broadcast(
    x,
    shape,
    [...labels].map((c) => out.indexOf(c)),
  );
}

/** What remains of a value without elements where the result has some: the sum, or the extremum, over nothing. */
function overNothing(op: PrimitiveName, dtype: DType): number | undefined {
  switch (op) {
    case 'reduceSum':
    case 'dot':
    case 'conv':
    case 'convInput':
    case 'convWeight':
    case 'windowSum':
    case 'windowSumTranspose':
    case 'takeTranspose':
    case 'scatterElements':
    case 'pad':
      return 0;
    case 'reduceMax':
      return isFloat(dtype) ? -Infinity : -(2 ** 31);
    case 'reduceMin':
      return isFloat(dtype) ? Infinity : 2 ** 31 - 1;
    default:
      return undefined;
  }
}

/** The simpler equal of `op(inputs)`, if one is known; it has the same signature. */
export function simplify<P extends PrimitiveName>(
  graph: Graph,
  op: P,
  inputs: readonly Node[],
  attributes: Primitives[P],
  { shape, dtype }: Signature,
): Node | undefined {
  // Values without elements are literals, so that no later stage meets one except where it is given from outside.
  if (sizeOf(shape) === 0) return graph.fill(0, shape, dtype);
  if (inputs.some((x) => sizeOf(x.shape) === 0)) {
    const value = overNothing(op, dtype);
    if (value !== undefined) return graph.fill(value, shape, dtype);
  }
  const first = inputs[0];
  if (first && op in unaryFolds) {
    const v = fillValue(first),
      fold = unaryFolds[op as UnaryName];
    if (v !== undefined && fold) return graph.fill(fold(v), first.shape, first.dtype);
  }
  if (first && op in binaryFolds && isFloat(first.dtype)) {
    const v = fillValue(first),
      w = fillValue(inputs[1]),
      fold = binaryFolds[op as BinaryName];
    if (v !== undefined && w !== undefined && fold) return graph.fill(fold(v, w), first.shape, first.dtype);
  }
  return table[op]?.(graph, inputs, attributes as never);
}
