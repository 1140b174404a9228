import type { Node } from '../graph/index.js';

/** Every node the outputs need, in topological order (ids ascend along every edge). Nodes in `stop` are leaves. */
export function reachable(outputs: Iterable<Node>, stop?: { has(node: Node): boolean }): Node[] {
  const seen = new Set<Node>();
  const stack = [...outputs];
  for (let node = stack.pop(); node; node = stack.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    if (!stop?.has(node)) stack.push(...node.inputs);
  }
  return [...seen].sort((a, b) => a.id - b.id);
}

/** The nodes among `order` (topological) that depend on any of `leaves`, leaves included. */
export function dependents(order: readonly Node[], leaves: Iterable<Node>): Set<Node> {
  const found = new Set<Node>(leaves);
  for (const node of order) if (node.inputs.some((x) => found.has(x))) found.add(node);
  return found;
}
