/**
 * The taps of a graph: for each parameter, the operations that its values meet the data in, each as a matrix product
 * (read.ts). Σ over rows of D⊗A, summed over a parameter's taps, is its gradient, exactly.
 *
 * Uses by one operator of the file whose geometry agrees are one tap: the steps of a recurrent layer or of a loop count
 * as positions. A tensor that several operators use (tied weights) has a tap for each. A parameter that is used in any
 * way that is no such product has one tap, 'other', whose D is its gradient.
 */
import { isOp, type Node, type Origin, ops, type Shape, sizeOf } from '../graph/index.js';
import { cotangentsOf, vjp } from '../transform/jvp.js';
import { type Layout, layoutOf } from './layout.js';
import { type Reading, read, type TapKind } from './read.js';
import { readersOf, sourceOf, type Use, usesOf } from './uses.js';

export type { TapKind } from './read.js';

/** A parameter seen as the weight of a matrix product: y[p,g,o] = Σᵢ W[g,o,i]·A[p,g,i] for rows p and groups g. */
export interface LayerTap {
  /** place in the list */
  readonly index: number;
  readonly parameter: string;
  readonly kind: TapKind;
  /** the operator of the file, as "OpType name", or the primitive where a traced function has no name for it */
  readonly consumer: string;
  /** for one sample: of the operator's other operand, and of its result (of each step) */
  readonly inputShape: Shape;
  readonly outputShape: Shape;
  /** rows of A and D per sample */
  readonly positions: number;
  /** independent products side by side: 1, or a convolution's groups; for scales, the number of elements */
  readonly groups: number;
  /** columns of A and of D in each group. For embeddings `in` counts the table's rows, and A holds row indices */
  readonly in: number;
  readonly out: number;
  /** where W[g,o,i] lies in the stored parameter */
  readonly layout: Layout;
  /** for linear and conv: the parameter that is added to the result */
  readonly bias: string | null;
  /** for shifts: the parameter of the linear or conv whose result they are added to */
  readonly weight: string | null;
}

/** A tap with its values, in the graph of one sample. */
export interface TapNodes {
  readonly tap: LayerTap;
  /** [groups, out, in], in terms of `source` */
  readonly selection: Node;
  readonly source: Node;
  /** [positions, groups, in]; embeddings [positions, 1, 1] */
  readonly a: Node;
  /** [positions, groups, out] */
  readonly d: (cotangents: ReadonlyMap<Node, Node>) => Node;
  /** whose cotangents `d` needs; the parameter itself for 'other' */
  readonly values: readonly Node[];
}

export interface TappedGraph {
  /** by name, in order */
  readonly parameters: ReadonlyMap<string, Node>;
  /** leaves that are not parameters */
  readonly data: Iterable<Node>;
  /** what depends on the parameters */
  readonly output: Node;
  /** that the graph was made for; 1 where A and D are wanted per sample */
  readonly samples: number;
}

interface Found {
  readonly parameter: string;
  readonly node: Node;
  /** at one operator, of equal geometry; empty for 'other' */
  readonly readings: readonly { readonly use: Use; readonly reading: Reading }[];
  readonly consumer: string;
}

/** All taps, in the order of the parameters. Parameters without influence on the output have none. */
export function findTaps({ parameters, data, output, samples }: TappedGraph): TapNodes[] {
  const readers = readersOf(output, data);
  const found: Found[] = [];
  for (const [parameter, node] of parameters) {
    const uses = usesOf(node, readers);
    if (uses.length === 0) continue;
    const readings = uses.flatMap((use) => {
      const reading = read(use);
      return reading ? [{ use, reading }] : [];
    });
    if (readings.length < uses.length) {
      found.push({ parameter, node, readings: [], consumer: [...new Set(uses.map(nameOf))].join(', ') });
      continue;
    }
    const together = new Map<Origin | Node, Map<string, typeof readings>>();
    for (const item of readings) {
      const at = node.graph.originOf(item.use.consumer) ?? item.use.consumer;
      const groups = together.get(at) ?? new Map<string, typeof readings>();
      together.set(at, groups);
      const key = geometry(item.reading);
      groups.set(key, [...(groups.get(key) ?? []), item]);
    }
    for (const groups of together.values())
      for (const own of groups.values())
        found.push({ parameter, node, readings: own, consumer: nameOf((own[0] as (typeof own)[number]).use) });
  }
  const links = biases(found);
  return found.map((f, index) => tapOf(f, index, links, samples));
}

const nameOf = ({ consumer }: Use): string => consumer.graph.originOf(consumer)?.name ?? consumer.op;
const geometry = ({ kind, selection, a, inputShape }: Reading): string =>
  [kind, selection.id, a.shape.join(), inputShape.join()].join('|');

interface Links {
  readonly biasOf: ReadonlyMap<Found, string>;
  readonly weightOf: ReadonlyMap<Found, string>;
}
/** shifts with the products that they are added to */
function biases(found: readonly Found[]): Links {
  const products = new Map<Node, Found>();
  for (const f of found)
    for (const { use, reading } of f.readings)
      if (reading.kind === 'linear' || reading.kind === 'conv') products.set(use.consumer, f);
  const biasOf = new Map<Found, string>();
  const weightOf = new Map<Found, string>();
  for (const f of found) {
    for (const { use, reading } of f.readings) {
      if (reading.kind !== 'shift') continue;
      const product = productUnder(use.consumer.inputs[1 - use.operand] as Node, products);
      if (!product || product === f) continue;
      biasOf.set(product, biasOf.get(product) ?? f.parameter);
      weightOf.set(f, product.parameter);
    }
  }
  return { biasOf, weightOf };
}
const carries = new Set(['reshape', 'transpose', 'slice', 'reverse', 'cast']);
/** the product a value is, moved about or scaled by a number */
function productUnder(value: Node, products: ReadonlyMap<Node, Found>): Found | undefined {
  let x = value;
  for (;;) {
    const product = products.get(x);
    if (product) return product;
    const [first, second] = x.inputs;
    if (carries.has(x.op) && first) x = first;
    else if (isOp(x, 'mul') && first && second && isOp(first, 'fill')) x = second;
    else return undefined;
  }
}

function tapOf(f: Found, index: number, { biasOf, weightOf }: Links, samples: number): TapNodes {
  const { parameter, node, consumer } = f;
  const source = sourceOf(node);
  const [first] = f.readings;
  const selection = first ? first.reading.selection : ops.reshape(source, [1, sizeOf(node.shape), 1]);
  const a = first ? joined(f.readings.map(({ reading }) => reading.a)) : node.graph.fill(1, [1, 1, 1], node.dtype);
  const [groups = 1, out = 1, inner = 1] = selection.shape;
  const tap: LayerTap = {
    index,
    parameter,
    kind: first ? first.reading.kind : 'other',
    consumer,
    inputShape: first ? first.reading.inputShape : node.shape,
    outputShape: first ? first.use.consumer.shape : node.shape,
    positions: first ? (a.shape[0] as number) / samples : 1,
    groups,
    in: inner,
    out,
    layout: layoutOf(selection, source),
    bias: biasOf.get(f) ?? null,
    weight: weightOf.get(f) ?? null,
  };
  return {
    tap,
    selection,
    source,
    a,
    values: first ? f.readings.map(({ use }) => use.consumer) : [node],
    d: (cotangents) => {
      const of = (x: Node): Node => cotangents.get(x) ?? ops.zerosLike(x);
      if (!first) return ops.reshape(of(node), [1, 1, sizeOf(node.shape)]);
      return joined(f.readings.map(({ use, reading }) => reading.d(of(use.consumer))));
    },
  };
}
const joined = (parts: readonly Node[]): Node => (parts.length === 1 ? (parts[0] as Node) : ops.concat(parts, 0));

/** D of each tap, for a cotangent of the output: [positions, groups, out]. */
export function cotangentsAt(taps: readonly TapNodes[], output: Node, cotangent: Node): Node[] {
  const consumers = [...new Set(taps.flatMap((t) => (t.tap.kind === 'other' ? [] : t.values)))];
  const parameters = [...new Set(taps.flatMap((t) => (t.tap.kind === 'other' ? t.values : [])))];
  const found = new Map<Node, Node>();
  const keep = (values: readonly Node[], given: readonly (Node | null)[]): void => {
    values.forEach((x, i) => {
      const c = given[i];
      if (c) found.set(x, c);
    });
  };
  keep(consumers, cotangentsOf(output, cotangent, consumers));
  if (parameters.length > 0) keep(parameters, vjp([output], [cotangent], parameters));
  return taps.map((t) => t.d(found));
}
