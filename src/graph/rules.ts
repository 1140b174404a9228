/**
 * What every primitive must state: shape rule, JVP, transpose, batching. The table is total over the primitives,
 * so a forgotten rule does not compile. Rules are written with primitives, hence differentiable again; reverse mode
 * is the transpose of the linearised graph (transform/transpose.ts) and has no rules of its own.
 */

import type { Signature } from './graph.js';
import type { Node, PrimitiveName, Primitives } from './node.js';
import { elementwiseRules } from './rules/elementwise.js';
import { indexRules } from './rules/indexing.js';
import { productRules } from './rules/products.js';
import { reductionRules } from './rules/reductions.js';
import { shapeRules } from './rules/shapes.js';
import { windowRules } from './rules/windows.js';

/** null is a structural zero: it costs nothing and is never materialised */
export type Tangent = Node | null;

export interface Rules<P extends PrimitiveName> {
  shape(inputs: readonly Node[], attributes: Primitives[P]): Signature;
  /**
   * The tangent of the node, given those of its inputs (at least one is not null).
   * 'multilinear': linear in each input by itself; the rule follows. 'zero': piecewise constant or not of
   * floating-point type.
   */
  jvp: ((node: Node<P>, tangents: readonly Tangent[]) => Tangent) | 'multilinear' | 'zero';
  /** The cotangent of linear input i given the result's, or 'notLinear'. */
  transpose: ((cotangent: Node, node: Node<P>, i: number) => Tangent) | 'notLinear';
  /**
   * The node with a leading axis of extent `size`, given inputs of which those flagged have that axis.
   */
  batch(node: Node<P>, inputs: readonly Node[], batched: readonly boolean[], size: number): Node;
}

export type RuleTable = { readonly [P in PrimitiveName]: Rules<P> };

export const rules: RuleTable = {
  ...elementwiseRules,
  ...reductionRules,
  ...productRules,
  ...windowRules,
  ...indexRules,
  ...shapeRules,
};
