/**
 * From a parameter to where the data meet it: the ways of its values through nodes that only move, repeat or scale them,
 * or add other values that do not depend on the data. A use is the end of such a way.
 */
import { cached } from '../base/cached.js';
import { isFloat, isOp, type Node, ops } from '../graph/index.js';
import { dependents, reachable } from '../transform/reach.js';

/** Operand `operand` of `consumer` is factor ∘ (parameter's elements by `selection`) + what does not come from this way. */
export interface Use {
  readonly consumer: Node;
  readonly operand: number;
  /** the operand as a function of `source`, without factor; elements that are not the parameter's are 0 */
  readonly selection: Node;
  /** shaped like the operand; null: 1 */
  readonly factor: Node | null;
}

/** What uses are told by: a stand-in for the parameter, so that `selection` can be evaluated or transposed on its own. */
export const sourceOf = (parameter: Node): Node =>
  parameter.graph.input(`stored(${parameter.id})`, parameter.shape, parameter.dtype);

/** What the output needs, and who reads what of it. */
export interface Readers {
  readonly output: Node;
  /** what depends on the data */
  readonly moving: ReadonlySet<Node>;
  readonly readers: ReadonlyMap<Node, readonly (readonly [Node, number])[]>;
}
/** @param data the leaves that are not parameters */
export function readersOf(output: Node, data: Iterable<Node>): Readers {
  const order = reachable([output]);
  const readers = new Map<Node, [Node, number][]>();
  for (const node of order) {
    node.inputs.forEach((x, i) => {
      cached(readers, x, () => []).push([node, i]);
    });
  }
  return { output, moving: dependents(order, data), readers };
}

/** All uses of a parameter. One of operand −1 is the output itself, where it does not depend on the data. */
export function usesOf(parameter: Node, { output, moving, readers }: Readers): Use[] {
  const found: Use[] = [];
  const follow = (value: Node, selection: Node, factor: Node | null): void => {
    if (value === output) found.push({ consumer: value, operand: -1, selection, factor });
    for (const [consumer, operand] of readers.get(value) ?? []) {
      if (isOp(consumer, 'stopGradient') || !isFloat(consumer.dtype)) continue;
      const next = moving.has(consumer) ? null : through(consumer, operand, selection, factor);
      if (next) follow(consumer, next.selection, next.factor);
      else found.push({ consumer, operand, selection, factor });
    }
  };
  follow(parameter, sourceOf(parameter), null);
  return found;
}

const moves = new Set(['reshape', 'transpose', 'broadcast', 'slice', 'reverse', 'cast']);

/** the way through a node that does not depend on the data, or null where it ends */
function through(
  node: Node,
  operand: number,
  selection: Node,
  factor: Node | null,
): Pick<Use, 'selection' | 'factor'> | null {
  const again = (x: Node): Node =>
    node.graph.make(
      node.op,
      node.inputs.map((other, i) => (i === operand ? x : ops.zerosLike(other))),
      node.attributes as never,
    );
  if (moves.has(node.op)) return { selection: again(selection), factor: factor && again(factor) };
  if ((isOp(node, 'pad') || isOp(node, 'concat')) && !factor) return { selection: again(selection), factor };
  const times = (by: Node): Node => (factor ? ops.mul(factor, by) : by);
  const other = node.inputs[1 - operand];
  if (isOp(node, 'neg')) return { selection, factor: times(node.graph.fill(-1, node.shape, node.dtype)) };
  if (isOp(node, 'add') || (isOp(node, 'sub') && operand === 0)) return { selection, factor };
  if (isOp(node, 'sub')) return { selection, factor: times(node.graph.fill(-1, node.shape, node.dtype)) };
  if (isOp(node, 'mul') && other) return { selection, factor: times(other) };
  if (isOp(node, 'div') && operand === 0 && other) return { selection, factor: times(ops.reciprocal(other)) };
  return null;
}
