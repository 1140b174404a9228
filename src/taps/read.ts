/**
 * A use as a matrix product per group: with rows p (positions of one sample), groups g,
 *
 *   y[p,g,o] = Σ_i W[g,o,i]·A[p,g,i],   so that   ∂/∂W[g,o,i] = Σ_p D[p,g,o]·A[p,g,i],   D = ∂/∂y
 *
 *   dot                    labels of W alone with the result are o, those summed i, those of all three g, the others p
 *   conv                   A the unfolded patches; groups as they are
 *   transposed conv        A the input, D the unfolded patches of the cotangent: o is (channel, window element)
 *   take (embedding)       i the row of the table; A[p] is one-hot, and given as the index of the row
 *   mul by W (scale)       an element is a group of its own: A what it multiplies
 *   add of W (shift)       A is 1
 */
import { isOp, type Node, ops, type Shape, sizeOf } from '../graph/index.js';
import { fillValue } from '../graph/simplify.js';
import { patches, rowsFirst } from './patches.js';
import type { Use } from './uses.js';

/** What a parameter is to its consumer; 'other': no matrix product that is known. */
export type TapKind = 'linear' | 'conv' | 'embedding' | 'scale' | 'shift' | 'other';

export interface Reading {
  readonly kind: TapKind;
  /** [groups, out, in], in terms of the use's source */
  readonly selection: Node;
  /** A, [rows, groups, in]; for embeddings [rows, 1, 1], the index of each row of the table */
  readonly a: Node;
  /** D, [rows, groups, out], of a cotangent of the consumer's result */
  readonly d: (cotangent: Node) => Node;
  /** of the other operand of the consumer */
  readonly inputShape: Shape;
}

/** null where the consumer is none of these, or scaled in a way that its kind has no place for */
export function read({ consumer, operand, selection, factor }: Use): Reading | null {
  if (operand < 0) return null;
  if (isOp(consumer, 'mul')) return scale(consumer, operand, selection, factor);
  const reading = byOperation(consumer, operand, selection);
  if (!reading || !factor) return reading;
  const uniform = fillValue(factor);
  return uniform === undefined ? null : { ...reading, d: (c) => ops.mul(uniform, reading.d(c)) };
}

function byOperation(node: Node, operand: number, w: Node): Reading | null {
  if (isOp(node, 'dot')) return dot(node, operand, w);
  if (isOp(node, 'conv') && operand === 1) return conv(node, w);
  if (isOp(node, 'convInput') && operand === 1) return convTranspose(node, w);
  if (isOp(node, 'take') && operand === 0) return embedding(node, w);
  if (isOp(node, 'add')) return shift(node, operand, w, 1);
  if (isOp(node, 'sub')) return shift(node, operand, w, operand === 0 ? 1 : -1);
  return null;
}
const at = (node: Node, i: number): Node => node.inputs[i] as Node;

/** x's axes in the order of the groups of labels, each group as one axis */
function grouped(x: Node, labels: string, groups: readonly string[]): Node {
  const order = groups.join('');
  const shape = groups.map((g) => sizeOf([...g].map((c) => x.shape[labels.indexOf(c)] as number)));
  return ops.reshape(
    ops.transpose(
      x,
      [...order].map((c) => labels.indexOf(c)),
    ),
    shape,
  );
}
function dot(node: Node<'dot'>, operand: number, w: Node): Reading | null {
  const { a, b, out } = node.attributes;
  const [own, other] = operand === 0 ? [a, b] : [b, a];
  const x = at(node, 1 - operand);
  const pick = (from: string, test: (c: string) => boolean): string => [...from].filter(test).join('');
  const group = pick(own, (c) => other.includes(c) && out.includes(c));
  const inner = pick(own, (c) => other.includes(c) && !out.includes(c));
  const outer = pick(own, (c) => !other.includes(c) && out.includes(c));
  const rows = pick(other, (c) => !own.includes(c) && out.includes(c));
  // a label summed over one operand alone
  if (own.length !== group.length + inner.length + outer.length) return null;
  if (other.length !== group.length + inner.length + rows.length) return null;
  return {
    kind: 'linear',
    selection: grouped(w, own, [group, outer, inner]),
    a: grouped(x, other, [rows, group, inner]),
    d: (c) => grouped(c, out, [rows, group, outer]),
    inputShape: x.shape,
  };
}

function conv(node: Node<'conv'>, w: Node): Reading | null {
  const x = at(node, 0),
    g = node.attributes;
  const rank = g.strides.length + 2;
  if (x.shape.length !== rank || w.shape.length !== rank) return null;
  const [n = 0, out = 0] = node.shape;
  return {
    kind: 'conv',
    selection: ops.reshape(w, [g.groups, out / g.groups, sizeOf(w.shape.slice(1))]),
    a: patches(x, g, w.shape.slice(2), g.positions),
    d: (c) => rowsFirst(ops.reshape(c, [n, g.groups, out / g.groups, ...g.positions]), 1),
    inputShape: x.shape,
  };
}
function convTranspose(node: Node<'convInput'>, w: Node): Reading | null {
  const y = at(node, 0),
    g = node.attributes;
  const rank = g.strides.length + 2;
  if (y.shape.length !== rank || w.shape.length !== rank) return null;
  const [n = 0, channels = 0, ...positions] = y.shape;
  const split = ops.reshape(w, [g.groups, channels / g.groups, sizeOf(w.shape.slice(1))]);
  return {
    kind: 'conv',
    selection: ops.transpose(split, [0, 2, 1]),
    a: rowsFirst(ops.reshape(y, [n, g.groups, channels / g.groups, ...positions]), 1),
    d: (c) => patches(c, g, w.shape.slice(2), positions),
    inputShape: y.shape,
  };
}

function embedding(node: Node<'take'>, w: Node): Reading {
  const { axis } = node.attributes,
    index = at(node, 1);
  const rows = sizeOf(index.shape),
    indexRank = index.shape.length;
  /** the axes from `axis` on that the index takes, put first or last */
  const others = (x: Node, count: number): number[] =>
    x.shape.map((_, i) => i).filter((i) => i < axis || i >= axis + count);
  const table = ops.transpose(w, [...others(w, 1), axis]);
  const width = sizeOf(w.shape) / (w.shape[axis] as number);
  return {
    kind: 'embedding',
    selection: ops.reshape(table, [1, width, w.shape[axis] as number]),
    a: ops.reshape(ops.cast(index, w.dtype), [rows, 1, 1]),
    d: (c) =>
      ops.reshape(
        ops.transpose(c, [...c.shape.map((_, i) => i).slice(axis, axis + indexRank), ...others(c, indexRank)]),
        [rows, 1, width],
      ),
    inputShape: index.shape,
  };
}

/** A value that repeats along some axes of its shape: what is repeated, along which axes it lies, and the others. */
function unrepeated(w: Node): { value: Node; along: number[]; repeats: number[] } {
  const axes = w.shape.map((_, i) => i);
  if (!isOp(w, 'broadcast')) return { value: w, along: axes, repeats: [] };
  const value = at(w, 0);
  const { dims } = w.attributes;
  const kept = dims.filter((d, i) => value.shape[i] === w.shape[d]);
  const along = [...kept].sort((p, q) => p - q);
  const order = along.map((d) => dims.indexOf(d));
  const grown = dims.flatMap((_, i) => (order.includes(i) ? [] : [i]));
  return {
    value: ops.transpose(value, [...order, ...grown]),
    along,
    repeats: axes.filter((a) => !along.includes(a)),
  };
}
function elementwise(x: Node, along: readonly number[], repeats: readonly number[]): Node {
  const size = (axes: readonly number[]): number => sizeOf(axes.map((d) => x.shape[d] as number));
  return ops.reshape(ops.transpose(x, [...repeats, ...along]), [size(repeats), size(along)]);
}
function scale(node: Node, operand: number, w: Node, factor: Node | null): Reading {
  const x = at(node, 1 - operand);
  const { value, along, repeats } = unrepeated(w);
  const size = sizeOf(value.shape);
  const rows = (y: Node): Node => {
    const flat = elementwise(y, along, repeats);
    return ops.reshape(flat, [...flat.shape, 1]);
  };
  return {
    kind: 'scale',
    selection: ops.reshape(value, [size, 1, 1]),
    a: rows(factor ? ops.mul(x, factor) : x),
    d: rows,
    inputShape: x.shape,
  };
}
function shift(node: Node, operand: number, w: Node, sign: number): Reading {
  const x = at(node, 1 - operand);
  const { value, along, repeats } = unrepeated(w);
  const size = sizeOf(value.shape);
  const count = sizeOf(node.shape) / size;
  return {
    kind: 'shift',
    selection: ops.reshape(value, [1, size, 1]),
    a: node.graph.fill(sign, [count, 1, 1], node.dtype),
    d: (c) => {
      const flat = elementwise(c, along, repeats);
      return ops.reshape(flat, [count, 1, size]);
    },
    inputShape: x.shape,
  };
}
