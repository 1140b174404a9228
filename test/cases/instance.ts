/** A case of a primitive with numbers in it. */
import { evaluate } from '../../src/graph/evaluate.js';
import type { Node } from '../../src/graph/index.js';
import { Graph, isFloat, sizeOf } from '../../src/graph/index.js';
import type { InputSpec, PrimitiveCase } from './primitives.js';
import { Chance } from './random.js';

export type Vector = readonly number[];
export interface Instance {
  readonly graph: Graph;
  readonly leaves: readonly Node[];
  readonly values: readonly Vector[];
  readonly output: Node;
  /** positions among the leaves of those that can be differentiated */
  readonly floats: readonly number[];
  readonly chance: Chance;
}

export function draw(chance: Chance, { shape, low, high, dtype = 'float64' }: InputSpec): Vector {
  return Array.from({ length: sizeOf(shape) }, () =>
    isFloat(dtype) ? low + chance.uniform() * (high - low) : chance.int(low, high),
  );
}
export function instantiate(c: PrimitiveCase, seed = 1, graph = new Graph()): Instance {
  const chance = new Chance(seed);
  const leaves = c.inputs.map((spec, i) => graph.input(`x${i}`, spec.shape, spec.dtype ?? 'float64'));
  return {
    graph,
    leaves,
    values: c.inputs.map((spec) => draw(chance, spec)),
    output: c.build(leaves),
    chance,
    floats: leaves.flatMap((leaf, i) => (isFloat(leaf.dtype) ? [i] : [])),
  };
}

/** node's values where leaves have these */
export const valueAt = (node: Node, given: ReadonlyMap<Node, Vector>): number[] =>
  Array.from(evaluate([node], given)[0] ?? []);
export const inner = (a: Vector, b: Vector): number => a.reduce((s, v, i) => s + v * (b[i] as number), 0);
export const largest = (...lists: Vector[]): number => lists.flat().reduce((m, v) => Math.max(m, Math.abs(v)), 0);

const eps = 2 ** -52;
/** the step that balances truncation (h²) and rounding (eps/h) */
const step = (eps / 2) ** (1 / 3);

/**
 * d/dh f(h) at 0 by central differences, and a bound on its error: the truncation error of step h is a third of what
 * changes between steps h and 2h (twice that is allowed), rounding adds eps·|f|/h a few times over.
 */
export function centralDifference(f: (h: number) => Vector): { derivative: number[]; tolerance: number } {
  const [p1, m1, p2, m2] = [f(step), f(-step), f(2 * step), f(-2 * step)];
  const derivative = p1.map((v, i) => (v - (m1[i] as number)) / (2 * step));
  const wide = p2.map((v, i) => (v - (m2[i] as number)) / (4 * step));
  const change = wide.map((v, i) => v - (derivative[i] as number));
  return { derivative, tolerance: (2 / 3) * largest(change) + (16 * eps * (1 + largest(p1, p2))) / step };
}

/** fails unless |got − want| ≤ tolerance in every element; NaN fails */
export function expectClose(what: string, got: Vector, want: Vector, tolerance: number): void {
  if (got.length !== want.length) throw new Error(`${what}: ${got.length} values instead of ${want.length}`);
  got.forEach((v, i) => {
    if (!(Math.abs(v - (want[i] as number)) <= tolerance))
      throw new Error(`${what}: element ${i} is ${v} instead of ${want[i]} (tolerance ${tolerance})`);
  });
}
