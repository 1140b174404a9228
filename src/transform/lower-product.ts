import { InternalError } from '../base/errors.js';
import type { Node } from '../graph/index.js';
import { describe, isOp, sizeOf } from '../graph/index.js';
import type { ConvMode } from '../program/format.js';
import type { Lowering, Step } from './lower.js';
import type { Window } from './views.js';

export const isProduct = (n: Node): boolean =>
  isOp(n, 'dot') || isOp(n, 'conv') || isOp(n, 'convInput') || isOp(n, 'convWeight');

/** what can be added to what is there already: products and sums of looked-up rows */
const accumulates = (n: Node): boolean => isProduct(n) || (isOp(n, 'takeTranspose') && n.dtype !== 'int32');

/** how many leading axes of a convolution's result may have gaps after them: the k of a block of products */
export function leadingAxes(node: Node): number {
  return isOp(node, 'conv') || isOp(node, 'convInput') || isOp(node, 'convWeight')
    ? Math.max(0, node.shape.length - node.attributes.strides.length - 2)
    : 0;
}

export interface Sums {
  /** sum → the products that are its terms, and after them what touches some rows only */
  readonly terms: ReadonlyMap<Node, readonly Node[]>;
  /** everything a sum replaces: its terms and the partial sums between */
  readonly replaced: ReadonlySet<Node>;
}

/**
 * Additions whose operands are products, or gradients of look-ups, used nowhere else: each further one accumulates onto
 * the first, which saves writing and reading a whole intermediate (in a language model with tied embeddings, two of the
 * size of its largest weight). Nested sums are flattened.
 */
export function findSums(
  order: readonly Node[],
  consumers: ReadonlyMap<Node, readonly Node[]>,
  requested: { has(n: Node): boolean },
): Sums {
  const terms = new Map<Node, Node[]>();
  const replaced = new Set<Node>();
  const termsOf = (n: Node): Node[] | null => {
    if (requested.has(n) || (consumers.get(n)?.length ?? 0) !== 1) return null;
    return accumulates(n) ? [n] : (terms.get(n) ?? null);
  };
  for (const n of order) {
    if (!isOp(n, 'add') || n.inputs[0] === n.inputs[1] || n.dtype === 'int32') continue;
    const a = termsOf(n.inputs[0] as Node),
      b = termsOf(n.inputs[1] as Node);
    if (!a || !b) continue;
    for (const x of n.inputs) {
      terms.delete(x);
      replaced.add(x);
    }
    const all = [...a, ...b];
    terms.set(n, [...all.filter(isProduct), ...all.filter((t) => !isProduct(t))]);
  }
  return { terms, replaced };
}

export function productStep(l: Lowering, node: Node, out: Window, accumulate: boolean): Step {
  if (isOp(node, 'dot')) return dotStep(l, node, out, accumulate);
  if (isOp(node, 'conv')) return convStep(l, node, 'forward', out, accumulate);
  if (isOp(node, 'convInput')) return convStep(l, node, 'input', out, accumulate);
  if (isOp(node, 'convWeight')) return convStep(l, node, 'weight', out, accumulate);
  throw new InternalError(`${describe(node)} is no product`);
}

function dotStep(l: Lowering, node: Node<'dot'>, out: Window, accumulate: boolean): Step {
  const [x, y] = node.inputs as [Node, Node];
  const { a, b, out: c } = node.attributes;
  const wa = l.window(x),
    wb = l.window(y);
  const alphabet = [...new Set(a + b + c)];
  const numbers = (labels: string): number[] => [...labels].map((s) => alphabet.indexOf(s));
  const extent = (s: string): number => (a.includes(s) ? x.shape[a.indexOf(s)] : y.shape[b.indexOf(s)]) ?? 1;
  return {
    label: `dot ${a},${b}->${c} ${alphabet.map((s) => `${s}=${extent(s)}`).join(' ')}`,
    reads: accumulate ? [wa, wb, out] : [wa, wb],
    writes: [out],
    flops: 2 * alphabet.reduce((n, s) => n * extent(s), 1),
    emit: (v) => ({
      kind: 'dot',
      a: v(wa),
      b: v(wb),
      c: v(out),
      labelsA: numbers(a),
      labelsB: numbers(b),
      labelsC: numbers(c),
      alpha: 1,
      accumulate,
    }),
  };
}

function convStep(
  l: Lowering,
  node: Node<'conv'> | Node<'convInput'> | Node<'convWeight'>,
  mode: ConvMode,
  out: Window,
  accumulate: boolean,
): Step {
  const g = node.attributes,
    rank = g.strides.length + 2;
  const k = node.shape.length > rank ? (node.shape[0] as number) : 1;
  const withLead = (w: Window): Window =>
    w.shape.length > rank ? w : { ...w, shape: [k, ...w.shape], strides: [0, ...w.strides] };
  const operand = (n: Node): Window => withLead(l.compact(n, n.shape.length > rank ? 1 : 0));
  const [p, q] = node.inputs as [Node, Node];
  const first = operand(p),
    second = operand(q),
    result = withLead(out);
  const [x, w, y] =
    mode === 'forward' ? [first, second, result] : mode === 'input' ? [result, second, first] : [first, result, second];
  const window = w.shape.slice(2),
    positions = y.shape.slice(3);
  return {
    label: `conv.${mode} x[${x.shape}] w[${w.shape}] y[${y.shape}]`,
    reads: accumulate ? [first, second, out] : [first, second],
    writes: [out],
    // one multiply-add per output position, output channel and window element
    flops: 2 * k * (y.shape[1] as number) * (y.shape[2] as number) * sizeOf(positions) * sizeOf(window),
    emit: (v) => ({
      kind: 'conv',
      mode,
      x: v(x),
      w: v(w),
      y: v(y),
      strides: g.strides,
      padLow: g.padLow,
      dilations: g.dilations,
      groups: g.groups,
      accumulate,
    }),
  };
}
