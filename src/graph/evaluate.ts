/**
 * The meaning of every primitive, in plain TypeScript: constants are folded with it, and native kernels and
 * derivative rules are tested against it. One small function per primitive; the table is total by type.
 */
import { ComputationError } from '../base/errors.js';
import type { Allocate, Evaluator, Value } from './evaluate/common.js';
import { elementwiseEvaluators } from './evaluate/elementwise.js';
import { indexEvaluators } from './evaluate/indexing.js';
import { productEvaluators } from './evaluate/products.js';
import { reductionEvaluators } from './evaluate/reductions.js';
import { shapeEvaluators } from './evaluate/shapes.js';
import { windowEvaluators } from './evaluate/windows.js';
import type { Node, PrimitiveName } from './node.js';
import { describe, sizeOf } from './node.js';

export type { Value } from './evaluate/common.js';

const evaluators: { readonly [P in PrimitiveName]: Evaluator<P> } = {
  ...elementwiseEvaluators,
  ...reductionEvaluators,
  ...productEvaluators,
  ...windowEvaluators,
  ...indexEvaluators,
  ...shapeEvaluators,
};

export interface EvaluateOptions {
  /** Round every float32 result to float32. By default all floating-point work is in float64. */
  readonly round?: boolean;
  /** Hold int32 values in float64, so that the whole numbers of a file's int64 values are exact up to 2^53. */
  readonly wideIntegers?: boolean;
}

/**
 * The values of `outputs`, row-major: floating-point ones as Float64Array (float32 ones as Float32Array when
 * rounding), int32 as Int32Array (Float64Array when wide), truth values as Uint8Array. `inputs` gives any nodes' values, whatever their
 * array type. Results may share memory with one another and with `inputs`.
 */
export function evaluate(
  outputs: readonly Node[],
  inputs: ReadonlyMap<Node, ArrayLike<number>> = new Map(),
  options: EvaluateOptions = {},
): Value[] {
  const allocate: Allocate = (dtype, count) => {
    switch (dtype) {
      case 'float32':
        return options.round ? new Float32Array(count) : new Float64Array(count);
      case 'float64':
        return new Float64Array(count);
      case 'int32':
        return options.wideIntegers ? new Float64Array(count) : new Int32Array(count);
      case 'bool':
        return new Uint8Array(count);
    }
  };
  const values = new Map<Node, Value>();
  for (const [node, given] of inputs) {
    if (given.length !== sizeOf(node.shape))
      throw new ComputationError(`evaluate: ${describe(node)} needs ${sizeOf(node.shape)} values, got ${given.length}`);
    const value = allocate(node.dtype, given.length);
    value.set(given);
    values.set(node, value);
  }
  const order = needed(outputs, values);
  const uses = new Map<Node, number>();
  for (const node of [...outputs, ...order.flatMap((n) => n.inputs)]) uses.set(node, (uses.get(node) ?? 0) + 1);
  for (const node of order) {
    const operands = node.inputs.map((n) => values.get(n) as Value);
    values.set(node, (evaluators[node.op] as Evaluator)(node, operands, allocate));
    // values that nothing needs any more are let go, so that deep graphs fit in memory
    for (const n of node.inputs) {
      const left = (uses.get(n) ?? 0) - 1;
      uses.set(n, left);
      if (left === 0) values.delete(n);
    }
  }
  return outputs.map((n) => values.get(n) as Value);
}

/** the nodes to compute, operands first (ids are a topological order) */
function needed(outputs: readonly Node[], known: ReadonlyMap<Node, Value>): Node[] {
  const seen = new Set<Node>();
  const stack = [...outputs];
  for (let node = stack.pop(); node; node = stack.pop()) {
    if (seen.has(node) || known.has(node)) continue;
    seen.add(node);
    stack.push(...node.inputs);
  }
  return [...seen].sort((a, b) => a.id - b.id);
}
