/** dot and the three convolutions: each linear in either operand, and closed under transposition. */
import { ShapeError } from '../../base/errors.js';
import type { ConvAttributes, Node } from '../node.js';
import { describe, isFloat } from '../node.js';
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
  name: string,
  a: Node,
  b: Node,
  g: ConvAttributes,
  space: readonly number[],
  result: (a: readonly number[], b: readonly number[]) => [number, number],
): { shape: number[]; dtype: Node['dtype'] } {
  const n = g.strides.length;
  if (
    n < 1 ||
    n > 3 ||
    [g.padLow, g.dilations, space].some((l) => l.length !== n) ||
    [...g.strides, ...g.dilations, g.groups].some((s) => s < 1)
  )
    throw new ShapeError(
      `${name}: strides [${g.strides}], pads [${g.padLow}], dilations [${g.dilations}] and space [${space}] do not fit together`,
    );
  if (a.dtype !== b.dtype || !isFloat(a.dtype))
    throw new ShapeError(`${name}: operands ${describe(a)} and ${describe(b)} need one floating-point type`);
  const p = splitLead(a, n + 2),
    q = splitLead(b, n + 2);
  if (p.k !== undefined && q.k !== undefined && p.k !== q.k)
    throw new ShapeError(`${name}: ${describe(a)} and ${describe(b)} differ in their leading axis`);
  const k = p.k ?? q.k;
  const shape = [...result(p.shape, q.shape), ...space];
  return { shape: k === undefined ? shape : [k, ...shape], dtype: a.dtype };
}
const agree = (name: string, what: string, a: number, b: number): void => {
  if (a !== b) throw new ShapeError(`${name}: ${what} differ, ${a} and ${b}`);
};
const inGroups = (name: string, what: string, count: number, groups: number): void => {
  if (count % groups !== 0) throw new ShapeError(`${name}: ${count} ${what} do not divide into ${groups} groups`);
};

type ConvName = 'conv' | 'convInput' | 'convWeight';
/** One leading axis may already be there (a block of products); a second one is merged into it. */
function convBatch<P extends ConvName>(
  node: Node<P>,
  inputs: readonly Node[],
  batched: readonly boolean[],
  size: number,
): Node {
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
      const x = operand(inputs, 0),
        y = operand(inputs, 1);
      if (x.dtype !== y.dtype || !isFloat(x.dtype))
        throw new ShapeError(`dot: operands ${describe(x)} and ${describe(y)} need one floating-point type`);
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
      return i === 0
        ? ops.dot(ct, operand(node.inputs, 1), out, b, a)
        : ops.dot(ct, operand(node.inputs, 0), out, a, b);
    },
    batch: (node, inputs, batched) => {
      const { a, b, out } = node.attributes;
      const k = letters.find((c) => !(a + b + out).includes(c));
      if (!k) throw new ShapeError('dot: out of labels');
      return ops.dot(operand(inputs, 0), operand(inputs, 1), batched[0] ? k + a : a, batched[1] ? k + b : b, k + out);
    },
  } satisfies Rules<'dot'>,

  conv: {
    shape: ([x, w], g) =>
      convShape('conv', x as Node, w as Node, g, g.positions, ([samples, channels], [out, inner]) => {
        agree('conv', 'channels', channels as number, (inner as number) * g.groups);
        inGroups('conv', 'output channels', out as number, g.groups);
        return [samples as number, out as number];
      }),
    jvp: 'multilinear',
    transpose: (ct, node, i) => {
      const a = node.attributes,
        n = a.strides.length;
      const x = operand(node.inputs, 0),
        w = operand(node.inputs, 1);
      return i === 0
        ? like(ops.convInput(ct, w, a, x.shape.slice(-n)), x)
        : like(ops.convWeight(x, ct, a, w.shape.slice(-n)), w);
    },
    batch: convBatch,
  } satisfies Rules<'conv'>,

  convInput: {
    shape: ([y, w], g) =>
      convShape('convInput', y as Node, w as Node, g, g.size, ([samples, channels], [out, inner]) => {
        agree('convInput', 'output channels', channels as number, out as number);
        inGroups('convInput', 'output channels', out as number, g.groups);
        return [samples as number, (inner as number) * g.groups];
      }),
    jvp: 'multilinear',
    transpose: (ct, node, i) => {
      const a = node.attributes,
        n = a.strides.length;
      const y = operand(node.inputs, 0),
        w = operand(node.inputs, 1);
      return i === 0
        ? like(ops.convAt(ct, w, { ...a, positions: y.shape.slice(-n) }), y)
        : like(ops.convWeight(ct, y, a, w.shape.slice(-n)), w);
    },
    batch: convBatch,
  } satisfies Rules<'convInput'>,

  convWeight: {
    shape: ([x, y], g) =>
      convShape('convWeight', x as Node, y as Node, g, g.size, ([samples, channels], [same, out]) => {
        agree('convWeight', 'samples', samples as number, same as number);
        inGroups('convWeight', 'channels', channels as number, g.groups);
        inGroups('convWeight', 'output channels', out as number, g.groups);
        return [out as number, (channels as number) / g.groups];
      }),
    jvp: 'multilinear',
    transpose: (ct, node, i) => {
      const a = node.attributes,
        n = a.strides.length;
      const x = operand(node.inputs, 0),
        y = operand(node.inputs, 1);
      return i === 0
        ? like(ops.convInput(y, ct, a, x.shape.slice(-n)), x)
        : like(ops.convAt(x, ct, { ...a, positions: y.shape.slice(-n) }), y);
    },
    batch: convBatch,
  } satisfies Rules<'convWeight'>,
};
