import type { Node } from '../graph/index.js';
import type { Rules } from '../graph/rules.js';
import { rules } from '../graph/rules.js';
import { dependents, reachable } from './reach.js';

/**
 * The outputs with a leading axis of extent `size`, given leaves replaced by values that have it. What depends on
 * no such leaf stays as it is: k products share their primal work, and meet it as larger matrix products.
 * An output that depends on none is returned unbatched.
 * @param again element-wise nodes that what depends on the leaves computes for itself, with the axis, though they do not
 */
export function batch(
  outputs: readonly Node[],
  leaves: ReadonlyMap<Node, Node>,
  size: number,
  again: ReadonlySet<Node> = new Set(),
): { node: Node; batched: boolean }[] {
  const found = new Map<Node, Node>(leaves);
  const order = reachable(outputs);
  const moving = dependents(order, leaves.keys());
  for (const node of order) {
    if (found.has(node) || !(moving.has(node) || again.has(node))) continue;
    const flags = node.inputs.map((x) => found.has(x));
    const inputs = node.inputs.map((x) => found.get(x) ?? x);
    const { batch: rule } = rules[node.op] as unknown as Rules<'input'>;
    found.set(node, rule(node as Node<'input'>, inputs, flags, size));
  }
  return outputs.map((y) => ({ node: found.get(y) ?? y, batched: found.has(y) }));
}
