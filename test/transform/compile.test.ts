import { describe, expect, test } from 'vitest';
import { evaluate } from '../../src/graph/evaluate.js';
import type { Node } from '../../src/graph/index.js';
import { Graph, ops } from '../../src/graph/index.js';
import { compile } from '../../src/transform/compile.js';
import { Chance } from '../cases/random.js';
import { randomGraph } from '../cases/random-graph.js';
import { compareRun, elementsOf, randomRequest, runReference } from '../cases/random-program.js';

/**
 * Random programs, run by the reference interpreter, equal evaluating the graph node by node. The interpreter refuses
 * to read bytes that nobody wrote and results that overlap operands, and the plan's shared scratch is part of the
 * test: values that overwrite one another while still needed come out wrong.
 */
describe('compiled random graphs equal the evaluator', () => {
  const seeds = Array.from({ length: 150 }, (_, i) => i + 1);
  test.each(seeds)('float64, seed %i', (seed) => {
    check(seed, ['float64']);
  });
  test.each(seeds)('mixed types, seed %i', (seed) => {
    check(seed + 1000, ['float32', 'float64']);
  });
});

function check(seed: number, floats: readonly ('float32' | 'float64')[]): void {
  const chance = new Chance(seed);
  const random = randomGraph(chance, { nodes: chance.int(10, 120), floats, degenerate: chance.pick([0, 0.1, 0.4]) });
  const request = randomRequest(chance, random);
  const run = runReference(request);
  compareRun(request, run, floats.includes('float32') ? 2 ** -23 : 2 ** -52);
  expect(run.compiled.plan.bytes).toBeGreaterThanOrEqual(run.compiled.plan.livePeak);
  expect(run.compiled.program.instructions.length).toBe(run.compiled.labels.length);
}

/** Runs one program without random choices and returns each output's values. */
function runPlain(inputs: ReadonlyMap<Node, readonly number[]>, ...outputs: Node[]): number[][] {
  const request = {
    inputs: [...inputs].map(([node, value], i) => ({
      node,
      value: Float64Array.from(value),
      place: { binding: `in${i}` },
    })),
    outputs: outputs.map((node, i) => ({ node, binding: `out${i}`, before: null })),
  };
  const run = runReference(request);
  compareRun(request, run, 2 ** -52);
  return outputs.map((node, i) =>
    elementsOf(node, {} as never).map(
      (at) => run.memories.find((m) => m.name === `out${i}`)?.read(node.dtype, at) as number,
    ),
  );
}

describe('whole numbers and truth within one map', () => {
  const graph = new Graph();
  const n = graph.input('n', [4], 'int32'),
    x = graph.input('x', [4], 'float32');
  const given = new Map<Node, readonly number[]>([
    [n, [-7, 7, 3, 0]],
    [x, [-1.5, 2.5, 0, 0.25]],
  ]);

  test('a quotient is truncated before it is used', () => {
    expect(runPlain(given, ops.mul(ops.div(n, 2), 2))).toEqual([[-6, 6, 2, 0]]);
  });
  test('so is a power', () => {
    expect(runPlain(given, ops.mul(ops.pow(ops.add(ops.abs(n), 2), -1), 4))).toEqual([[0, 0, 0, 0]]);
  });
  test('a cast to truth is not the number', () => {
    expect(runPlain(given, ops.cast(ops.cast(x, 'bool'), 'float32'))).toEqual([[1, 1, 0, 1]]);
  });
  test('a cast to an integer truncates', () => {
    expect(runPlain(given, ops.cast(ops.cast(x, 'int32'), 'float32'))).toEqual([[-1, 2, 0, 0]]);
  });
  test('float64 results of float32 work, and float32 results of float64 work, are rounded where the graph says', () => {
    const wide = ops.cast(ops.div(x, 3), 'float64'),
      narrow = ops.cast(ops.cast(ops.div(ops.cast(x, 'float64'), 3), 'float32'), 'float64');
    const want = [-1.5, 2.5, 0, 0.25].map((v) => Math.fround(v / 3));
    expect(runPlain(given, wide, narrow)).toEqual([want, want]);
  });
});

test('only what the outputs need is computed, and needs a place', () => {
  const graph = new Graph();
  const x = graph.input('x', [2], 'float64'),
    unused = graph.input('unused', [2], 'float64');
  const program = compile({
    inputs: new Map([[x, { binding: 'in' }]]),
    outputs: [{ node: ops.neg(x), binding: 'out' }],
  });
  expect(program.program.bindings.map((b) => [b.name, b.written])).toEqual([
    ['scratch', false],
    ['constants', false],
    ['in', false],
    ['out', true],
  ]);
  expect(program.program.instructions).toHaveLength(1);
  expect(() => compile({ inputs: new Map(), outputs: [{ node: unused, binding: 'out' }] })).toThrow(/has no place/);
  expect([...(evaluate([ops.neg(x)], new Map([[x, [1, 2]]]))[0] ?? [])]).toEqual([-1, -2]);
});

describe('gradients of look-ups and of products into one sum', () => {
  const graph = new Graph();
  const [rows, columns, read] = [50, 4, 6];
  const inputs = {
    d: graph.input('d', [read, columns], 'float64'),
    h: graph.input('h', [read, columns], 'float64'),
    e: graph.input('e', [read, rows], 'float64'),
  };
  const table = graph.constant(Int32Array.from([3, 0, 3, 49, 7, 3]), [read], 'int32');
  const looked = ops.takeTranspose(inputs.d, table, 0, rows);
  const product = ops.dot(inputs.e, inputs.h, 'tn', 'tc', 'nc');
  const value = (node: Node, from: number): Float64Array =>
    Float64Array.from({ length: node.shape.reduce((n, d) => n * d, 1) }, (_, i) => Math.sin(from + i));
  const request = (sum: Node, before: readonly number[] | null) => ({
    inputs: Object.values(inputs).map((node, i) => ({ node, value: value(node, i), place: { binding: `in${i}` } })),
    outputs: [{ node: sum, binding: 'out', before, ...(before && { accumulate: true }) }],
  });
  test.each([
    ['look-up first', ops.add(looked, product)],
    ['product first', ops.add(product, looked)],
    ['two look-ups', ops.add(ops.add(looked, ops.takeTranspose(inputs.h, table, 0, rows)), product)],
  ])('%s: right, and no scratch of the size of the table', (_, sum) => {
    for (const before of [null, [...value(sum, 9)]]) {
      const wanted = request(sum, before);
      const run = runReference(wanted as never);
      compareRun(wanted as never, run, 2 ** -52);
      expect(run.compiled.scratchBytes).toBeLessThan(8 * rows * columns);
    }
  });
});
