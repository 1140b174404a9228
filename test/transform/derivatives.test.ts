/**
 * Whole random graphs through the transforms a curvature product is made of: gradient, tangent of the gradient, a block
 * of directions, compilation.
 */
import { describe, expect, test } from 'vitest';
import { evaluate, type Value } from '../../src/graph/evaluate.js';
import type { Node } from '../../src/graph/index.js';
import { describe as describeNode, isFloat, ops, sizeOf } from '../../src/graph/index.js';
import { batch } from '../../src/transform/batch.js';
import { gradient, jvp } from '../../src/transform/jvp.js';
import { dependents, reachable } from '../../src/transform/reach.js';
import { isCheap } from '../../src/transform/recompute.js';
import { fewerResiduals, viewOps } from '../../src/transform/split.js';
import { centralDifference, expectClose, inner, largest, type Vector, valueAt } from '../cases/instance.js';
import { Chance } from '../cases/random.js';
import { randomGraph } from '../cases/random-graph.js';
import { compareRun, runReference } from '../cases/random-program.js';

interface Setting {
  readonly leaves: readonly Node[];
  readonly at: ReadonlyMap<Node, Vector>;
  readonly loss: Node;
  readonly chance: Chance;
}
function setting(seed: number): Setting {
  const chance = new Chance(seed);
  const { graph, inputs, values } = randomGraph(chance, {
    nodes: 60,
    floats: ['float64'],
    differentiable: true,
    degenerate: chance.pick([0, 0.2]),
  });
  const leaves = [...inputs.keys()].filter((n) => isFloat(n.dtype));
  // bounded slopes: what lies deep in the graph must not drown the rest
  const terms = [...values.keys()]
    .filter((n) => isFloat(n.dtype) && sizeOf(n.shape) > 0)
    .slice(-12)
    .map((n) =>
      ops.reduceSum(
        ops.mul(graph.constant(Float64Array.from(chance.reals(sizeOf(n.shape))), n.shape, n.dtype), ops.tanh(n)),
      ),
    );
  return {
    leaves,
    at: new Map([...inputs].map(([n, v]) => [n, Array.from(v)])),
    loss: terms.reduce((a, b) => ops.add(a, b)),
    chance,
  };
}
const moved = ({ leaves, at }: Setting, h: number, along: readonly Vector[]): Map<Node, Vector> =>
  new Map([
    ...at,
    ...leaves.map(
      (leaf, i) => [leaf, (at.get(leaf) as Vector).map((v, j) => v + h * (along[i]?.[j] as number))] as const,
    ),
  ]);
const orZero = (node: Node | null, like: Node): Node => node ?? ops.zerosLike(like);

describe.each(Array.from({ length: 60 }, (_, i) => i + 1))('seed %i', (seed) => {
  const s = setting(seed);
  const grads = gradient(s.loss, s.leaves).map((g, i) => orZero(g, s.leaves[i] as Node));
  const directions = [0, 1, 2].map((k) =>
    s.leaves.map((leaf) => ({
      leaf,
      node: leaf.graph.input(`v${k}(${leaf.id})`, leaf.shape, leaf.dtype),
      value: s.chance.reals(sizeOf(leaf.shape), -1, 1),
    })),
  );
  type Direction = (typeof directions)[number];
  const [u, v] = directions as [Direction, Direction, Direction];
  const product = (d: Direction): Node[] =>
    jvp(grads, new Map(d.map(({ leaf, node }) => [leaf, node]))).map((t, i) => orZero(t, s.leaves[i] as Node));
  const given = new Map([...s.at, ...directions.flat().map(({ node, value }) => [node, value] as const)]);
  const along = (d: Direction): Vector[] => d.map(({ value }) => value);
  const inners = (a: readonly Vector[], b: readonly Vector[]): number =>
    a.reduce((sum, x, i) => sum + inner(x, b[i] as Vector), 0);

  test('the gradient is the limit of differences of the loss, and the product of those of the gradient', () => {
    const slope = centralDifference((h) => valueAt(s.loss, moved(s, h, along(u))));
    expectClose(
      'slope',
      [
        inners(
          grads.map((g) => valueAt(g, s.at)),
          along(u),
        ),
      ],
      slope.derivative,
      slope.tolerance,
    );
    product(u).forEach((p, i) => {
      const d = centralDifference((h) => valueAt(grads[i] as Node, moved(s, h, along(u))));
      expectClose(`product ${i}`, valueAt(p, given), d.derivative, d.tolerance);
    });
  });

  test('the Hessian is symmetric', () => {
    const hu = product(u).map((n) => valueAt(n, given)),
      hv = product(v).map((n) => valueAt(n, given));
    const size = hu.flat().length + 60;
    expectClose(
      '⟨Hu, v⟩',
      [inners(hu, along(v))],
      [inners(hv, along(u))],
      2 ** -52 * 64 * size * (1 + largest(...hu, ...hv)),
    );
  });

  test.each([
    ['computing everything', false],
    ['reading residuals', true],
  ])('a compiled block of products is the products one by one, %s', (_, retained) => {
    const blocks = s.leaves.map((leaf, i) => ({
      node: leaf.graph.input(`block(${leaf.id})`, [3, ...leaf.shape], leaf.dtype),
      value: directions.flatMap((d) => d[i]?.value ?? []),
      from: u[i]?.node as Node,
    }));
    const replaced = new Map(blocks.map(({ from, node }) => [from, node]));
    const { kept, again } = fewerResiduals(product(u), [...replaced.keys()]);
    const batched = batch(product(u), replaced, 3, retained ? again : undefined);
    const residuals = retained ? kept.map((node) => ({ node, value: valueAt(node, s.at) })) : [];
    const want = directions.map((d) => product(d).map((n) => valueAt(n, given)));
    const inputs = [...[...s.at].map(([node, value]) => ({ node, value })), ...blocks, ...residuals];
    if (retained) {
      const order = reachable(
        batched.map(({ node }) => node),
        new Set(kept),
      );
      const moving = dependents(order, replaced.values());
      const work = order.filter((n) => !moving.has(n) && !kept.includes(n) && n.inputs.length > 0);
      expect(work.filter((n) => !isCheap(n) && !viewOps.has(n.op)).map(describeNode)).toEqual([]);
    }
    const request = {
      inputs: inputs.map(({ node, value }, i) => ({
        node,
        value: (node.dtype === 'int32' ? Int32Array : node.dtype === 'bool' ? Uint8Array : Float64Array).from(
          value,
        ) as Value,
        place: { binding: `in${i}` },
      })),
      outputs: batched.map(({ node }, i) => ({ node, binding: `out${i}`, before: null })),
    };
    const eps = 2 ** -52 * (1 + largest(...want.flat()));
    compareRun(request, runReference(request), eps);
    batched.forEach(({ node, batched: has }, i) => {
      const got = Array.from(evaluate([node], new Map(inputs.map((x) => [x.node, x.value])))[0] ?? []);
      const one = want.map((w) => w[i] as Vector);
      expectClose(`block ${i}`, got, has ? one.flat() : (one[0] as Vector), eps * 2 ** 10);
    });
  });
});
