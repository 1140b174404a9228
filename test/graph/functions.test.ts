/** Composites: first and second derivatives against differences, and no NaN where a branch overflows. */
import { describe, expect, test } from 'vitest';
import { evaluate } from '../../src/graph/evaluate.js';
import * as f from '../../src/graph/functions.js';
import { Graph, type Node, ops } from '../../src/graph/index.js';
import { gradient } from '../../src/transform/jvp.js';

type Function1 = (x: Node) => Node;

/** f, f′ and f″ of an element-wise function */
function derivatives(apply: Function1, at: readonly number[]): [number[], number[], number[]] {
  const graph = new Graph();
  const x = graph.input('x', [at.length], 'float64');
  const y = apply(x);
  const first = gradient(ops.reduceSum(y), [x])[0] ?? ops.zerosLike(x);
  const second = gradient(ops.reduceSum(first), [x])[0] ?? ops.zerosLike(x);
  return evaluate([y, first, second], new Map([[x, at]])).map((v) => Array.from(v)) as [number[], number[], number[]];
}

const functions: Record<string, Function1> = {
  relu: f.relu,
  leakyRelu: (x) => f.leakyRelu(x, 0.2),
  elu: f.elu,
  celu: (x) => f.celu(x, 0.7),
  selu: f.selu,
  clip: (x) => f.clip(x, -1, 2),
  relu6: f.relu6,
  hardSigmoid: f.hardSigmoid,
  hardSwish: f.hardSwish,
  gelu: f.gelu,
  geluTanh: f.geluTanh,
  silu: f.silu,
  mish: f.mish,
  softsign: f.softsign,
  thresholdedRelu: (x) => f.thresholdedRelu(x, 0.5),
  shrink: (x) => f.shrink(x, 0.5, 0.1),
};
const smooth = [-2.7, -1.3, -0.6, -0.2, 0.3, 0.7, 1.4, 2.9];

describe.each(Object.entries(functions))('%s', (_, apply) => {
  test('has the derivatives of its differences', () => {
    const h = 1e-5;
    const [, first, second] = derivatives(apply, smooth);
    const above = derivatives(
      apply,
      smooth.map((x) => x + h),
    );
    const below = derivatives(
      apply,
      smooth.map((x) => x - h),
    );
    smooth.forEach((_x, i) => {
      expect(first[i]).toBeCloseTo((above[0][i]! - below[0][i]!) / (2 * h), 7);
      expect(second[i]).toBeCloseTo((above[1][i]! - below[1][i]!) / (2 * h), 7);
    });
  });
  test('stays finite far out, and passes NaN on', () => {
    for (const list of derivatives(apply, [-1e4, -800, 0, 800, 1e4])) expect(list.every(Number.isFinite)).toBe(true);
    if (apply !== functions.shrink && apply !== functions.thresholdedRelu)
      expect(derivatives(apply, [NaN])[0][0]).toBeNaN();
  });
});

test('kinks are those of PyTorch', () => {
  const slope = (apply: Function1, at: number): number => derivatives(apply, [at])[1][0]!;
  expect(slope(f.relu, 0)).toBe(0);
  expect(slope((x) => f.leakyRelu(x, 0.2), 0)).toBe(0.2);
  expect(slope(f.elu, 0)).toBe(1);
  expect([-1, 2].map((at) => slope((x) => f.clip(x, -1, 2), at))).toEqual([1, 1]);
  expect([-3, 3].map((at) => slope(f.hardSwish, at))).toEqual([0, 1]);
  expect([-3, 3].map((at) => slope(f.hardSigmoid, at))).toEqual([0, 0]);
  expect(slope((x) => f.norm2(x), 0)).toBe(0);
  expect([0, 6].map((at) => slope(f.relu6, at))).toEqual([0, 0]);
});

describe('over axes', () => {
  const graph = new Graph();
  const x = graph.input('x', [2, 3], 'float64');
  const run = (y: Node, values: readonly number[]): number[] => Array.from(evaluate([y], new Map([[x, values]]))[0]!);
  test('softmax of large values, and of rows with −∞', () => {
    const [a, b, c] = run(f.softmax(x, [1]), [1000, 1001, 999, -Infinity, 0, 0]) as [number, number, number];
    expect(a + b + c).toBeCloseTo(1, 14);
    expect(b / a).toBeCloseTo(Math.E, 12);
    expect(run(f.softmax(x, [1]), [0, 0, 0, -Infinity, 0, 0]).slice(3)).toEqual([0, 0.5, 0.5]);
  });
  test('logSoftmax is its logarithm, logSumExp its normaliser', () => {
    const values = [1, 2, 3, -1, 0, 0.5];
    const soft = run(f.softmax(x, [1]), values),
      log = run(f.logSoftmax(x, [1]), values),
      sum = run(f.logSumExp(x, [1]), values);
    for (const [i, v] of values.entries()) {
      expect(Math.log(soft[i]!)).toBeCloseTo(log[i]!, 13);
      expect(v - sum[Math.floor(i / 3)]!).toBeCloseTo(log[i]!, 13);
    }
    expect(run(f.logSumExp(x, [1]), [-Infinity, -Infinity, -Infinity, 0, Infinity, 0])).toEqual([-Infinity, Infinity]);
  });
  test('layerNorm has mean 0 and variance 1', () => {
    const y = f.layerNorm(x, -1, 0);
    const values = [1, 5, 2, -4, 0, 9];
    for (const m of run(f.mean(y, [1]), values)) expect(m).toBeCloseTo(0, 13);
    for (const v of run(f.variance(y, [1]), values)) expect(v).toBeCloseTo(1, 13);
  });
});
