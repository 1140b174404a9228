/**
 * Which nodes share an instruction.
 *
 * Element-wise nodes of one shape that feed one another become one `map`, with sums and extrema over its results as
 * further outputs. A node's level counts the barriers (anything that is not such a direct feed) on the longest way
 * to it; fusing only within a level keeps the units free of cycles, since every edge between units ascends.
 */
import type { Node } from '../graph/index.js';
import { binaryNames, compareNames, isOp, unaryNames } from '../graph/index.js';

const elementwiseOps = new Set<string>([...unaryNames, ...binaryNames, ...compareNames, 'select', 'cast', 'stopGradient']);
export const isElementwise = (node: Node): boolean => elementwiseOps.has(node.op);
export const isReduction = (node: Node): boolean => isOp(node, 'reduceSum') || isOp(node, 'reduceMax') || isOp(node, 'reduceMin');
const isLiteral = (node: Node): boolean => isOp(node, 'fill');

/** 'int' is computed in float64, which holds every int32 exactly */
export type ComputeClass = 'float32' | 'float64' | 'int' | 'any';
export function computeClass(node: Node): ComputeClass {
  const types = [node.dtype, ...node.inputs.map((x) => x.dtype)];
  if (isOp(node, 'cast')) return types.includes('float32') ? 'float32' : types.includes('float64') ? 'float64' : 'int';
  if (types.includes('int32')) return 'int';
  return types.includes('float64') ? 'float64' : types.includes('float32') ? 'float32' : 'any';
}
const joins = (a: ComputeClass, b: ComputeClass): boolean => a === b || a === 'any' || b === 'any';

/** A unit is one instruction's worth of nodes, in topological order; `reductions` only where it is a map. */
export interface Unit {
  readonly elementwise: Node[];
  readonly reductions: Node[];
}

/**
 * Groups the element-wise and reduction nodes of `order`. Other nodes stand alone and are not listed.
 * @param consumers of each node, within `order`
 * @param pinned nodes whose instruction is chosen elsewhere (absorbed into an accumulating product)
 */
export function fuse(order: readonly Node[], consumers: ReadonlyMap<Node, readonly Node[]>, pinned: ReadonlySet<Node>): Unit[] {
  const fusable = (n: Node): boolean => isElementwise(n) && !pinned.has(n);
  const direct = (from: Node, to: Node): boolean =>
    fusable(from) && fusable(to) && from.shape.join() === to.shape.join() && joins(computeClass(from), computeClass(to));

  const level = new Map<Node, number>();
  for (const n of order) {
    let l = 0;
    for (const x of n.inputs) if (!isLiteral(x)) l = Math.max(l, (level.get(x) ?? 0) + (direct(x, n) ? 0 : 1));
    level.set(n, l);
  }
  // A node all of whose uses are direct and wait for something later moves to them, to be fused there.
  for (const n of [...order].reverse()) {
    const uses = consumers.get(n) ?? [];
    const first = uses[0];
    if (!first || !fusable(n)) continue;
    const target = level.get(first) as number;
    if (target > (level.get(n) as number) && uses.every((u) => direct(n, u) && level.get(u) === target)) level.set(n, target);
  }

  const parent = new Map<Node, Node>();
  const root = (n: Node): Node => {
    let r = n;
    for (let p = parent.get(r); p && p !== r; p = parent.get(r)) r = p;
    return r;
  };
  const members = new Map<Node, { list: Node[]; compute: ComputeClass }>();
  for (const n of order) {
    if (!fusable(n)) continue;
    parent.set(n, n);
    members.set(n, { list: [n], compute: computeClass(n) });
    for (const x of n.inputs) {
      if (!direct(x, n) || level.get(x) !== level.get(n)) continue;
      const a = root(x), b = root(n);
      if (a === b) continue;
      const ma = members.get(a), mb = members.get(b);
      if (!ma || !mb || !joins(ma.compute, mb.compute)) continue;
      if (ma.list.length + mb.list.length > maxUnit) continue;
      parent.set(b, a);
      ma.list.push(...mb.list);
      if (ma.compute === 'any') ma.compute = mb.compute;
      members.delete(b);
    }
  }
  const units = new Map<Node, Unit>();
  for (const [r, { list }] of members) units.set(r, { elementwise: list.sort((p, q) => p.id - q.id), reductions: [] });

  // Reductions join the unit that makes their operand; all in one unit reduce the same axes.
  const loose: Unit[] = [];
  for (const n of order) {
    if (!isReduction(n) || pinned.has(n)) continue;
    const x = n.inputs[0] as Node;
    const unit = fusable(x) ? units.get(root(x)) : undefined;
    const axes = (r: Node): string => (r.attributes as { axes: readonly number[] }).axes.join();
    if (unit && computeClass(n) !== 'int' && unit.reductions.every((r) => axes(r) === axes(n))) unit.reductions.push(n);
    else loose.push({ elementwise: [], reductions: [n] });
  }
  return [...units.values(), ...loose];
}

/** Longer chains gain nothing and would not keep their registers in cache. */
const maxUnit = 96;
