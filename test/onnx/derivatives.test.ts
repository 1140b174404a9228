/** Gradients and Hessian products of the unusual files against PyTorch in float64, by the evaluator. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { NdArray } from '../../src/base/ndarray.js';
import { readNpz } from '../../src/data/index.js';
import { evaluate } from '../../src/graph/evaluate.js';
import * as f from '../../src/graph/functions.js';
import { Graph, type Node, ops } from '../../src/graph/index.js';
import { loadOnnx } from '../../src/onnx/index.js';
import { gradient, jvp } from '../../src/transform/jvp.js';
import { difference } from './run.js';

const folder = join(import.meta.dirname, '../fixtures/unusual');
const names = readdirSync(folder)
  .filter((file) => file.endsWith('.onnx') && !file.startsWith('batch-coupled'))
  .map((file) => file.slice(0, -5));
const numbers = (a: NdArray): number[] => Array.from<number | bigint, number>(a.data, Number);

/** cross-entropy for whole-number targets, else the mean squared error; a scalar is the loss itself */
function lossOf(y: Node, target: NdArray): Node {
  const { graph } = y;
  if (y.shape.length === 0) return y;
  if (target.dtype !== 'int64')
    return f.mean(f.square(ops.sub(y, graph.constant(Float64Array.from(numbers(target)), target.shape, 'float64'))));
  const last = y.shape.length - 1;
  const labels = graph.constant(Int32Array.from(numbers(target)), target.shape, 'int32');
  return ops.neg(f.mean(ops.gatherElements(f.logSoftmax(y, [last]), ops.expandDims(labels, last), last)));
}

test.each(names)('%s', async (name) => {
  const model = await loadOnnx(join(folder, `${name}.onnx`));
  const arrays = await readNpz(join(folder, `${name}.npz`));
  if (!arrays.has(`gradient/${model.parameters[0]!.name}`)) return;
  const graph = new Graph();
  const values = new Map<Node, ArrayLike<number>>();
  const given = (
    label: string,
    shape: readonly number[],
    dtype: 'float64' | 'int32',
    data: ArrayLike<number>,
  ): Node => {
    const node = graph.input(label, shape, dtype);
    values.set(node, data);
    return node;
  };
  const inputs = new Map(
    model.inputs.map((i) => {
      const a = arrays.get(i.name)!;
      return [i.name, given(i.name, a.shape, i.dtype === 'int32' ? 'int32' : 'float64', numbers(a))] as const;
    }),
  );
  const leaves = model.parameters.map((p) => given(`parameter ${p.name}`, p.shape, 'float64', p.values()));
  const vector = model.parameters.map((p) =>
    given(`vector ${p.name}`, p.shape, 'float64', arrays.get(`vector/${p.name}`)!.data as Float64Array),
  );
  const parameters = new Map(model.parameters.map((p, i) => [p.name, leaves[i] as Node] as const));
  const [y] = model.build({ graph, dtype: 'float64', inputs, parameters }).values();
  const first = gradient(lossOf(y as Node, arrays.get('target')!), leaves).map(
    (g, i) => g ?? ops.zerosLike(leaves[i]!),
  );
  const second = jvp(first, new Map(leaves.map((leaf, i) => [leaf, vector[i] as Node])));
  const check = (nodes: Node[], what: string): void => {
    const found = evaluate(nodes, values);
    model.parameters.forEach((p, i) => {
      expect(difference(found[i]!, arrays.get(`${what}/${p.name}`)!.data as Float64Array)).toBeLessThan(1e-12);
    });
  };
  check(first, 'gradient');
  check(
    second.map((h, i) => h ?? ops.zerosLike(leaves[i]!)),
    'hessian',
  );
});
