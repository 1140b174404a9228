/** Simplification changes what is computed, never what results. */
import { describe, expect, test } from 'vitest';
import { evaluate, type Value } from '../../src/graph/evaluate.js';
import type { Node, PrimitiveName, Primitives, Shape } from '../../src/graph/index.js';
import { describe as describeNode, Graph, isFloat, isOp, ops, sameShape } from '../../src/graph/index.js';
import { type Rules, rules } from '../../src/graph/rules.js';
import { instantiate } from '../cases/instance.js';
import { primitiveCases } from '../cases/primitives.js';
import { Chance } from '../cases/random.js';
import { acceptable, randomGraph } from '../cases/random-graph.js';

/** Remembers what was asked for, besides what was made of it. */
class Recorder extends Graph {
  readonly calls: { readonly asked: Node; readonly made: Node }[] = [];
  override make<P extends PrimitiveName>(op: P, inputs: readonly Node[], attributes: Primitives[P]): Node {
    const made = super.make(op, inputs, attributes);
    const signature = (rules[op] as Rules<P>).shape(inputs, attributes);
    this.calls.push({
      asked: { graph: this, id: Number.MAX_SAFE_INTEGER, op, inputs, attributes, ...signature },
      made,
    });
    return made;
  }
}

/** Every node made equals what was asked for: signature and values. */
function judge(graph: Recorder, inputs: ReadonlyMap<Node, ArrayLike<number>>): void {
  for (const { asked, made } of graph.calls) {
    expect([asked.op, made.shape, made.dtype]).toEqual([asked.op, asked.shape, asked.dtype]);
    if (made.op === asked.op && made.inputs.every((x, i) => x === asked.inputs[i])) continue;
    let values: Value[];
    try {
      values = evaluate([asked, made, ...asked.inputs], inputs);
    } catch {
      continue; // an index out of range: the generator dropped it
    }
    const [want, got, ...operands] = values as [Value, Value, ...Value[]];
    // literal zeros annihilate infinities
    if (![want, ...operands].every((v) => v.every((e: number) => Number.isFinite(e)))) continue;
    const scale = Math.max(1, ...want.map(Math.abs), ...operands.flatMap((v) => [...v].map(Math.abs)));
    const tolerance = isFloat(asked.dtype)
      ? 2 ** -52 * 8 * (8 + want.length + operands.reduce((n, v) => n + v.length, 0)) * scale ** 2
      : 0;
    want.forEach((v: number, i: number) => {
      if (!(Math.abs(v - (got[i] as number)) <= tolerance))
        throw new Error(
          `${describeNode(asked)} of ${asked.inputs.map(describeNode)} became ${describeNode(made)}: ${got[i]} instead of ${v}`,
        );
    });
  }
}

test.each(Array.from({ length: 100 }, (_, i) => i))('what is made equals what was asked for, seed %i', (seed) => {
  const chance = new Chance(seed),
    graph = new Recorder();
  judge(
    graph,
    randomGraph(chance, { nodes: 100, floats: ['float64'], degenerate: chance.pick([0, 0.3]), graph }).inputs,
  );
});
test.each(
  Object.values(primitiveCases)
    .flat()
    .map((c) => [c.name, c] as const),
)('what is made equals what was asked for, case %s', (_, c) => {
  const graph = new Recorder();
  const { leaves, values } = instantiate(c, 1, graph);
  judge(graph, new Map(leaves.map((leaf, i) => [leaf, values[i] as number[]])));
});

/** the same expression in another graph, some leaves replaced */
function rebuild(nodes: readonly Node[], replace: (leaf: Node) => Node, into: Graph): Map<Node, Node> {
  const out = new Map<Node, Node>();
  for (const n of nodes) {
    out.set(
      n,
      n.inputs.length === 0
        ? replace(n)
        : into.make(
            n.op,
            n.inputs.map((x) => out.get(x) as Node),
            n.attributes as never,
          ),
    );
  }
  return out;
}

/**
 * A random expression twice: once with its literal leaves hidden as inputs, so that no rule recognises them, once with
 * them visible. Leaves that were inputs become structural zeros, ones and the like first, so that there is much to see.
 */
test.each(Array.from({ length: 150 }, (_, i) => i))(
  'literals seen and hidden give the same values, seed %i',
  (seed) => {
    const chance = new Chance(seed);
    const { values } = randomGraph(chance, { nodes: 80, floats: ['float64'], degenerate: chance.pick([0, 0.2]) });
    const nodes = [...values.keys()].sort((a, b) => a.id - b.id);
    const literal = new Map(
      nodes
        .filter((n) => n.inputs.length === 0 && isFloat(n.dtype) && chance.bool(0.6))
        .map((n) => [n, chance.pick([0, 1, -1, 2, 0.5])]),
    );
    const graph = new Graph();
    const given = new Map<Node, Value>();
    const hide = (n: Node, v?: number): Node => {
      const input = graph.input(`hidden${n.id}`, n.shape, n.dtype);
      const old = values.get(n) as Value;
      given.set(input, v === undefined ? old : new Float64Array(old.length).fill(v));
      return input;
    };
    const hidden = rebuild(
      nodes,
      (n) => hide(n, literal.get(n) ?? (isOp(n, 'fill') ? n.attributes.value : undefined)),
      graph,
    );
    const leaves = new Map<Node, Node>();
    const seen = rebuild(
      nodes,
      (n) => {
        const v = literal.get(n) ?? (isOp(n, 'fill') ? n.attributes.value : undefined);
        const node = v === undefined ? graph.input(`hidden${n.id}`, n.shape, n.dtype) : graph.fill(v, n.shape, n.dtype);
        leaves.set(n, node);
        return node;
      },
      graph,
    );

    // A value near a decision, or infinite, may differ legitimately, and with it all that follows.
    const found = new Map<Node, Value>();
    const sound = new Set<Node>();
    for (const n of nodes) {
      const h = hidden.get(n) as Node;
      const [value] = evaluate([h], given);
      found.set(n, value as Value);
      const operands = n.inputs.map((x) => found.get(x) as Value);
      if (n.inputs.every((x) => sound.has(x)) && (n.inputs.length === 0 || acceptable(n, value as Value, operands)))
        sound.add(n);
    }
    const compare = nodes.filter((n) => sound.has(n));
    const got = evaluate(
      compare.map((n) => seen.get(n) as Node),
      given,
    );
    compare.forEach((n, i) => {
      const s = seen.get(n) as Node,
        want = found.get(n) as Value;
      expect([n.op, s.shape, s.dtype]).toEqual([n.op, n.shape, n.dtype]);
      const scale = Math.max(1, ...want.map(Math.abs));
      (got[i] as Value).forEach((v, j) => {
        const ok = Math.abs(v - (want[j] as number)) <= (isFloat(n.dtype) ? 2 ** -52 * 2 ** 12 * scale : 0);
        if (!ok) throw new Error(`${n.op}[${n.shape}]: element ${j} is ${v} instead of ${want[j]}`);
      });
    });
    expect(compare.length).toBeGreaterThan(nodes.length / 4);
  },
);

describe('rules', () => {
  const graph = new Graph();
  const x = graph.input('x', [2, 3], 'float64'),
    y = graph.input('y', [2, 3], 'float64'),
    z = graph.input('z', [0, 3], 'float64');
  const zero = graph.fill(0, [2, 3], 'float64'),
    one = graph.fill(1, [2, 3], 'float64');
  const shape = (n: Node): Shape => n.shape;

  test.each<[string, () => Node, Node]>([
    ['x + 0', () => ops.add(x, 0), x],
    ['0 + x', () => ops.add(zero, x), x],
    ['x − 0', () => ops.sub(x, 0), x],
    ['x · 1', () => ops.mul(x, 1), x],
    ['x · 0', () => ops.mul(x, 0), zero],
    ['x / 1', () => ops.div(x, 1), x],
    ['−−x', () => ops.neg(ops.neg(x)), x],
    ['x⁰', () => ops.pow(x, 0), one],
    ['x¹', () => ops.pow(x, 1), x],
    ['x²', () => ops.pow(x, 2), ops.mul(x, x)],
    ['0 − x', () => ops.sub(0, x), ops.neg(x)],
    ['−x · −y', () => ops.mul(ops.neg(x), ops.neg(y)), ops.mul(x, y)],
    ['2·(3·x)', () => ops.mul(2, ops.mul(x, 3)), ops.mul(x, 6)],
    ['transpose twice', () => ops.transpose(ops.transpose(x)), x],
    ['reshape back', () => ops.reshape(ops.reshape(x, [6]), [2, 3]), x],
    ['sum of a repetition', () => ops.reduceSum(ops.broadcast(x, [2, 4, 3], [0, 2]), [1]), ops.mul(x, 4)],
    ['select(true, x, y)', () => ops.select(graph.fill(1, [2, 3], 'bool'), x, y), x],
    ['select(c, x, x)', () => ops.select(ops.lt(x, y), x, x), x],
    ['product with zero', () => ops.matmul(x, graph.fill(0, [3, 4], 'float64')), graph.fill(0, [2, 4], 'float64')],
    ['all of a slice', () => ops.slice(x, [0, 0], [2, 3]), x],
    ['no pad', () => ops.pad(x, [0, 0], [0, 0]), x],
    ['concat with nothing', () => ops.concat([z, x], 0), x],
    ['cast to its own type', () => ops.cast(x, 'float64'), x],
    ['sum of nothing', () => ops.reduceSum(z, [0]), graph.fill(0, [3], 'float64')],
    ['maximum of nothing', () => ops.reduceMax(z, [0]), graph.fill(-Infinity, [3], 'float64')],
    ['minimum of nothing', () => ops.reduceMin(z, [0]), graph.fill(Infinity, [3], 'float64')],
    ['tanh of nothing', () => ops.tanh(z), graph.fill(0, [0, 3], 'float64')],
    ['neighbouring pads', () => ops.add(ops.pad(x, [0, 0], [2, 0]), ops.pad(y, [2, 0], [0, 0])), ops.concat([x, y], 0)],
    [
      'neighbouring pads of one value',
      () => ops.add(ops.pad(x, [2, 0], [0, 0]), ops.pad(x, [0, 0], [2, 0])),
      ops.concat([x, x], 0),
    ],
  ])('%s', (_, made, want) => {
    expect(made()).toBe(want);
  });

  test('equal expressions are one node', () => {
    expect(ops.add(ops.sin(x), y)).toBe(ops.add(ops.sin(x), y));
    expect(ops.add(ops.sin(x), y)).not.toBe(ops.add(ops.cos(x), y));
    expect(graph.fill(0, [], 'float64')).not.toBe(graph.fill(-0, [], 'float64'));
    expect(graph.fill(0, [], 'float64')).not.toBe(graph.fill(0, [], 'float32'));
  });
  test('pads that overlap, or leave a gap, stay a sum', () => {
    for (const low of [1, 3]) {
      const sum = ops.add(ops.pad(x, [0, 0], [3, 0]), ops.pad(y, [low, 0], [3 - low, 0]));
      expect(sum.op).toBe('add');
      expect(sameShape(shape(sum), [5, 3])).toBe(true);
    }
  });
  test('a NaN in the data survives: only literal zeros are structural', () => {
    expect(
      [
        ...(evaluate(
          [ops.mul(x, ops.mul(y, 0.5))],
          new Map([
            [x, [NaN, 0, 0, 0, 0, 0]],
            [y, [0, 0, 0, 0, 0, 0]],
          ]),
        )[0] as Value),
      ][0],
    ).toBeNaN();
  });
});
