/** The four rules of every primitive, judged by the float64 evaluator alone. */
import { describe, expect, test } from 'vitest';
import { evaluate } from '../../src/graph/evaluate.js';
import type { Node, PrimitiveName } from '../../src/graph/index.js';
import { isFloat, ops, sizeOf } from '../../src/graph/index.js';
import { rules } from '../../src/graph/rules.js';
import { batch } from '../../src/transform/batch.js';
import { gradient, jvp, transpose } from '../../src/transform/jvp.js';
import { reachable } from '../../src/transform/reach.js';
import {
  centralDifference,
  draw,
  expectClose,
  type Instance,
  inner,
  instantiate,
  largest,
  type Vector,
  valueAt,
} from '../cases/instance.js';
import { type PrimitiveCase, primitiveCases } from '../cases/primitives.js';
import { Chance } from '../cases/random.js';

const all = (Object.entries(primitiveCases) as [PrimitiveName, readonly PrimitiveCase[]][]).flatMap(
  ([primitive, cases]) => cases.map((c) => ({ label: `${primitive}: ${c.name}`, primitive, c })),
);

const given = ({ leaves, values }: Instance): Map<Node, Vector> =>
  new Map(leaves.map((leaf, i) => [leaf, values[i] as Vector]));
const add = (x: Vector, h: number, d: Vector): Vector => x.map((v, i) => v + h * (d[i] as number));
const zeros = (n: Node): Vector => new Array<number>(sizeOf(n.shape)).fill(0);
/** the node's values, or zeros where there is none */
const orZero = (node: Node | null, like: Node, at: ReadonlyMap<Node, Vector>): Vector =>
  node ? valueAt(node, at) : zeros(like);

/** named inputs shaped like the floating-point leaves, with random values */
function directions(c: Instance, name: string): { nodes: Node[]; values: Vector[]; map: Map<Node, Node> } {
  const nodes = c.floats.map((i) =>
    c.graph.input(`${name}${i}`, (c.leaves[i] as Node).shape, (c.leaves[i] as Node).dtype),
  );
  const values = nodes.map((n) => c.chance.reals(sizeOf(n.shape), -1, 1));
  return { nodes, values, map: new Map(c.floats.map((i, j) => [c.leaves[i] as Node, nodes[j] as Node])) };
}
/** the leaves moved by h along directions */
function moved(
  c: Instance,
  h: number,
  along: readonly Vector[],
  also: ReadonlyMap<Node, Vector> = new Map(),
): Map<Node, Vector> {
  const out = new Map([...given(c), ...also]);
  c.floats.forEach((i, j) => {
    out.set(c.leaves[i] as Node, add(c.values[i] as Vector, h, along[j] as Vector));
  });
  return out;
}

test('every primitive has a case that yields it', () => {
  for (const [primitive, cases] of Object.entries(primitiveCases)) {
    expect(
      cases.some((c) => reachable([instantiate(c).output]).some((n) => n.op === primitive)),
      primitive,
    ).toBe(true);
  }
  expect(Object.keys(primitiveCases).sort()).toEqual(Object.keys(rules).sort());
});

describe.each(all)('$label', ({ c: primitiveCase, primitive }) => {
  test('its shape is what the evaluator yields', () => {
    const c = instantiate(primitiveCase);
    const [value] = evaluate([c.output], given(c));
    expect(value?.length).toBe(sizeOf(c.output.shape));
    expect(value?.constructor).toBe(
      { float32: Float64Array, float64: Float64Array, int32: Int32Array, bool: Uint8Array }[c.output.dtype],
    );
  });

  test('its tangent, and the tangent of that, are the limits of differences', () => {
    const c = instantiate(primitiveCase);
    const t = directions(c, 't'),
      s = directions(c, 's');
    const [first] = jvp([c.output], t.map);
    if (!isFloat(c.output.dtype)) return void expect(first).toBeNull();
    const along = new Map(t.nodes.map((n, i) => [n, t.values[i] as Vector]));
    const d = centralDifference((h) => valueAt(c.output, moved(c, h, t.values)));
    // d/dx of stopGradient is zero by definition, whatever differences say
    if (primitive !== 'stopGradient')
      expectClose(
        'tangent',
        orZero(first ?? null, c.output, new Map([...given(c), ...along])),
        d.derivative,
        d.tolerance,
      );
    if (!first) return;
    const [second] = jvp([first], s.map);
    const dd = centralDifference((h) => valueAt(first, moved(c, h, s.values, along)));
    expectClose(
      'second tangent',
      orZero(
        second ?? null,
        first,
        new Map([...given(c), ...along, ...s.nodes.map((n, i) => [n, s.values[i] as Vector] as const)]),
      ),
      dd.derivative,
      dd.tolerance,
    );
  });

  test('its transpose is the adjoint of its tangent', () => {
    const c = instantiate(primitiveCase);
    const t = directions(c, 't');
    const [tangent] = jvp([c.output], t.map);
    if (!tangent) return;
    const ct = c.graph.input('ct', c.output.shape, c.output.dtype),
      ctValue = c.chance.reals(sizeOf(ct.shape), -1, 1);
    const adjoint = transpose([tangent], [ct], t.nodes);
    const at = new Map([
      ...given(c),
      [ct, ctValue] as const,
      ...t.nodes.map((n, i) => [n, t.values[i] as Vector] as const),
    ]);
    const forward = valueAt(tangent, at),
      back = t.nodes.map((n, i) => orZero(adjoint[i] ?? null, n, at));
    adjoint.forEach((a, i) => {
      if (a) expect([a.shape, a.dtype]).toEqual([t.nodes[i]?.shape, t.nodes[i]?.dtype]);
    });
    // both are sums of the same products: rounding grows with their number
    const terms = forward.length + back.flat().length;
    const scale =
      inner(forward.map(Math.abs), ctValue.map(Math.abs)) +
      back.reduce((sum, b, i) => sum + inner(b.map(Math.abs), (t.values[i] as Vector).map(Math.abs)), 0);
    expectClose(
      '⟨A t, c⟩',
      [inner(forward, ctValue)],
      [back.reduce((sum, b, i) => sum + inner(b, t.values[i] as Vector), 0)],
      2 ** -52 * 8 * (terms + 8) * (1 + scale),
    );
  });

  test('gradients and Hessian products agree with differences, and the Hessian is symmetric', () => {
    const c = instantiate(primitiveCase);
    if (!isFloat(c.output.dtype) || primitive === 'stopGradient') return;
    // sin makes the loss curved where the primitive is linear
    const weights = c.graph.constant(
      Float64Array.from(c.chance.reals(sizeOf(c.output.shape))),
      c.output.shape,
      'float64',
    );
    const loss = ops.reduceSum(ops.mul(weights, ops.sin(c.output)));
    const leaves = c.floats.map((i) => c.leaves[i] as Node);
    const grad = gradient(loss, leaves);
    const r = directions(c, 'r'),
      s = directions(c, 's');
    const at = new Map([
      ...given(c),
      ...[r, s].flatMap((d) => d.nodes.map((n, i) => [n, d.values[i] as Vector] as const)),
    ]);

    const slope = centralDifference((h) => valueAt(loss, moved(c, h, s.values)));
    const g = grad.map((n, i) => orZero(n, leaves[i] as Node, at));
    expectClose(
      'slope',
      [g.reduce((sum, v, i) => sum + inner(v, s.values[i] as Vector), 0)],
      slope.derivative,
      slope.tolerance,
    );

    const product = (d: typeof r): Vector[] => {
      const live = grad.map((n, i) => n ?? c.graph.fill(0, (leaves[i] as Node).shape, 'float64'));
      return jvp(live, d.map).map((n, i) => orZero(n, leaves[i] as Node, at));
    };
    const hr = product(r),
      hs = product(s);
    hs.forEach((v, i) => {
      const gi = grad[i];
      if (!gi) return;
      const d = centralDifference((h) => valueAt(gi, moved(c, h, s.values)));
      expectClose(`Hessian product ${i}`, v, d.derivative, d.tolerance);
    });
    const left = hr.reduce((sum, v, i) => sum + inner(v, s.values[i] as Vector), 0),
      right = hs.reduce((sum, v, i) => sum + inner(v, r.values[i] as Vector), 0);
    const size = hr.flat().length + sizeOf(c.output.shape) + 16;
    expectClose('symmetry', [left], [right], 2 ** -52 * 32 * size * (1 + largest(...hr, ...hs)));

    // reverse over reverse: ∇⟨g, s⟩ is the same product
    const dot = grad.reduce<Node | null>((sum, n, i) => {
      if (!n) return sum;
      const term = ops.reduceSum(ops.mul(n, s.nodes[i] as Node));
      return sum ? ops.add(sum, term) : term;
    }, null);
    if (!dot) return;
    gradient(dot, leaves).forEach((n, i) => {
      expectClose(
        `reverse over reverse ${i}`,
        orZero(n, leaves[i] as Node, at),
        hs[i] as Vector,
        2 ** -52 * 32 * size * (1 + largest(...hs)),
      );
    });
  });

  test.each([
    [3, 2],
    [1, 2],
    [2, 1],
  ])('%i in a batch, and %i such batches, equal one by one', (inside, outside) => {
    const c = instantiate(primitiveCase);
    const positions = c.leaves.map((_, i) => i);
    for (const first of subsets(positions))
      for (const second of subsets(positions)) checkBatch(primitiveCase, c, first, second, inside, outside);
  });
});

const subsets = <T>(of: readonly T[]): T[][] =>
  Array.from({ length: 2 ** of.length }, (_, bits) => of.filter((_x, i) => (bits >> i) & 1));

/** batches the inputs `first`, then batches that in the inputs `second`, and compares with single evaluations */
function checkBatch(
  primitiveCase: PrimitiveCase,
  c: Instance,
  first: readonly number[],
  second: readonly number[],
  inside: number,
  outside: number,
): void {
  const chance = new Chance(7);
  const name = (kind: string, i: number): string =>
    `${kind}${first.join('')}/${second.join('')}/${i}/${inside}/${outside}`;
  const once = c.leaves.map((leaf, i) =>
    first.includes(i) ? c.graph.input(name('once', i), [inside, ...leaf.shape], leaf.dtype) : leaf,
  );
  const twice = once.map((leaf, i) =>
    second.includes(i) ? c.graph.input(name('twice', i), [outside, ...leaf.shape], leaf.dtype) : leaf,
  );
  const inner = batch([c.output], new Map(first.map((i) => [c.leaves[i] as Node, once[i] as Node])), inside)[0] as {
    node: Node;
    batched: boolean;
  };
  const outer = batch([inner.node], new Map(second.map((i) => [once[i] as Node, twice[i] as Node])), outside)[0] as {
    node: Node;
    batched: boolean;
  };
  expect(inner.node.shape).toEqual(inner.batched ? [inside, ...c.output.shape] : c.output.shape);
  expect(outer.node.shape).toEqual(outer.batched ? [outside, ...inner.node.shape] : inner.node.shape);

  // every input's values for each (outer, inner) pair; equal where the input has no such axis
  const spec = primitiveCase.inputs;
  const table = spec.map((s, i) => {
    const rows = Array.from({ length: (second.includes(i) ? outside : 1) * (first.includes(i) ? inside : 1) }, () =>
      draw(chance, s),
    );
    return {
      rows,
      of: (o: number, k: number): Vector =>
        rows[(second.includes(i) ? o : 0) * (first.includes(i) ? inside : 1) + (first.includes(i) ? k : 0)] as Vector,
    };
  });
  const got = valueAt(outer.node, new Map(twice.map((leaf, i) => [leaf, table[i]?.rows.flat() ?? []])));
  const want: number[] = [];
  for (let o = 0; o < (outer.batched ? outside : 1); o++) {
    for (let k = 0; k < (inner.batched ? inside : 1); k++) {
      want.push(...valueAt(c.output, new Map(c.leaves.map((leaf, i) => [leaf, table[i]?.of(o, k) ?? []]))));
    }
  }
  // the same products and sums in another order
  expectClose(
    `batched inputs [${first}], then [${second}]`,
    got,
    want,
    isFloat(c.output.dtype) ? 2 ** -52 * 64 * (1 + largest(want.filter(Number.isFinite))) : 0,
  );
}
