/** Derivatives where there is none: PyTorch's choices. */
import { describe, expect, test } from 'vitest';
import type { Node } from '../../src/graph/index.js';
import { Graph, ops } from '../../src/graph/index.js';
import { gradient, jvp } from '../../src/transform/jvp.js';
import { valueAt } from '../cases/instance.js';

/** ∂ Σ f / ∂ each operand, in a graph of its own */
function slopes(f: (...x: Node[]) => Node, ...values: number[][]): number[][] {
  const graph = new Graph();
  const leaves = values.map((v, i) => graph.input(`x${i}`, [v.length], 'float64'));
  const at = new Map(leaves.map((leaf, i) => [leaf, values[i] as number[]]));
  return gradient(ops.reduceSum(f(...leaves)), leaves).map((g, i) =>
    (g ? valueAt(g, at) : (values[i] as number[]).map(() => 0)).map((v) => v + 0),
  );
}

describe('ties', () => {
  test('max and min of equal operands: half each', () => {
    expect(slopes(ops.max, [1, 2, 3], [1, 3, 2])).toEqual([
      [0.5, 0, 1],
      [0.5, 1, 0],
    ]);
    expect(slopes(ops.min, [1, 2, 3], [1, 3, 2])).toEqual([
      [0.5, 1, 0],
      [0.5, 0, 1],
    ]);
  });
  test('max of a value and itself', () => expect(slopes((x) => ops.max(x, x), [4])).toEqual([[1]]));
  test('reduceMax and reduceMin: shared by all that are extreme', () => {
    expect(slopes((x) => ops.reduceMax(x, [0]), [2, 5, 5, 1])).toEqual([[0, 0.5, 0.5, 0]]);
    expect(slopes((x) => ops.reduceMin(x, [0]), [2, 1, 1, 1])).toEqual([[0, 1 / 3, 1 / 3, 1 / 3]]);
  });
});

describe('zero', () => {
  test('abs and sign are flat there', () =>
    expect(slopes((x) => ops.add(ops.abs(x), ops.sign(x)), [0, -2, 2])).toEqual([[0, -1, 1]]));
  test('0^b is flat in b for b > 0, and x^1 has slope 1', () =>
    expect(slopes(ops.pow, [0, 0], [2, 1])).toEqual([
      [0, 1],
      [0, 0],
    ]));
  test('x^0 is flat in x, at 0 too', () =>
    expect(slopes(ops.pow, [0, 2], [0, 0])).toEqual([
      [0, 0],
      [0, Math.log(2)],
    ]));
  test('powers given as data: the second derivative of x², x and 1 at 0', () => {
    const graph = new Graph();
    const x = graph.input('x', [3], 'float64'),
      b = graph.input('b', [3], 'float64'),
      t = graph.input('t', [3], 'float64');
    const [first] = gradient(ops.reduceSum(ops.pow(x, b)), [x]);
    const [second] = jvp([first as Node], new Map([[x, t]]));
    expect(
      valueAt(
        second as Node,
        new Map([
          [x, [0, 0, 0]],
          [b, [2, 1, 0]],
          [t, [1, 1, 1]],
        ]),
      ).map((v) => v + 0),
    ).toEqual([2, 0, 0]);
  });
  test('reverse over reverse of 0^b is finite', () => {
    const graph = new Graph();
    const a = graph.input('a', [1], 'float64'),
      b = graph.input('b', [1], 'float64');
    const [slope] = gradient(ops.reduceSum(ops.pow(a, b)), [b]);
    expect(
      gradient(ops.reduceSum(slope as Node), [a]).map((g) =>
        valueAt(
          g as Node,
          new Map([
            [a, [0]],
            [b, [2]],
          ]),
        ),
      ),
    ).toEqual([[0]]);
  });
  test('a root has no slope there', () => expect(slopes(ops.sqrt, [0])).toEqual([[Infinity]]));
});

describe('choices are not differentiated', () => {
  test('the unchosen branch has no slope', () =>
    expect(slopes((x, y) => ops.select(ops.lt(x, y), x, ops.mul(y, 3)), [1, 2], [2, 1])).toEqual([
      [1, 0],
      [0, 3],
    ]));
  test('nor has a stopped value, a rounded one or one cast to an integer', () => {
    const f = (x: Node): Node =>
      [ops.stopGradient(x), ops.round(x), ops.floor(x), ops.ceil(x), ops.cast(ops.cast(x, 'int32'), 'float64')].reduce(
        (a, b) => ops.add(a, b),
      );
    expect(slopes((x) => ops.add(f(x), ops.mul(x, 2)), [0.5, 1.2])).toEqual([[2, 2]]);
  });
  test('what does not depend on a leaf has no derivative at all', () => {
    const graph = new Graph();
    const x = graph.input('x', [], 'float64'),
      y = graph.input('y', [], 'float64');
    expect(gradient(ops.sin(x), [x, y])[1]).toBeNull();
    expect(gradient(ops.stopGradient(x), [x])).toEqual([null]);
  });
});
