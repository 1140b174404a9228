/** Branches and loops whose conditions and trip counts are known at import, and those that are not. */
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { NdArray } from '../../src/base/ndarray.js';
import { evaluate } from '../../src/graph/evaluate.js';
import { Graph, type Node, ops } from '../../src/graph/index.js';
import { loadOnnx, writeOnnx } from '../../src/onnx/index.js';
import type { OnnxTensor } from '../../src/onnx/proto/index.js';
import { encodeModel } from '../../src/onnx/proto/index.js';
import { gradient, jvp } from '../../src/transform/jvp.js';
import { runModel } from './run.js';
import { graph, imported, info, modelOf, node, tensor } from './small.js';

const parameters = (model: ReturnType<typeof imported>): string[] => model.parameters.map((p) => p.name);
const x = (rows: number, columns = 4): Record<string, NdArray> => ({
  x: {
    dtype: 'float32',
    shape: [rows, columns],
    data: Float32Array.from({ length: rows * columns }, (_, i) => i / 7 - 1),
  },
});

describe('control flow', () => {
  const branch = (name: string, op: string) => graph([node(op, ['x'], [name])], [], [], [name]);
  test('a condition known at import picks its branch', () => {
    const model = imported(
      [
        node('Shape', ['x'], ['s']),
        node('Size', ['s'], ['n']),
        node('Equal', ['n', 'two'], ['c']),
        node('If', ['c'], ['y'], { then_branch: branch('t', 'Neg'), else_branch: branch('e', 'Abs') }),
      ],
      [tensor('two', [], [2], 'int64')],
    );
    expect(runModel(model, x(1)).get('y')!.data[0]).toBe(1);
    expect(model.operators.get('If')).toBe(1);
    expect(model.operators.get('Abs')).toBe(1);
  });
  const step = graph(
    [
      node('Mul', ['v', 'x'], ['next']),
      node('Gather', ['table', 'i'], ['row']),
      node('Add', ['next', 'row'], ['sum']),
      node('Less', ['i', 'last'], ['go']),
    ],
    [tensor('last', [], [2], 'int64')],
    [info('i', [], 'int64'), info('c', [], 'bool'), info('v', [1, 4])],
    ['go', 'sum', 'next'],
  );
  const tables = [
    tensor(
      'table',
      [9, 4],
      Array.from({ length: 36 }, (_, i) => i / 8),
    ),
    tensor('v0', [1, 4], 2),
  ];
  const looped = (trips: string, more: OnnxTensor[]): ReturnType<typeof imported> =>
    imported(
      [node('Loop', [trips, '', 'v0'], ['y', 'all'], { body: step })],
      [...tables, ...more],
      [info('x', [1, 4])],
      ['y', 'all'],
    );
  test('a loop runs as often as its count and its condition say', () => {
    const last = (model: ReturnType<typeof imported>): number[] => [...runModel(model, x(1)).get('y')!.data];
    const by = (n: number): number[] =>
      Array.from({ length: 4 }, (_, k) => {
        let v = 2;
        for (let i = 0; i < n; i++) v = v * Math.fround(k / 7 - 1) + (4 * i + k) / 8;
        return v;
      });
    const counted = looped('n', [tensor('n', [], [2], 'int64')]);
    expect(last(counted)).toEqual(by(2));
    expect(runModel(counted, x(1)).get('all')!.shape).toEqual([2, 1, 4]);
    // the condition ends it after i = 2
    expect(last(looped('', []))).toEqual(by(3));
    expect(parameters(counted)).toEqual(['table', 'v0']);
  });
  test('weights in a body are parameters where the body is run', async () => {
    const scaled = (name: string, weight: number) =>
      graph([node('Mul', ['x', name], [`${name} out`])], [tensor(name, [4], weight)], [], [`${name} out`]);
    const body = graph(
      [node('Mul', ['v', 'w'], ['next']), node('Identity', ['c'], ['go'])],
      [tensor('w', [4], [1.5, -2, 0.5, 3])],
      [info('i', [], 'int64'), info('c', [], 'bool'), info('v', [1, 4])],
      ['go', 'next'],
    );
    const small = graph(
      [
        node('If', ['yes'], ['a'], { then_branch: scaled('taken', 2), else_branch: scaled('left', 5) }),
        node('Loop', ['three', '', 'a'], ['y'], { body }),
      ],
      [tensor('yes', [], [1], 'bool'), tensor('three', [], [3], 'int64')],
      [info('x', [1, 4])],
    );
    const path = join(await mkdtemp(join(tmpdir(), 'hessia-control-')), 'body.onnx');
    await writeFile(path, encodeModel(modelOf(small)));
    const model = await loadOnnx(path);
    expect(parameters(model)).toEqual(['taken', 'w']);
    // y = x · taken · w³
    const g = new Graph();
    const nodes = ['x', 'taken', 'w'].map((name) => g.input(name, name === 'x' ? [1, 4] : [4], 'float64')) as [
      Node,
      Node,
      Node,
    ];
    const [input, taken, w] = nodes;
    const build = { graph: g, dtype: 'float64', inputs: new Map([['x', input]]) } as const;
    const y = model
      .build({
        ...build,
        parameters: new Map([
          ['taken', taken],
          ['w', w],
        ]),
      })
      .get('y') as Node;
    const [first] = gradient(ops.reduceSum(y), [w]) as [Node];
    const [second] = jvp([first], new Map([[w, g.fill(1, [4], 'float64')]])) as [Node];
    const [xs, ws] = [
      [0.3, -1, 2, 0.7],
      [1.5, -2, 0.5, 3],
    ];
    const values = new Map([
      [input, xs],
      [taken, [2, 2, 2, 2]],
      [w, ws],
    ]);
    const found = evaluate([y, first, second], values).map((v) => [...v]);
    const by = (f: (v: number) => number): number[] => ws.map((v, i) => 2 * (xs[i] as number) * f(v));
    [by((v) => v ** 3), by((v) => 3 * v * v), by((v) => 6 * v)].forEach((want, i) => {
      for (const [k, v] of want.entries())
        expect(Math.abs((found[i]?.[k] as number) - v)).toBeLessThanOrEqual(8 * 2 ** -52 * Math.abs(v));
    });
    // and goes back into the body
    const changed = Float64Array.of(0.25, 0.5, 1, 2);
    await writeOnnx(path, new Map([['w', changed]]), `${path}.new`);
    const again = await loadOnnx(`${path}.new`);
    expect(again.parameters.map((p) => [...p.values()])).toEqual([[2, 2, 2, 2], [...changed]]);
  });
  test('a loop that runs too often is refused', () => {
    const body = graph(
      [node('Identity', ['v'], ['w']), node('Identity', ['c'], ['d'])],
      [],
      [info('i', [], 'int64'), info('c', [], 'bool'), info('v', [4])],
      ['d', 'w'],
    );
    const nodes = [node('Loop', ['n', '', 'x'], ['y'], { body })];
    expect(() => imported(nodes, [tensor('n', [], [2 ** 40], 'int64')])).toThrow(/Loop.*more than 16384 times/);
  });
  test('a loop whose count comes from data is refused', () => {
    const nodes = [
      node('ReduceMax', ['x'], ['m'], { keepdims: 0 }),
      node('Cast', ['m'], ['n'], { to: 7 }),
      node('Loop', ['n', '', 'v0'], ['y', 'all'], { body: step }),
    ];
    expect(() => imported(nodes, tables)).toThrow(/operator Loop .*trip count.*computed from data/);
  });
  test('one that depends on data is refused', () => {
    const nodes = [
      node('ReduceMax', ['x'], ['m'], { keepdims: 0 }),
      node('Greater', ['m', 'zero'], ['c']),
      node('If', ['c'], ['y'], { then_branch: branch('t', 'Neg'), else_branch: branch('e', 'Abs') }),
    ];
    expect(() => imported(nodes, [tensor('zero', [])])).toThrow(/operator If .*condition.*computed from data/);
  });
});
