import type { Node } from '../graph/index.js';
import { isOp } from '../graph/index.js';
import { dependents, reachable } from './reach.js';

const viewOps = new Set(['reshape', 'transpose', 'broadcast', 'slice', 'reverse']);

/**
 * The values a tangent program needs from the primal program: nodes that do not depend on the tangents, read by
 * nodes that do. They are computed once for given parameters and batch, and kept (or computed again). Views are
 * followed to what they look at, so that nothing is stored twice.
 */
export function residuals(outputs: readonly Node[], tangents: readonly Node[]): Node[] {
  const order = reachable(outputs);
  const tangent = dependents(order, tangents);
  const found = new Set<Node>();
  const visit = (x: Node): void => {
    if (tangent.has(x) || isOp(x, 'input') || isOp(x, 'constant') || isOp(x, 'fill') || isOp(x, 'iota')) return;
    if (viewOps.has(x.op)) visit(x.inputs[0] as Node);
    else found.add(x);
  };
  for (const node of order) if (tangent.has(node)) node.inputs.forEach(visit);
  for (const y of outputs) visit(y);
  return [...found].sort((a, b) => a.id - b.id);
}
