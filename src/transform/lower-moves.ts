/** Nodes that move or look up values, or reduce along one axis: each is one instruction or a few copies. */
import type { Node, PrimitiveName } from '../graph/index.js';
import { describe, sizeOf } from '../graph/index.js';
import type { Lowering, Target } from './lower.js';
import { partsOf } from './place.js';
import type { Window } from './views.js';
import { isContiguous, reshaped, sameWindow, sliced } from './views.js';

type Move<P extends PrimitiveName> = (l: Lowering, node: Node<P>) => void;
const first = (n: Node): Node => n.inputs[0] as Node;
const second = (n: Node): Node => n.inputs[1] as Node;
const product = (shape: readonly number[], from: number, to: number): number => sizeOf(shape.slice(from, to));

const argReduce =
  (largest: boolean): Move<'argMax'> =>
  (l, node) => {
    const { axis } = node.attributes;
    const x = l.window(first(node)),
      y = l.plain(node);
    const kept = reshaped(
      y,
      first(node).shape.map((d, i) => (i === axis ? 1 : d)),
    ) as Window;
    l.push(node, [x], { window: y, accumulate: false }, (v) => ({
      kind: 'argReduce',
      x: v(x),
      y: v(kept),
      axis,
      largest,
    }));
  };
const windowMove =
  (mode: 'sum' | 'sumTranspose' | 'argmax'): Move<'windowSum'> =>
  (l, node) => {
    const a = node.attributes,
      n = a.window.length,
      source = l.compact(first(node));
    const out = l.plain(node, (w) => isContiguous(w));
    const flat = (w: Window): Window =>
      reshaped(w, [product(w.shape, 0, w.shape.length - n), ...w.shape.slice(-n)]) as Window;
    const [x, y] = mode === 'sumTranspose' ? [flat(out), flat(source)] : [flat(source), flat(out)];
    l.push(node, [source], { window: out, accumulate: false }, (v) => ({
      kind: 'window',
      mode,
      x: v(x),
      y: v(y),
      window: a.window,
      strides: a.strides,
      padLow: a.padLow,
      dilations: a.dilations,
    }));
  };

/** Where a takeTranspose writes, as [outer, size, inner]; null where the window's strides do not allow it. */
export function rowsOf({ attributes: { axis, size }, shape }: Node<'takeTranspose'>, w: Window): Window | null {
  return reshaped(w, [product(shape, 0, axis), size, product(shape, axis + 1, shape.length)]);
}
export function addRows(l: Lowering, node: Node<'takeTranspose'>, target: Target): void {
  const x = rowsOf(node, target.window) as Window;
  const [outer, , inner] = x.shape as [number, number, number];
  const count = sizeOf(second(node).shape);
  const y = l.reshape(first(node), [outer, count, inner]);
  const index = l.reshape(second(node), [count]);
  l.push(node, [y, index], target, (v) => ({
    kind: 'takeTranspose',
    x: v(x),
    index: v(index),
    y: v(y),
    accumulate: target.accumulate,
  }));
}

export const moves: { [P in PrimitiveName]?: Move<P> } = {
  argMax: argReduce(true),
  argMin: argReduce(false) as unknown as Move<'argMin'>,
  windowSum: windowMove('sum'),
  windowSumTranspose: windowMove('sumTranspose') as unknown as Move<'windowSumTranspose'>,
  windowArgMax: windowMove('argmax') as unknown as Move<'windowArgMax'>,
  cumsum: (l, node) => {
    const { axis, exclusive, reverse } = node.attributes;
    const x = l.window(first(node)),
      y = l.plain(node);
    l.push(node, [x], { window: y, accumulate: false }, (v) => ({
      kind: 'cumsum',
      x: v(x),
      y: v(y),
      axis,
      exclusive,
      reverse,
    }));
  },
  argsort: (l, node) => {
    const { axis, descending } = node.attributes;
    const x = l.window(first(node)),
      y = l.plain(node);
    l.push(node, [x], { window: y, accumulate: false }, (v) => ({
      kind: 'argsort',
      x: v(x),
      y: v(y),
      axis,
      descending,
    }));
  },
  take: (l, node) => {
    const { axis } = node.attributes,
      s = first(node).shape;
    const outer = product(s, 0, axis),
      inner = product(s, axis + 1, s.length),
      count = sizeOf(second(node).shape);
    const x = l.reshape(first(node), [outer, s[axis] as number, inner]);
    const index = l.reshape(second(node), [count]);
    const out = l.plain(node, (w) => reshaped(w, [outer, count, inner]) !== null);
    const y = reshaped(out, [outer, count, inner]) as Window;
    l.push(node, [x, index], { window: out, accumulate: false }, (v) => ({
      kind: 'take',
      x: v(x),
      index: v(index),
      y: v(y),
    }));
  },
  // a target may have gaps; it serves if it can be seen as rows
  takeTranspose: (l, node) => {
    addRows(
      l,
      node,
      l.destination(node, (w) => rowsOf(node, w) !== null),
    );
  },
  gatherElements: (l, node) => {
    const x = l.window(first(node)),
      index = l.window(second(node)),
      y = l.plain(node);
    l.push(node, [x, index], { window: y, accumulate: false }, (v) => ({
      kind: 'gatherElements',
      x: v(x),
      index: v(index),
      y: v(y),
      axis: node.attributes.axis,
    }));
  },
  scatterElements: (l, node) => {
    const y = l.window(first(node)),
      index = l.window(second(node)),
      x = l.plain(node);
    l.push(node, [y, index], { window: x, accumulate: false }, (v) => ({
      kind: 'scatterElements',
      x: v(x),
      index: v(index),
      y: v(y),
      axis: node.attributes.axis,
      accumulate: false,
    }));
  },
  pad: (l, node) => {
    const { low, interior } = node.attributes;
    const source = l.window(first(node)),
      out = l.plain(node);
    l.fillWith(out, 0, describe(node));
    const inside = sliced(
      out,
      low,
      source.shape,
      interior.map((i) => i + 1),
    );
    if (sizeOf(source.shape) > 0) l.copy(source, inside, describe(node));
  },
  concat: (l, node) => {
    const out = l.plain(node),
      windows = partsOf(node, out);
    node.inputs.forEach((part, i) => {
      const source = l.window(part),
        inside = windows[i] as Window;
      // most parts were computed where they belong
      if (sizeOf(part.shape) > 0 && !sameWindow(source, inside)) l.copy(source, inside, describe(node));
    });
  },
};
