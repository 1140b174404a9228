import { UnsupportedError } from '../base/errors.js';
import type { Node } from '../graph/index.js';
import { describe, isFloat, ops } from '../graph/index.js';
import type { Rules, Tangent } from '../graph/rules.js';
import { rules } from '../graph/rules.js';
import { reachable } from './reach.js';

/**
 * Forward mode: the directional derivative of each output as the leaves move along their tangents.
 *
 *   ẏ = Σ_leaf (∂y/∂leaf)·leaf̊
 *
 * The result is linear in the tangents, node by node, which is what transpose.ts relies on. null is a structural
 * zero: an output that does not depend on a leaf has no tangent, and nothing is computed for it. A leaf cuts off what
 * it is computed from; values in `added` move by theirs besides what reaches them.
 */
export function jvp(
  outputs: readonly Node[],
  tangents: ReadonlyMap<Node, Node>,
  added: ReadonlyMap<Node, Node> = new Map(),
): Tangent[] {
  const found = new Map<Node, Tangent>(tangents);
  for (const node of reachable(outputs)) {
    if (found.has(node)) continue;
    const incoming = node.inputs.map((x) => found.get(x) ?? null);
    const own = isFloat(node.dtype) && incoming.some((t) => t) ? tangentOf(node, incoming) : null;
    const further = added.get(node);
    found.set(node, own && further ? ops.add(own, further) : (further ?? own));
  }
  return outputs.map((y) => found.get(y) ?? null);
}

function tangentOf(node: Node, incoming: readonly Tangent[]): Tangent {
  const { jvp: rule } = rules[node.op] as Rules<typeof node.op>;
  if (rule === 'zero') return null;
  if (rule !== 'multilinear') return (rule as (n: Node, t: readonly Tangent[]) => Tangent)(node, incoming);
  let sum: Tangent = null;
  incoming.forEach((t, i) => {
    if (!t) return;
    const term = node.graph.make(
      node.op,
      node.inputs.map((x, j) => (j === i ? t : x)),
      node.attributes as never,
    );
    sum = sum ? ops.add(sum, term) : term;
  });
  return sum;
}

/**
 * Reverse mode as transposition: given `outputs` that depend linearly on the `leaves`, and a cotangent for each
 * output, the cotangent of each leaf, i.e. Aᵀ·c where outputs = A·leaves. null where the leaf has no influence.
 */
export function transpose(
  outputs: readonly Node[],
  cotangents: readonly Tangent[],
  leaves: readonly Node[],
): Tangent[] {
  const found = new Map<Node, Node>();
  const receive = (node: Node, c: Tangent): void => {
    if (!c) return;
    const before = found.get(node);
    found.set(node, before ? ops.add(before, c) : c);
  };
  outputs.forEach((y, i) => {
    receive(y, cotangents[i] ?? null);
  });
  const order = reachable(outputs);
  const linear = new Set<Node>(leaves);
  for (const node of order) if (node.inputs.some((x) => linear.has(x))) linear.add(node);
  const stop = new Set(leaves);
  for (const node of order.reverse()) {
    const c = found.get(node);
    if (!c || stop.has(node) || !linear.has(node)) continue;
    const { transpose: rule } = rules[node.op] as Rules<typeof node.op>;
    if (rule === 'notLinear')
      throw new UnsupportedError(`${describe(node)} was met while transposing, but it is not linear`);
    node.inputs.forEach((x, i) => {
      if (linear.has(x)) receive(x, (rule as (c: Node, n: Node, i: number) => Tangent)(c, node, i));
    });
  }
  return leaves.map((leaf) => found.get(leaf) ?? null);
}

/** Fresh tangent inputs for the leaves; the names are made unique by `label`. */
export function tangentInputs(leaves: readonly Node[], label: string): Node[] {
  return leaves.map((leaf) => leaf.graph.input(`${label}(${leaf.id})`, leaf.shape, leaf.dtype));
}

/** ∇ of a scalar with respect to the leaves: the transpose of its linearisation at cotangent 1. */
export function gradient(loss: Node, leaves: readonly Node[]): Tangent[] {
  const inputs = tangentInputs(leaves, 'd');
  const [tangent] = jvp([loss], new Map(leaves.map((leaf, i) => [leaf, inputs[i] as Node])));
  if (!tangent) return leaves.map(() => null);
  return transpose([tangent], [loss.graph.fill(1, loss.shape, loss.dtype)], inputs);
}

/** Jᵀ·c for outputs as functions of the leaves. */
export function vjp(outputs: readonly Node[], cotangents: readonly Node[], leaves: readonly Node[]): Tangent[] {
  const inputs = tangentInputs(leaves, 'd');
  const linear = jvp(outputs, new Map(leaves.map((leaf, i) => [leaf, inputs[i] as Node])));
  const live = linear.flatMap((t, i) => (t ? [{ t, c: cotangents[i] as Node }] : []));
  return transpose(
    live.map(({ t }) => t),
    live.map(({ c }) => c),
    inputs,
  );
}

/**
 * Σ c·∂output/∂value for every value on the way, each as if something were added to it: unlike leaves of `vjp`, values
 * may depend on one another. null where a value has no influence.
 */
export function cotangentsOf(output: Node, cotangent: Node, values: readonly Node[]): Tangent[] {
  const inputs = tangentInputs(values, 'e');
  const [moved] = jvp([output], new Map(), new Map(values.map((x, i) => [x, inputs[i] as Node])));
  return moved ? transpose([moved], [cotangent], inputs) : values.map(() => null);
}
