import { cached } from '../base/cached.js';
import type { Node } from '../graph/index.js';
import { isOp, sizeOf } from '../graph/index.js';
import { bytesPerElement } from '../program/format.js';
import { isElementwise } from './fuse.js';
import { dependents, reachable } from './reach.js';
import { isCheap } from './recompute.js';

export const viewOps = new Set(['reshape', 'transpose', 'broadcast', 'slice', 'reverse']);

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

export interface Residuals {
  readonly kept: readonly Node[];
  /** what the tangent program computes from them, element by element, where it would have read a residual */
  readonly again: ReadonlySet<Node>;
}

/** Residuals are computed again from others by at most so many operations. */
const longestChain = 4;
/** New residuals may take up to this part of what they replace. */
const newPart = 0.25;

/**
 * Residuals without those that a few operations make of others: multiples of one value, products with what a row
 * shares. A value that is none yet becomes one where it replaces several, or a far larger one. Only residuals that
 * nothing but element-wise work reads: a matrix product would need them in memory.
 */
export function fewerResiduals(outputs: readonly Node[], tangents: readonly Node[]): Residuals {
  const all = residuals(outputs, tangents);
  const tangent = dependents(reachable(outputs), tangents);
  const elsewhere = new Set<Node>(outputs);
  for (const n of tangent)
    for (const x of n.inputs) if (!isElementwise(n) || viewOps.has(x.op)) elsewhere.add(rootOf(x));
  const kept = new Set(all);
  const again = new Set<Node>();

  const replace = (r: Node, chain: readonly Node[], leaves: ReadonlySet<Node>): void => {
    kept.delete(r);
    for (const n of chain) again.add(n);
    for (const x of leaves) kept.add(x);
  };
  // by the one large value that several residuals would be made of
  const alike = new Map<Node, { r: Node; chain: readonly Node[]; leaves: ReadonlySet<Node> }[]>();
  for (const r of all) {
    if (elsewhere.has(r) || !isCheap(r)) continue;
    const { chain, leaves } = origin(r, kept);
    if (chain.length > longestChain) continue;
    const large = [...leaves].filter((x) => bytesOf(x) > newPart * bytesOf(r));
    const small = [...leaves].reduce((sum, x) => sum + bytesOf(x), 0);
    if (small <= newPart * bytesOf(r)) replace(r, chain, leaves);
    else if (large.length === 1) cached(alike, large[0] as Node, () => []).push({ r, chain, leaves });
  }
  for (const [source, group] of alike) {
    const saved = group.reduce((sum, { r }) => sum + bytesOf(r), 0);
    if (group.length > 1 && saved > bytesOf(source))
      for (const { r, chain, leaves } of group) replace(r, chain, leaves);
  }
  return { kept: [...kept].sort((a, b) => a.id - b.id), again };
}

const bytesOf = (n: Node): number => sizeOf(n.shape) * bytesPerElement[n.dtype];
const rootOf = (n: Node): Node => (viewOps.has(n.op) ? rootOf(n.inputs[0] as Node) : n);
const isGiven = (n: Node): boolean => isOp(n, 'input') || isOp(n, 'constant') || isOp(n, 'fill') || isOp(n, 'iota');

/** The cheap element-wise nodes that make r, and what they are made of that is neither kept nor given. */
function origin(r: Node, kept: ReadonlySet<Node>): { chain: readonly Node[]; leaves: ReadonlySet<Node> } {
  const chain = new Set<Node>();
  const leaves = new Set<Node>();
  const visit = (n: Node): void => {
    if (chain.has(n) || isGiven(n) || (n !== r && kept.has(n)) || chain.size > longestChain) return;
    if (viewOps.has(n.op)) {
      const root = rootOf(n);
      if (!isGiven(root) && !kept.has(root)) leaves.add(root);
    } else if (isCheap(n)) {
      chain.add(n);
      n.inputs.forEach(visit);
    } else leaves.add(n);
  };
  visit(r);
  return { chain: [...chain], leaves };
}
