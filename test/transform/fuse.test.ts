import { describe, expect, test } from 'vitest';
import type { Node } from '../../src/graph/index.js';
import { Graph, ops } from '../../src/graph/index.js';
import { compile } from '../../src/transform/compile.js';
import { computeClass, fuse, type Unit } from '../../src/transform/fuse.js';
import { reachable } from '../../src/transform/reach.js';
import { Chance } from '../cases/random.js';

function units(...outputs: Node[]): Unit[] {
  const order = reachable(outputs);
  const consumers = new Map<Node, Node[]>();
  for (const n of order) for (const x of n.inputs) consumers.set(x, [...(consumers.get(x) ?? []), n]);
  return fuse(order, consumers, new Set());
}
const nodes = (u: Unit): Node[] => [...u.elementwise, ...u.reductions];
const sizes = (all: Unit[]): number[] => all.map((u) => nodes(u).length).sort((a, b) => b - a);

/** whether one unit must run before another, and that one before it */
function circular(all: readonly Unit[]): boolean {
  const unitOf = new Map<Node, Unit>();
  for (const u of all) for (const n of nodes(u)) unitOf.set(n, u);
  const done = new Set<object>(),
    open = new Set<object>();
  const keyOf = (n: Node): object => unitOf.get(n) ?? n;
  const visit = (n: Node): boolean => {
    const key = keyOf(n);
    if (done.has(key)) return false;
    if (open.has(key)) return true;
    open.add(key);
    const unit = unitOf.get(n);
    const found = (unit ? nodes(unit) : [n])
      .flatMap((m) => m.inputs)
      .filter((x) => keyOf(x) !== key)
      .some(visit);
    open.delete(key);
    done.add(key);
    return found;
  };
  return [...unitOf.keys()].some(visit);
}

describe('what is fused', () => {
  const graph = new Graph();
  const x = graph.input('x', [4, 3], 'float32'),
    y = graph.input('y', [4, 3], 'float32');

  test('a chain is one unit, with the sums over it', () => {
    const h = ops.mul(ops.tanh(ops.add(x, y)), 2);
    expect(sizes(units(h, ops.reduceSum(h, [0]), ops.reduceMax(ops.neg(h), [0])))).toEqual([6]);
  });
  test('a sum over other axes stands alone', () => {
    const h = ops.tanh(x);
    expect(sizes(units(ops.reduceSum(h, [0]), ops.reduceSum(h, [1])))).toEqual([2, 1]);
  });
  test('what only a later unit reads is computed there', () => {
    const slope = ops.sub(1, ops.mul(ops.tanh(x), ops.tanh(x)));
    const z = ops.add(ops.broadcast(ops.reduceSum(ops.exp(y), [1]), [4, 3], [0]), slope);
    expect(sizes(units(z))).toEqual([4, 2]);
  });
  test('types of computation do not mix', () => {
    const wide = ops.exp(ops.cast(ops.exp(x), 'float64'));
    expect(sizes(units(wide))).toEqual([2, 1]);
    const whole = ops.add(ops.cast(ops.mul(x, 3), 'int32'), 1);
    expect(sizes(units(whole))).toEqual([2, 1]);
  });
});

describe('units never wait for one another', () => {
  test('softmax: through a reduction and back', () => {
    const graph = new Graph();
    const e = ops.exp(graph.input('x', [4, 3], 'float64'));
    const all = units(ops.add(e, ops.div(e, ops.reduceSum(e, [1], true))));
    expect(circular(all)).toBe(false);
  });
  test('a truth value from both types of numbers', () => {
    const graph = new Graph();
    const a = graph.input('a', [3], 'float32'),
      b = graph.input('b', [3], 'float64');
    const p = ops.lt(a, 0),
      q = ops.lt(b, 0);
    const both = ops.and(p, q),
      either = ops.or(q, p);
    const all = units(
      ops.select(both, a, ops.select(p, a, ops.neg(a))),
      ops.select(either, b, ops.select(q, b, ops.neg(b))),
    );
    expect(circular(all)).toBe(false);
  });
  test.each(Array.from({ length: 30 }, (_, i) => i))('a thicket larger than a unit may be, seed %i', (seed) => {
    const chance = new Chance(seed),
      graph = new Graph();
    const made: Node[] = Array.from({ length: 6 }, (_, i) => graph.input(`x${i}`, [2], i % 2 ? 'float32' : 'float64'));
    for (let i = 0; i < 600; i++) {
      const a = chance.pick(made.slice(-20)),
        like = made.filter((n) => n.dtype === a.dtype);
      const b = chance.pick(like.slice(-20));
      made.push(
        chance.bool(0.1)
          ? ops.cast(a, a.dtype === 'float32' ? 'float64' : 'float32')
          : chance.bool(0.05)
            ? ops.select(ops.and(ops.lt(a, b), ops.isNaN(chance.pick(made))), a, b)
            : chance.pick([ops.add, ops.mul, ops.max])(a, b),
      );
    }
    const outputs = made.slice(-10);
    const all = units(...outputs);
    expect(circular(all)).toBe(false);
    for (const u of all)
      expect(
        new Set(u.elementwise.map(computeClass).filter((t) => t !== 'any')).size,
        'types of one unit',
      ).toBeLessThanOrEqual(1);
    const listed = all.flatMap(nodes);
    expect(new Set(listed).size).toBe(listed.length);
    const inputs = new Map(
      reachable(outputs)
        .filter((n) => n.op === 'input')
        .map((n) => [n, { binding: 'in' }]),
    );
    expect(() =>
      compile({ inputs, outputs: outputs.map((node, i) => ({ node, binding: 'out', offset: 2 * i })) }),
    ).not.toThrow();
  });
});

describe('what is computed again rather than stored', () => {
  const graph = new Graph();
  const u = graph.input('u', [4, 3], 'float32'),
    v = graph.input('v', [4, 3], 'float32');
  const row = graph.input('b', [3], 'float32');
  /** the steps that a program takes, and how many values each writes */
  const written = (...outputs: Node[]): number[] => {
    const order = reachable(outputs);
    const inputs = new Map(order.filter((n) => n.op === 'input').map((n) => [n, { binding: 'in' }]));
    const { program } = compile({
      inputs,
      outputs: outputs.map((node, i) => ({ node, binding: 'out', offset: 16 * i })),
    });
    return program.instructions.map((i) => (i.kind === 'map' ? i.outputs.length : 1));
  };
  const later = (x: Node): Node =>
    ops.broadcast(ops.reduceSum(ops.dot(x, row, 'ij', 'j', 'i'), [0], true), [4, 3], [0]);

  test('multiples of one sum, read by a later unit', () => {
    const t = ops.add(
      ops.dot(u, graph.input('w', [3, 3], 'float32'), 'ij', 'jk', 'ik'),
      ops.broadcast(row, [4, 3], [1]),
    );
    const half = ops.mul(t, 0.5);
    const scaled = ops.mul(ops.mul(t, 0.7), v);
    const y = ops.mul(half, scaled);
    const z = ops.add(ops.mul(half, later(y)), scaled);
    // the product, y alone, the product of y, its sum, z
    expect(written(z)).toEqual([1, 1, 1, 1, 1]);
  });
  test('not what costs more than reading it', () => {
    const e = ops.exp(u);
    const z = ops.mul(e, later(ops.mul(e, v)));
    expect(written(z)).toEqual([2, 1, 1, 1]);
  });
  test('not what is wanted as a result anyway', () => {
    const s = ops.mul(ops.add(u, v), 2);
    expect(written(ops.mul(s, later(ops.mul(s, s))), s)).toEqual([2, 1, 1, 1]);
  });
});
