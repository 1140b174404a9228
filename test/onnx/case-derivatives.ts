/**
 * Gradient and Hessian of ⟨outputs, fixed random⟩ in all floating-point inputs of a case, against central differences
 * in float64, along one random direction.
 */

import type { NdArray } from '../../src/base/ndarray.js';
import { philoxNormal } from '../../src/base/philox.js';
import { evaluate } from '../../src/graph/evaluate.js';
import { Graph, isFloat, type Node, ops, sizeOf } from '../../src/graph/index.js';
import type { ImportedModel } from '../../src/onnx/index.js';
import { gradient, jvp } from '../../src/transform/jvp.js';

/** cases with more numbers than this are left to the smaller ones of their operator: the evaluator is slow */
const limit = 3000;

/** what disagrees, or undefined; 'none' where nothing is differentiable or the case is too large */
export function derivativeFault(model: ImportedModel, arrays: Readonly<Record<string, NdArray>>): string | undefined {
  const graph = new Graph();
  const at = new Map<Node, number[]>();
  const inputs = new Map(
    model.inputs.map((i) => {
      const { shape, data } = arrays[i.name] as NdArray;
      const node = graph.input(i.name, shape, isFloat(i.dtype) ? 'float64' : i.dtype);
      at.set(node, Array.from<number | bigint, number>(data, Number));
      return [i.name, node] as const;
    }),
  );
  const leaves = [...inputs.values()].filter((n) => isFloat(n.dtype));
  if (leaves.length === 0 || leaves.some((n) => (at.get(n) as number[]).length > limit)) return 'none';
  const outputs = [...model.build({ graph, dtype: 'float64', inputs, parameters: new Map() }).values()];
  const terms = outputs
    .filter((y) => isFloat(y.dtype) && y.shape.every((d) => d > 0))
    .map((y, i) => ops.reduceSum(ops.mul(y, graph.constant(random(y, 100 + i), y.shape, 'float64'))));
  if (terms.length === 0 || graph.size > 20_000) return 'none';
  const total = terms.reduce((a, b) => ops.add(a, b));
  const first = gradient(total, leaves).map((g, i) => g ?? ops.zerosLike(leaves[i] as Node));
  const direction = leaves.map((n, i) => random(n, i));
  const tangents = new Map(leaves.map((n, i) => [n, graph.constant(direction[i] as Float64Array, n.shape, 'float64')]));
  const second = jvp(first, tangents).map((h, i) => h ?? ops.zerosLike(leaves[i] as Node));
  const moved = (by: number): Float64Array[] => {
    const values = new Map<Node, ArrayLike<number>>(at);
    leaves.forEach((n, i) => {
      values.set(
        n,
        (at.get(n) as number[]).map((v, k) => v + by * (direction[i]?.[k] as number)),
      );
    });
    return evaluate([total, ...first], values).map((v) => Float64Array.from(v));
  };
  const here = evaluate([...first, ...second], at).map((v) => Float64Array.from(v));
  const derivatives = { gradient: here.slice(0, leaves.length), curvature: here.slice(leaves.length), direction };
  let fault: string | undefined;
  // a large third derivative asks for a small step, large values for a large one
  for (const step of [2e-5, 1e-6, 1e-7]) {
    const found = disagreement(derivatives, moved(step), moved(-step), step);
    if (found === undefined || found === 'none') return found;
    fault ??= found;
  }
  return fault;
}

interface Derivatives {
  readonly gradient: readonly Float64Array[];
  /** the Hessian's product with `direction` */
  readonly curvature: readonly Float64Array[];
  readonly direction: readonly Float64Array[];
}
/** `up` and `down`: the function and its gradient on either side */
function disagreement(
  { gradient, curvature, direction }: Derivatives,
  up: readonly Float64Array[],
  down: readonly Float64Array[],
  step: number,
): string | undefined {
  const [above, below] = [up[0]?.[0] as number, down[0]?.[0] as number];
  const slope = gradient.reduce((sum, g, i) => sum + inner(g, direction[i] as Float64Array), 0);
  const measured = (above - below) / (2 * step);
  const scale = Math.max(1, Math.abs(slope), norm(gradient));
  // outside the domain, or so large that a difference is all rounding
  if (!Number.isFinite(above - below) || (2 ** -50 * Math.abs(above)) / step > 1e-6 * scale) return 'none';
  if (!(Math.abs(slope - measured) <= 1e-6 * scale)) return `gradient: ${slope} against ${measured}`;
  const differences = curvature.map((_, i) =>
    (up[1 + i] as Float64Array).map((v, k) => (v - (down[1 + i]?.[k] as number)) / (2 * step)),
  );
  const apart = norm(curvature.map((h, i) => h.map((v, k) => v - (differences[i]?.[k] as number))));
  return apart <= 1e-5 * Math.max(scale, norm(curvature)) ? undefined : `Hessian differs by ${apart}`;
}

const random = (n: Node, stream: number): Float64Array => philoxNormal(7, stream, 0, sizeOf(n.shape));
const inner = (a: Float64Array, b: Float64Array): number => a.reduce((sum, v, i) => sum + v * (b[i] as number), 0);
const norm = (parts: readonly Float64Array[]): number => Math.sqrt(parts.reduce((sum, p) => sum + inner(p, p), 0));
