/** Running imported models through the evaluator. */
import type { NdArray } from '../../src/base/ndarray.js';
import { evaluate, type Value } from '../../src/graph/evaluate.js';
import { type FloatDType, Graph, type Node } from '../../src/graph/index.js';
import type { ImportedModel } from '../../src/onnx/index.js';

export interface Outcome {
  readonly shape: readonly number[];
  readonly data: Value;
}

/** outputs by name; with `parameters: 'inputs'` weights are given from outside, as they are in use */
export function runModel(
  model: ImportedModel,
  arrays: Readonly<Record<string, NdArray>> | ReadonlyMap<string, NdArray>,
  {
    dtype = 'float64',
    parameters = 'constants',
    also = [],
  }: { dtype?: FloatDType; parameters?: 'constants' | 'inputs'; also?: string[] } = {},
): Map<string, Outcome> {
  const graph = new Graph();
  const values = new Map<Node, ArrayLike<number>>();
  const get = (name: string): NdArray | undefined =>
    arrays instanceof Map ? arrays.get(name) : (arrays as Record<string, NdArray>)[name];
  const inputs = new Map(
    model.inputs.map((i) => {
      const array = get(i.name);
      if (!array) throw new Error(`the test has no array '${i.name}'`);
      const node = graph.input(i.name, array.shape, i.dtype.startsWith('float') ? dtype : i.dtype);
      values.set(node, Array.from<number | bigint, number>(array.data, Number));
      return [i.name, node] as const;
    }),
  );
  const weights = new Map<string, Node>();
  if (parameters === 'inputs') {
    for (const p of model.parameters) {
      const node = graph.input(`parameter ${p.name}`, p.shape, dtype);
      weights.set(p.name, node);
      values.set(node, p.values());
    }
  }
  const built = model.build({ graph, dtype, inputs, parameters: weights, also });
  const names = [...built.keys()];
  const results = evaluate([...built.values()], values, { round: dtype === 'float32' });
  return new Map(names.map((name, i) => [name, { shape: (built.get(name) as Node).shape, data: results[i] as Value }]));
}

/** the largest difference, relative to the largest value */
export function difference(found: ArrayLike<number>, expected: ArrayLike<number | bigint>): number {
  if (found.length !== expected.length) return Infinity;
  let scale = 1e-30,
    worst = 0;
  for (let i = 0; i < found.length; i++) {
    const e = Number(expected[i]),
      f = found[i] as number;
    if (Object.is(e, f) || e === f) continue;
    if (!Number.isFinite(e) || !Number.isFinite(f)) return Infinity;
    scale = Math.max(scale, Math.abs(e));
    worst = Math.max(worst, Math.abs(e - f));
  }
  for (let i = 0; i < expected.length; i++)
    if (Number.isFinite(Number(expected[i]))) scale = Math.max(scale, Math.abs(Number(expected[i])));
  return worst / scale;
}
