/**
 * Which nodes share an instruction.
 *
 * Element-wise nodes of one shape that feed one another become one `map`, with sums and extrema over its results as
 * further outputs. Every node has a level, and an edge either stays inside a unit or ascends in level: so units never
 * wait for one another in a circle, whatever was merged or refused.
 */
import type { Node } from '../graph/index.js';
import { binaryNames, compareNames, isOp, sameShape, unaryNames } from '../graph/index.js';

const elementwiseOps = new Set<string>([
  ...unaryNames,
  ...binaryNames,
  ...compareNames,
  'select',
  'cast',
  'stopGradient',
]);
export const isElementwise = (node: Node): boolean => elementwiseOps.has(node.op);
export const isReduction = (node: Node): boolean =>
  isOp(node, 'reduceSum') || isOp(node, 'reduceMax') || isOp(node, 'reduceMin');
const isLiteral = (node: Node): boolean => isOp(node, 'fill');

/** 'int' is computed in float64, which holds every int32 exactly */
export type ComputeClass = 'float32' | 'float64' | 'int' | 'any';
export function computeClass(node: Node): ComputeClass {
  const types = [node.dtype, ...node.inputs.map((x) => x.dtype)];
  if (isOp(node, 'cast')) return types.includes('float32') ? 'float32' : types.includes('float64') ? 'float64' : 'int';
  if (types.includes('int32')) return 'int';
  return types.includes('float64') ? 'float64' : types.includes('float32') ? 'float32' : 'any';
}
export const joins = (a: ComputeClass, b: ComputeClass): boolean => a === b || a === 'any' || b === 'any';

/** A unit is one instruction's worth of nodes, in topological order; `reductions` only where it is a map. */
export interface Unit {
  readonly elementwise: Node[];
  readonly reductions: Node[];
  /** those of `elementwise` that another unit computes as well, and stores if anybody reads them (recompute.ts) */
  readonly borrowed: ReadonlySet<Node>;
}

/** Longer chains gain nothing and would not keep their registers in cache. */
export const maxUnit = 96;

/** A unit in the making. */
interface Group {
  readonly level: number;
  readonly nodes: Set<Node>;
  compute: ComputeClass;
}

/**
 * Groups the element-wise and reduction nodes of `order`. Other nodes stand alone and are not listed.
 * @param consumers of each node, within `order`
 * @param pinned nodes computed elsewhere (absorbed into an accumulating product, or given)
 */
export function fuse(
  order: readonly Node[],
  consumers: ReadonlyMap<Node, readonly Node[]>,
  pinned: ReadonlySet<Node>,
): Unit[] {
  const fusable = (n: Node): boolean => isElementwise(n) && !pinned.has(n);
  const direct = (from: Node, to: Node): boolean =>
    fusable(from) && fusable(to) && sameShape(from.shape, to.shape) && joins(computeClass(from), computeClass(to));

  const level = new Map<Node, number>();
  const groups = new Map<Node, Group>();
  for (const n of order) {
    let l = 0;
    for (const x of n.inputs) if (!isLiteral(x)) l = Math.max(l, (level.get(x) ?? 0) + (direct(x, n) ? 0 : 1));
    if (fusable(n)) {
      const near = new Set(
        n.inputs.flatMap((x) => (direct(x, n) && level.get(x) === l ? [groups.get(x) as Group] : [])),
      );
      const merged = merge(n, [...near], groups);
      // refused: n reads their results from memory, a level later
      if (!merged && near.size > 0) l += 1;
      if (!merged) groups.set(n, { level: l, nodes: new Set([n]), compute: computeClass(n) });
    }
    level.set(n, l);
  }
  // A node all of whose uses are direct and of one later level moves there, and joins them: it need not be written.
  for (const n of [...order].reverse()) {
    const from = groups.get(n),
      uses = consumers.get(n) ?? [];
    if (!from || !uses.every((u) => direct(n, u))) continue;
    const targets = [...new Set(uses.map((u) => groups.get(u) as Group))];
    const later = targets[0]?.level;
    if (later === undefined || later <= from.level || targets.some((t) => t.level !== later)) continue;
    if (merge(n, targets, groups)) from.nodes.delete(n);
  }

  const units = new Map<Group, Unit>();
  for (const g of new Set(groups.values()))
    units.set(g, { elementwise: [...g.nodes].sort((p, q) => p.id - q.id), reductions: [], borrowed: new Set() });

  // Reductions join the unit that makes their operand; all in one unit reduce the same axes.
  const loose: Unit[] = [];
  for (const n of order) {
    if (!isReduction(n) || pinned.has(n)) continue;
    const group = groups.get(n.inputs[0] as Node);
    const unit = group && units.get(group);
    const axes = (r: Node): string => (r.attributes as { axes: readonly number[] }).axes.join();
    if (unit && computeClass(n) !== 'int' && unit.reductions.every((r) => axes(r) === axes(n))) unit.reductions.push(n);
    else loose.push({ elementwise: [], reductions: [n], borrowed: new Set() });
  }
  return [...units.values(), ...loose];
}

/** Makes n and the groups, all of one level, one group, unless it would become too large or compute in two types. */
function merge(n: Node, groups: readonly Group[], groupOf: Map<Node, Group>): boolean {
  const largest = groups.reduce<Group | undefined>((a, b) => (a && a.nodes.size >= b.nodes.size ? a : b), undefined);
  if (!largest) return false;
  const size = groups.reduce((sum, g) => sum + g.nodes.size, 1);
  let compute = computeClass(n);
  for (const g of groups) {
    if (!joins(compute, g.compute)) return false;
    if (compute === 'any') compute = g.compute;
  }
  if (size > maxUnit) return false;
  for (const g of groups) {
    if (g === largest) continue;
    for (const m of g.nodes) {
      largest.nodes.add(m);
      groupOf.set(m, largest);
    }
  }
  largest.nodes.add(n);
  groupOf.set(n, largest);
  largest.compute = compute;
  return true;
}
