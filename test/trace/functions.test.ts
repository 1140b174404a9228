/** The familiar functions against PyTorch's float64 (test/trace/make.py), and their shape errors. */
import { describe, expect, test } from 'vitest';
import { toFloat64 } from '../../src/base/convert.js';
import { type NdArray, readNpz } from '../../src/data/index.js';
import type { Node } from '../../src/graph/index.js';
import { layers, nn } from '../../src/trace/index.js';
import { compute, error } from './compute.js';

const golden = await readNpz('test/trace/functions.npz');
type Build = (x: Readonly<Record<string, Node>>) => Node;
const get = (x: Readonly<Record<string, Node>>, k: string): Node => x[k] as Node;

const cases: [string, Build][] = [
  [
    'conv2d',
    (x) =>
      nn.conv2d(get(x, 'x'), get(x, 'w'), {
        bias: get(x, 'b'),
        stride: [2, 1],
        padding: [1, 2],
        dilation: [1, 2],
        groups: 2,
      }),
  ],
  ['conv1d', (x) => nn.conv1d(get(x, 'x'), get(x, 'w'), { stride: 2, padding: 1 })],
  ['linear', (x) => nn.linear(get(x, 'x'), get(x, 'w'), get(x, 'b'))],
  ['maxPool2d', (x) => nn.maxPool2d(get(x, 'x'), 3, { stride: 2, padding: 1 })],
  ['avgPool2d', (x) => nn.avgPool2d(get(x, 'x'), [3, 2], { stride: [2, 1], padding: 1 })],
  ['avgPoolInside', (x) => nn.avgPool2d(get(x, 'x'), [3, 2], { stride: [2, 1], padding: 1, countIncludePad: false })],
  ['layerNorm', (x) => nn.layerNorm(get(x, 'x'), { axis: -2, scale: get(x, 'w'), bias: get(x, 'b') })],
  [
    'batchNorm',
    (x) =>
      nn.batchNorm(get(x, 'x'), { mean: get(x, 'm'), variance: get(x, 'v'), scale: get(x, 'w'), bias: get(x, 'b') }),
  ],
  [
    'attention',
    (x) =>
      nn.scaledDotProductAttention(get(x, 'q'), get(x, 'k'), get(x, 'v'), { mask: nn.cast(get(x, 'mask'), 'bool') }),
  ],
  ['causal', (x) => nn.scaledDotProductAttention(get(x, 'q'), get(x, 'k'), get(x, 'v'), { causal: true })],
  ['embedding', (x) => nn.embedding(get(x, 't'), get(x, 'w'))],
  ['softmax', (x) => nn.softmax(get(x, 'x'))],
  ['logSoftmax', (x) => nn.logSoftmax(get(x, 'x'), 0)],
  ['gelu', (x) => nn.gelu(get(x, 'x'))],
  ['lstm', (x) => nn.lstm(get(x, 'x'), { input: get(x, 'w'), hidden: get(x, 'h'), bias: get(x, 'b') })],
  ['multiHeadAttention', (x) => layers.multiHeadAttention(6, 2, { causal: true }).apply(x, get(x, 'x'))],
];

describe('against PyTorch', () => {
  test.each(cases)('%s', (name, build) => {
    const arrays = [...golden].flatMap(([key, a]) =>
      key.startsWith(`${name}/`) && key !== `${name}/y` ? [[key.slice(name.length + 1), a] as const] : [],
    );
    const want = golden.get(`${name}/y`) as NdArray;
    let shape: readonly number[] = [];
    const [got] = compute(
      arrays.map(([, a]) => ({
        shape: a.shape,
        values: Array.from(toFloat64(a)),
        dtype: a.dtype === 'int32' ? ('int32' as const) : ('float64' as const),
      })),
      (...nodes) => {
        const y = build(Object.fromEntries(arrays.map(([key], i) => [key, nodes[i] as Node])));
        shape = y.shape;
        return y;
      },
    );
    expect(shape).toEqual(want.shape);
    // sums of at most 60 products, a few functions deep
    expect(error(got as number[], toFloat64(want))).toBeLessThan(2 ** -52 * 256);
  });
});

test('padding counts as zeros in avgPool2d, said or not', () => {
  const [by, said] = compute([{ shape: [1, 1, 2, 2], values: [4, 8, 12, 16] }], (x) => [
    nn.avgPool2d(x as Node, 2, { padding: 1 }),
    nn.avgPool2d(x as Node, 2, { padding: 1, countIncludePad: true }),
  ]);
  expect(by).toEqual([1, 2, 3, 4]);
  expect(said).toEqual(by);
});
test('a mask and causal attention together let a query look where both do', () => {
  const [t, d] = [4, 3];
  const mask = [1, 1, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 1, 0, 1];
  const both = mask.map((m, i) => (m === 1 && i % t <= Math.floor(i / t) ? 1 : 0));
  const [got, want] = compute(
    [
      { shape: [t, d] },
      { shape: [t, d] },
      { shape: [t, d] },
      { shape: [t, t], values: mask, dtype: 'int32' },
      { shape: [t, t], values: both, dtype: 'int32' },
    ],
    (q, k, v, m, b) => {
      const attend = (seen: Node, causal: boolean): Node =>
        nn.scaledDotProductAttention(q as Node, k as Node, v as Node, { mask: nn.cast(seen, 'bool'), causal });
      return [attend(m as Node, true), attend(b as Node, false)];
    },
  );
  expect(got).toEqual(want);
});

describe('shapes that do not fit are named with their types', () => {
  const on = (shapes: number[][], f: (...x: Node[]) => Node) => () =>
    compute(
      shapes.map((shape) => ({ shape })),
      f,
    );
  test.each([
    [
      'linear: input float64[2, 3] does not fit weight float64[5, 4]; its last axis must be 4',
      on(
        [
          [2, 3],
          [5, 4],
        ],
        (x, w) => nn.linear(x as Node, w as Node),
      ),
    ],
    [
      'conv2d: input float64[1, 3, 8, 8] does not fit weight float64[4, 2, 3, 3] in 1 group',
      on(
        [
          [1, 3, 8, 8],
          [4, 2, 3, 3],
        ],
        (x, w) => nn.conv2d(x as Node, w as Node),
      ),
    ],
    [
      'maxPool2d: window [9,9] with padding [0,0] does not fit float64[1, 1, 4, 4]',
      on([[1, 1, 4, 4]], (x) => nn.maxPool2d(x as Node, 9)),
    ],
    [
      'maxPool2d: window [2,2] with padding [2,2] does not fit float64[1, 1, 4, 4]',
      on([[1, 1, 4, 4]], (x) => nn.maxPool2d(x as Node, 2, { padding: 2 })),
    ],
    ['embedding: indices float64[2] must be int32', on([[2], [3, 4]], (t, w) => nn.embedding(t as Node, w as Node))],
    [
      'scaledDotProductAttention: queries float64[2, 3], keys float64[2, 4] and values float64[2, 3] do not fit',
      on(
        [
          [2, 3],
          [2, 4],
          [2, 3],
        ],
        (q, k, v) => nn.scaledDotProductAttention(q as Node, k as Node, v as Node),
      ),
    ],
    [
      'batchNorm: float64[3] does not fit the channels of float64[2, 4]',
      on([[2, 4], [3]], (x, m) => nn.batchNorm(x as Node, { mean: m as Node, variance: m as Node })),
    ],
    [
      'stage 1: linear: input float64[2, 3] does not fit',
      on(
        [
          [2, 3],
          [5, 4],
        ],
        (x, w) =>
          layers
            .sequential(nn.tanh, { parameters: {}, apply: (_: object, h: Node) => nn.linear(h, w as Node) })
            .apply({}, x as Node),
      ),
    ],
    ['at: position 3 is outside axis 1 of float64[2, 3]', on([[2, 3]], (x) => nn.at(x as Node, 1, 3))],
  ])('%s', (message, run) => {
    expect(run).toThrow(message);
  });
});
