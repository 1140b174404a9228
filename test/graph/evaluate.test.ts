import { describe, expect, test } from 'vitest';
import { erf } from '../../src/graph/evaluate/erf.js';
import { evaluate } from '../../src/graph/evaluate.js';
import { Graph, type Node, ops } from '../../src/graph/index.js';

/** values that differ, of both signs, the same every time */
function numbers(count: number, seed = 1): number[] {
  let state = seed * 7919;
  return Array.from({ length: count }, () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647 - 0.5;
  });
}
const graph = new Graph();
let made = 0;
function value(
  shape: readonly number[],
  data = numbers(
    shape.reduce((n, d) => n * d, 1),
    ++made,
  ),
): { node: Node; data: number[] } {
  return { node: graph.input(`x${made++}`, shape, 'float64'), data };
}
const run = (output: Node, ...inputs: { node: Node; data: number[] }[]): number[] => [
  ...(evaluate([output], new Map(inputs.map((i) => [i.node, i.data])))[0] as Float64Array),
];
const inner = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, v, i) => sum + v * (b[i] as number), 0);

describe('element-wise', () => {
  // from tables of the error function (Abramowitz & Stegun 7.1)
  test.each([
    [0, 0],
    [0.5, 0.5204998778130465],
    [1, 0.8427007929497149],
    [2, 0.9953222650189527],
    [-1, -0.8427007929497149],
    [2.4, 0.9993114861033549],
    [2.6, 0.9997639655834707],
    [3, 0.9999779095030014],
    [7, 1],
    [-Infinity, -1],
  ])('erf %d', (x, y) => {
    expect(erf(x)).toBeCloseTo(y, 14);
  });
  test('NaN passes erf', () => expect(erf(NaN)).toBeNaN());

  test('rounding goes to even', () => {
    const x = value([7], [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 2.6]);
    expect(run(ops.round(x.node), x).map((v) => v + 0)).toEqual([-2, -2, 0, 0, 2, 2, 3]);
  });

  test('mod has the sign of the divisor', () => {
    const a = value([4], [5, -5, 5, -5]),
      b = value([4], [3, 3, -3, -3]);
    expect(run(ops.mod(a.node, b.node), a, b)).toEqual([2, 1, -1, -2]);
  });

  test('max, min and select let NaN through where it is chosen', () => {
    const a = value([2], [NaN, 1]),
      b = value([2], [0, NaN]);
    expect(run(ops.max(a.node, b.node), a, b)).toEqual([NaN, NaN]);
    expect(run(ops.select(ops.le(a.node, 0), 0, a.node), a)).toEqual([NaN, 1]);
  });

  test('integers divide towards zero and wrap', () => {
    const n = graph.input('n', [3], 'int32'),
      d = graph.input('d', [3], 'int32');
    const [quotient, product] = evaluate(
      [ops.div(n, d), ops.mul(n, d)],
      new Map([
        [n, [-7, 7, 2147483647]],
        [d, [2, 2, 2147483647]],
      ]),
    );
    expect([...(quotient as Int32Array)]).toEqual([-3, 3, 1]);
    expect([...(product as Int32Array)]).toEqual([-14, 14, 1]);
  });

  test('casts truncate; truth is not zero', () => {
    const x = value([4], [-1.7, 0, 0.3, NaN]);
    expect(run(ops.cast(x.node, 'int32'), x)).toEqual([-1, 0, 0, 0]);
    expect(run(ops.cast(x.node, 'bool'), x)).toEqual([1, 0, 1, 1]);
  });
});

describe('reductions', () => {
  test('over several axes', () => {
    const x = value([2, 3, 2], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    expect(run(ops.reduceSum(x.node, [0, 2]), x)).toEqual([18, 26, 34]);
    expect(run(ops.reduceMax(x.node, [1]), x)).toEqual([5, 6, 11, 12]);
    expect(run(ops.reduceMin(x.node), x)).toEqual([1]);
  });
  test('the first extremum counts, NaN as extreme', () => {
    const x = value([2, 4], [1, 3, 3, 0, 2, NaN, 5, 0]);
    expect(run(ops.argMax(x.node, 1), x)).toEqual([1, 1]);
    expect(run(ops.argMin(x.node, 1), x)).toEqual([3, 1]);
    expect(run(ops.argMax(x.node, 0), x)).toEqual([1, 1, 1, 0]);
  });
  test('running sums from either end', () => {
    const x = value([2, 3], [1, 2, 3, 4, 5, 6]);
    expect(run(ops.cumsum(x.node, 1), x)).toEqual([1, 3, 6, 4, 9, 15]);
    expect(run(ops.cumsum(x.node, 1, true, true), x)).toEqual([5, 3, 0, 11, 6, 0]);
  });
  test('sorting is stable', () => {
    const x = value([5], [2, NaN, 1, 2, 0]);
    expect(run(ops.argsort(x.node, 0), x)).toEqual([4, 2, 0, 3, 1]);
    expect(run(ops.argsort(x.node, 0, true), x)).toEqual([1, 0, 3, 2, 4]);
  });
});

test('dot sums over shared labels and keeps batches', () => {
  const x = value([2, 3, 4]),
    y = value([4, 2, 5]);
  const found = run(ops.dot(x.node, y.node, 'bmk', 'kbn', 'nbm'), x, y);
  const at = (n: number, b: number, m: number): number =>
    [0, 1, 2, 3].reduce(
      (sum, k) => sum + (x.data[(b * 3 + m) * 4 + k] as number) * (y.data[(k * 2 + b) * 5 + n] as number),
      0,
    );
  for (let n = 0; n < 5; n++)
    for (let b = 0; b < 2; b++)
      for (let m = 0; m < 3; m++) expect(found[(n * 2 + b) * 3 + m]).toBeCloseTo(at(n, b, m), 14);
});

describe('convolution', () => {
  const a = { strides: [2, 1], padLow: [1, 0], padHigh: [1, 2], dilations: [1, 2], groups: 2 };
  const x = value([2, 4, 5, 6]),
    w = value([6, 2, 3, 2]);
  const y = ops.conv(x.node, w.node, a);

  test('is the sum it is defined as', () => {
    const found = run(y, x, w);
    expect(y.shape).toEqual([2, 6, 3, 6]);
    const at = (n: number, c: number, i: number, j: number): number =>
      i < 0 || j < 0 || i >= 5 || j >= 6 ? 0 : (x.data[((n * 4 + c) * 5 + i) * 6 + j] as number);
    for (let e = 0; e < found.length; e++) {
      const j = e % 6,
        i = Math.floor(e / 6) % 3,
        o = Math.floor(e / 18) % 6,
        n = Math.floor(e / 108);
      let sum = 0;
      for (let c = 0; c < 2; c++)
        for (let p = 0; p < 3; p++)
          for (let q = 0; q < 2; q++)
            sum +=
              (w.data[((o * 2 + c) * 3 + p) * 2 + q] as number) * at(n, (o < 3 ? 0 : 2) + c, i * 2 + p - 1, j + q * 2);
      expect(found[e]).toBeCloseTo(sum, 13);
    }
  });

  test('has its two adjoints', () => {
    const c = value(y.shape);
    const forward = inner(run(y, x, w), c.data);
    expect(inner(run(ops.convInput(c.node, w.node, a, [5, 6]), c, w), x.data)).toBeCloseTo(forward, 12);
    expect(inner(run(ops.convWeight(x.node, c.node, a, [3, 2]), x, c), w.data)).toBeCloseTo(forward, 12);
  });

  test('runs a block: k inputs against one weight', () => {
    const two = value([2, ...x.node.shape]);
    const found = run(ops.conv(two.node, w.node, a), two, w);
    const half = two.data.length / 2;
    const each = [0, 1].flatMap((k) => run(y, { node: x.node, data: two.data.slice(k * half, (k + 1) * half) }, w));
    expect(found).toEqual(each);
  });
});

describe('windows', () => {
  const a = { window: [2, 2], strides: [2, 1], padLow: [1, 0], dilations: [1, 2] };
  test('sums and its adjoint', () => {
    const x = value([3, 4, 5]),
      c = value([3, 2, 3]);
    const sums = run(ops.windowSum(x.node, a, [2, 3]), x);
    expect(sums[0]).toBeCloseTo((x.data[0] as number) + (x.data[2] as number), 14);
    expect(inner(run(ops.windowSumTranspose(c.node, a, [4, 5]), c), x.data)).toBeCloseTo(inner(sums, c.data), 13);
  });
  test('the first maximum, never the padding', () => {
    const x = value([1, 2, 3], [-5, -5, -1, -2, -3, NaN]);
    const window = { window: [2, 2], strides: [1, 1], padLow: [0, 1], dilations: [1, 1] };
    expect(run(ops.windowArgMax(x.node, window, [1, 4]), x)).toEqual([3, 3, 5, 5]);
  });
});

describe('indexing', () => {
  test('take and gatherElements have their adjoints', () => {
    const x = value([3, 4, 2]);
    const rows = graph.constant(Int32Array.of(3, 0, 3), [3], 'int32');
    const taken = ops.take(x.node, rows, 1),
      c = value(taken.shape);
    expect(run(taken, x).slice(0, 4)).toEqual([x.data[6], x.data[7], x.data[0], x.data[1]]);
    expect(inner(run(ops.takeTranspose(c.node, rows, 1, 4), c), x.data)).toBeCloseTo(inner(run(taken, x), c.data), 13);
    const each = graph.constant(Int32Array.of(2, 1, 0, 2), [2, 1, 2], 'int32');
    const picked = ops.gatherElements(x.node, each, 1);
    expect(run(picked, x)).toEqual([x.data[4], x.data[3], x.data[8], x.data[13]]);
  });
  test('an index outside is an error', () => {
    const x = value([3]),
      i = graph.constant(Int32Array.of(0, 3), [2], 'int32');
    expect(() => run(ops.take(x.node, i, 0), x)).toThrow('index 3 is outside an axis of 3');
  });
});

test('shapes: slice undoes pad, reverse turns, broadcast repeats', () => {
  const x = value([2, 3]);
  const padded = ops.pad(x.node, [1, 0], [0, 2], [0, 1]);
  expect(padded.shape).toEqual([3, 7]);
  expect(run(ops.slice(padded, [1, 0], [2, 3], [1, 2]), x)).toEqual(x.data);
  expect(run(ops.reduceSum(padded), x)[0]).toBeCloseTo(
    x.data.reduce((p, q) => p + q),
    14,
  );
  expect(run(ops.reverse(x.node, [1]), x).slice(0, 3)).toEqual([...x.data.slice(0, 3)].reverse());
  expect(run(ops.broadcast(x.node, [3, 2, 2], [1, 0]), x)).toEqual(
    [0, 3, 1, 4, 2, 5].flatMap((i) => [x.data[i], x.data[i]]),
  );
});

test('float32 rounds after every step when asked', () => {
  const x = graph.input('single', [1], 'float32');
  const y = ops.add(ops.mul(x, 1e9), 1);
  const given = new Map([[x, [0.1]]]);
  expect(evaluate([y], given)[0]?.[0]).toBe(1e8 + 1);
  expect(evaluate([y], given, { round: true })[0]).toEqual(Float32Array.of(1e8));
});

test('a missing input is named', () => {
  expect(() => evaluate([graph.input('images', [1], 'float32')])).toThrow("no value was given for input 'images'");
});
