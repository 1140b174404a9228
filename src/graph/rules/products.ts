/** dot and the three convolutions: each linear in either operand, and closed under transposition. */
import { ShapeError } from '../../base/errors.js';
import type { ConvAttributes, Node } from '../node.js';
import { describe } from '../node.js';
import * as ops from '../ops.js';
import type { Rules } from '../rules.js';
import { operand } from './common.js';

const letters = [...'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'];

function extents(x: Node, labels: string, into: Map<string, number>): void {
  if (labels.length !== x.shape.length) throw new ShapeError(`dot: labels '${labels}' do not fit ${describe(x)}`);
  if (new Set(labels).size !== labels.length) throw new ShapeError(`dot: labels '${labels}' repeat`);
  [...labels].forEach((c, i) => {
    const extent = x.shape[i] as number;
    const known = into.get(c);
    if (known !== undefined && known !== extent)
      throw new ShapeError(`dot: extents ${known} and ${extent} of '${c}' differ (operand ${describe(x)})`);
    into.set(c, extent);
  });
}

/** [k or none, rest of the shape] */
function splitLead(x: Node, rank: number): { k: number | undefined; shape: readonly number[] } {
  if (x.shape.length === rank) return { k: undefined, shape: x.shape };
  if (x.shape.length === rank + 1) return { k: x.shape[0], shape: x.shape.slice(1) };
  throw new ShapeError(`convolution operand ${describe(x)} should have rank ${rank} or ${rank + 1}`);
}
function convShape(
  name: string, a: Node, b: Node, rank: number, result: (a: readonly number[], b: readonly number[]) => number[],
): { shape: number[]; dtype: Node['dtype'] } {
  if (a.dtype !== b.dtype) throw new ShapeError(`${name}: operands ${describe(a)} and ${describe(b)} differ in type`);
  const p = splitLead(a, rank), q = splitLead(b, rank);
  if (p.k !== undefined && q.k !== undefined && p.k !== q.k) throw new ShapeError(`${name}: ${describe(a)} and ${describe(b)} differ in their leading axis`);
  const k = p.k ?? q.k;
  const shape = result(p.shape, q.shape);
  return { shape: k === undefined ? shape : [k, ...shape], dtype: a.dtype };
}
const channelsAgree = (name: string, x: number, groups: number, w: number): void => {
  if (x !== w * groups) throw new ShapeError(`${name}: ${x} channels against ${groups} groups of ${w}`);
};

type ConvName = 'conv' | 'convInput' | 'convWeight';
/** One leading axis may already be there (a block of products); a second one is merged into it. */
function convBatch<P extends ConvName>(node: Node<P>, inputs: readonly Node[], batched: readonly boolean[], size: number): Node {
  const rank = (node.attributes as ConvAttributes).strides.length + 2;
  const had = node.inputs.map((x) => x.shape.length === rank + 1);
  if (!had.some(Boolean)) return node.graph.make(node.op, inputs, node.attributes);
  const inner = node.shape[0] as number;
  const merged = inputs.map((x, i) => {
    const base = had[i] ? x : batched[i] ? ops.expandDims(x, 1) : x;
    if (!had[i] && !batched[i]) return x;
    const tail = base.shape.slice(-rank);
    const at = base.shape.map((_, d) => (batched[i] ? d : d + 1));
    return ops.reshape(ops.broadcast(base, [size, inner, ...tail], at), [size * inner, ...tail]);
  });
  const y = node.graph.make(node.op, merged, node.attributes);
  return ops.reshape(y, [size, inner, ...y.shape.slice(1)]);
}
/** the k of a result that only the other operand has: sum over it would be wrong, so it must agree */
function like(ct: Node, wanted: Node): Node {
  if (ct.shape.length === wanted.shape.length) return ct;
  return ops.reduceSum(ct, [0]);
}

export const productRules = {
  dot: {
    shape: (inputs, { a, b, out }) => {
      const x = operand(inputs, 0), y = operand(inputs, 1);
      if (x.dtype !== y.dtype) throw new ShapeError(`dot: operands ${describe(x)} and ${describe(y)} differ in type`);
      const known = new Map<string, number>();
      extents(x, a, known);
      extents(y, b, known);
      const shape = [...out].map((c) => {
        const extent = known.get(c);
        if (extent === undefined) throw new ShapeError(`dot: label '${c}' of the result is in no operand`);
        return extent;
      });
      for (const c of known.keys()) {
        if (Number(a.includes(c)) + Number(b.includes(c)) + Number(out.includes(c)) < 2)
          throw new ShapeError(`dot: label '${c}' stands in one place only; sum it first`);
      }
      return { shape, dtype: x.dtype };
    },
    jvp: 'multilinear',
    transpose: (ct, node, i) => {
      const { a, b, out } = node.attributes;
      return i === 0 ? ops.dot(ct, operand(node.inputs, 1), out, b, a) : ops.dot(ct, operand(node.inputs, 0), out, a, b);
    },
    batch: (node, inputs, batched) => {
      const { a, b, out } = node.attributes;
      const k = letters.find((c) => !(a + b + out).includes(c));
      if (!k) throw new ShapeError('dot: out of labels');
      return ops.dot(operand(inputs, 0), operand(inputs, 1), batched[0] ? k + a : a, batched[1] ? k + b : b, k + out);
    },
  } satisfies Rules<'dot'>,

  conv: {
    shape: ([x, w], { strides, groups, positions }) =>
      convShape('conv', x as Node, w as Node, strides.length + 2, (xs, ws) => {
        channelsAgree('conv', xs[1] as number, groups, ws[1] as number);
        return [xs[0] as number, ws[0] as number, ...positions];
      }),
    jvp: 'multilinear',
    transpose: (ct, node, i) => {
      const a = node.attributes, n = a.strides.length;
      const x = operand(node.inputs, 0), w = operand(node.inputs, 1);
      return i === 0 ? like(ops.convInput(ct, w, a, x.shape.slice(-n)), x) : like(ops.convWeight(x, ct, a, w.shape.slice(-n)), w);
    },
    batch: convBatch,
  } satisfies Rules<'conv'>,

  convInput: {
    shape: ([y, w], { strides, groups, size }) =>
      convShape('convInput', y as Node, w as Node, strides.length + 2, (ys, ws) => [ys[0] as number, (ws[1] as number) * groups, ...size]),
    jvp: 'multilinear',
    transpose: (ct, node, i) => {
      const a = node.attributes, n = a.strides.length;
      const y = operand(node.inputs, 0), w = operand(node.inputs, 1);
      return i === 0
        ? like(ops.convAt(ct, w, { ...a, positions: y.shape.slice(-n) }), y)
        : like(ops.convWeight(ct, y, a, w.shape.slice(-n)), w);
    },
    batch: convBatch,
  } satisfies Rules<'convInput'>,

  convWeight: {
    shape: ([x, y], { strides, groups, size }) =>
      convShape('convWeight', x as Node, y as Node, strides.length + 2, (xs, ys) => [ys[1] as number, (xs[1] as number) / groups, ...size]),
    jvp: 'multilinear',
    transpose: (ct, node, i) => {
      const a = node.attributes, n = a.strides.length;
      const x = operand(node.inputs, 0), y = operand(node.inputs, 1);
      return i === 0
        ? like(ops.convInput(y, ct, a, x.shape.slice(-n)), x)
        : like(ops.convAt(x, ct, { ...a, positions: y.shape.slice(-n) }), y);
    },
    batch: convBatch,
  } satisfies Rules<'convWeight'>,
};
