/**
 * Which values are computed again where they are read, instead of being written and read back.
 *
 * A value that one unit makes and others read costs memory traffic: once to write it, once per reader. Computing it in
 * each reader from values that are in memory anyway costs their reading, where the reader does not read them already,
 * and arithmetic, which is cheap. So the multiples of one tangent that a chain rule leaves behind (½u̇, √½·u̇, φ·u̇) are
 * one stored value; and a sum that a second pass would write is read as its terms.
 */
import type { Node } from '../graph/index.js';
import { isOp, sizeOf } from '../graph/index.js';
import { bytesPerElement } from '../program/format.js';
import { computeClass, isElementwise, joins, maxUnit, type Unit } from './fuse.js';

/** Arithmetic of one element, in bytes that could be moved instead. */
const cheap = 0.5;
const dear = 8;
const dearOps = new Set<string>([
  ...[
    'div',
    'sqrt',
    'rsqrt',
    'reciprocal',
    'exp',
    'expm1',
    'log',
    'log1p',
    'sin',
    'cos',
    'tan',
    'asin',
    'acos',
    'atan',
  ],
  ...['sinh', 'cosh', 'asinh', 'acosh', 'atanh', 'tanh', 'sigmoid', 'softplus', 'erf', 'pow', 'atan2', 'mod'],
]);
export const isCheap = (n: Node): boolean => isElementwise(n) && !dearOps.has(n.op);
const work = (n: Node): number => sizeOf(n.shape) * (dearOps.has(n.op) ? dear : cheap);

/** Bytes that reading a value moves: of a broadcast, those of what it repeats. */
function traffic(n: Node): number {
  if (isOp(n, 'fill')) return 0;
  if (isOp(n, 'broadcast') || isOp(n, 'reshape') || isOp(n, 'transpose')) return traffic(n.inputs[0] as Node);
  return sizeOf(n.shape) * bytesPerElement[n.dtype];
}

/** A reader in the making: what it computes, and what it reads. */
interface Reader {
  readonly unit: Unit;
  readonly computed: Set<Node>;
  readonly read: Set<Node>;
}

/**
 * The units with what they compute again among their element-wise nodes, marked as `borrowed`. The owner drops what
 * nobody reads from it any more.
 * @param stored values that must be in memory: results, and what is computed elsewhere
 */
export function recompute(
  units: readonly Unit[],
  consumers: ReadonlyMap<Node, readonly Node[]>,
  stored: { has(n: Node): boolean },
): Unit[] {
  const readers = units.map((unit): Reader => {
    const computed = new Set(unit.elementwise);
    const read = new Set(
      [...unit.elementwise, ...unit.reductions].flatMap((n) => n.inputs).filter((x) => !computed.has(x)),
    );
    return { unit, computed, read };
  });
  const owner = new Map<Node, Reader>();
  const computing = new Map<Node, Reader[]>(); // every reader that computes or reduces the node
  for (const r of readers) {
    for (const n of r.unit.elementwise) owner.set(n, r);
    for (const n of [...r.unit.elementwise, ...r.unit.reductions]) computing.set(n, [r]);
  }
  /** the readers that need n from memory, or null if something other than a map does */
  const readersOf = (n: Node): Reader[] | null => {
    const found = new Set<Reader>();
    for (const c of consumers.get(n) ?? []) {
      const at = computing.get(c);
      if (!at) return null;
      for (const r of at) if (!r.computed.has(n)) found.add(r);
    }
    return [...found];
  };
  const inMemory = (n: Node): boolean => !owner.has(n) || stored.has(n) || (readersOf(n)?.length ?? 1) > 0;

  for (const x of [...owner.keys()].sort((a, b) => a.id - b.id)) {
    if (stored.has(x) || !isElementwise(x)) continue;
    const at = readersOf(x);
    if (!at || at.length === 0) continue;
    let gain = traffic(x);
    const cones = at.map((r) => {
      const cone = coneOf(x, r, inMemory);
      gain += traffic(x);
      for (const leaf of cone.leaves) if (!r.read.has(leaf)) gain -= traffic(leaf);
      for (const n of cone.nodes) gain -= work(n);
      return cone;
    });
    const fits = at.every((r, i) => {
      const { nodes } = cones[i] as Cone;
      const compute = [...r.computed, ...r.unit.reductions].map(computeClass).find((c) => c !== 'any') ?? 'any';
      return r.computed.size + nodes.length <= maxUnit && nodes.every((n) => joins(compute, computeClass(n)));
    });
    if (gain <= 0 || !fits) continue;
    at.forEach((r, i) => {
      const { nodes, leaves } = cones[i] as Cone;
      r.read.delete(x);
      for (const leaf of leaves) r.read.add(leaf);
      for (const n of nodes) {
        r.computed.add(n);
        (computing.get(n) as Reader[]).push(r);
      }
    });
  }
  return readers.flatMap((r) => {
    const owned = (n: Node): boolean => owner.get(n) === r;
    const needed = new Set<Node>();
    const elementwise = [...r.computed].sort((a, b) => b.id - a.id);
    for (const n of r.unit.reductions) needed.add(n.inputs[0] as Node);
    for (const n of elementwise) {
      if (owned(n) && (stored.has(n) || (readersOf(n)?.length ?? 1) > 0)) needed.add(n);
      if (needed.has(n)) for (const x of n.inputs) needed.add(x);
    }
    const kept = elementwise.filter((n) => needed.has(n)).reverse();
    if (kept.length === 0 && r.unit.reductions.length === 0) return [];
    return [{ elementwise: kept, reductions: r.unit.reductions, borrowed: new Set(kept.filter((n) => !owned(n))) }];
  });
}

interface Cone {
  readonly nodes: readonly Node[];
  readonly leaves: ReadonlySet<Node>;
}
/** What `reader` would compute, and read, to have x without reading it. */
function coneOf(x: Node, reader: Reader, inMemory: (n: Node) => boolean): Cone {
  const nodes = new Set<Node>();
  const leaves = new Set<Node>();
  const visit = (n: Node): void => {
    if (reader.computed.has(n) || nodes.has(n)) return;
    if (n !== x && inMemory(n)) {
      leaves.add(n);
      return;
    }
    nodes.add(n);
    n.inputs.forEach(visit);
  };
  visit(x);
  return { nodes: [...nodes], leaves };
}
