/** Losses over models of every kind of layer. */
import type { NdArray } from '../../src/base/ndarray.js';
import { datasetFromArrays } from '../../src/data/index.js';
import { Graph, isFloat, type Shape } from '../../src/graph/index.js';
import { customLoss } from '../../src/model/loss.js';
import { type MeanLoss, type MeanLossOptions, meanLoss } from '../../src/model/mean-loss.js';
import type { Model } from '../../src/model/model.js';
import type { ImportedModel } from '../../src/onnx/index.js';
import { nn, trace } from '../../src/trace/index.js';
import { imported, info, node, tensor } from '../onnx/small.js';
import { normals } from '../reference/matrices.js';

/** mean of (y − t)⁴ + (y − t)²: a loss that is no quadratic, for any output */
const quartic = customLoss(
  (y, t) => {
    const square = nn.square(nn.sub(y, t));
    return nn.add(square, nn.mul(0.1, nn.square(square)));
  },
  { name: 'quartic' },
);

function outputShape(model: Model, shapes: Readonly<Record<string, Shape>>): Shape {
  const graph = new Graph();
  const inputs = new Map(
    model.inputs.map((i) => [
      i.name,
      graph.input(
        i.name,
        [1, ...(shapes[i.name] ?? (i.shape.slice(1) as number[]))],
        isFloat(i.dtype) ? 'float64' : i.dtype,
      ),
    ]),
  );
  const [first] = model.build({ graph, dtype: 'float64', inputs, parameters: new Map() }).values();
  return (first as { shape: Shape }).shape.slice(1);
}

/** @param range of integer inputs */
export function lossOver(
  model: Model,
  shapes: Readonly<Record<string, Shape>> = {},
  {
    count = 7,
    range = 4,
    seed = 1,
    ...options
  }: { count?: number; range?: number; seed?: number } & MeanLossOptions = {},
): MeanLoss {
  const size = (s: Shape): number => s.reduce((n, d) => n * d, 1);
  const inputs: Record<string, NdArray> = {};
  model.inputs.forEach(({ name, shape, dtype }, i) => {
    const own = shapes[name] ?? (shape.slice(1) as number[]);
    const values = normals(count * size(own), seed + i);
    inputs[name] = isFloat(dtype)
      ? { dtype: 'float64', shape: [count, ...own], data: values }
      : {
          dtype: 'int32',
          shape: [count, ...own],
          data: Int32Array.from(values, (v) => Math.floor(Math.abs(v * 7)) % range),
        };
  });
  const out = outputShape(model, shapes);
  const target: NdArray = { dtype: 'float64', shape: [count, ...out], data: normals(count * size(out), seed + 99) };
  return meanLoss(model, quartic, datasetFromArrays({ inputs, target }), { batchSize: 4, ...options });
}

const random = (name: string, dims: number[], seed: number): ReturnType<typeof tensor> =>
  tensor(
    name,
    dims,
    Array.from(
      normals(
        dims.reduce((n, d) => n * d, 1),
        seed,
      ),
    ),
  );
const gemm = (): ImportedModel =>
  imported(
    [
      node('Transpose', ['x'], ['xt'], { perm: [1, 0] }),
      node('Gemm', ['xt', 'w1', 'b1'], ['h'], { transA: 1, transB: 1, alpha: 0.7, beta: 1.3 }),
      node('Tanh', ['h'], ['a']),
      node('MatMul', ['a', 'w2'], ['m']),
      node('Add', ['b2', 'm'], ['y']),
    ],
    [random('w1', [5, 4], 1), random('b1', [5], 2), random('w2', [5, 3], 3), random('b2', [1, 3], 4)],
  );
/** the weight is the first operand of MatMul, a view of a larger one, and a scaled and negated one */
const operands = (): ImportedModel =>
  imported(
    [
      node('Unsqueeze', ['x', 'last'], ['column']),
      node('Reshape', ['flat', 'shape'], ['w']),
      node('MatMul', ['w', 'column'], ['product']),
      node('Squeeze', ['product', 'last'], ['h']),
      node('Tanh', ['h'], ['a']),
      node('Identity', ['a'], ['a2']),
      node('Mul', ['w3', 'half'], ['w3h']),
      node('Neg', ['w3h'], ['w3n']),
      node('MatMul', ['a2', 'w3n'], ['z']),
      node('Sub', ['z', 'c'], ['zc']),
      node('Sub', ['d', 'zc'], ['y']),
    ],
    [
      random('flat', [12], 1),
      random('w3', [3, 2], 2),
      random('c', [2], 3),
      random('d', [2], 4),
      tensor('shape', [2], [3, 4], 'int64'),
      tensor('last', [1], [2], 'int64'),
      tensor('half', [], 0.5),
    ],
  );
const einsum = (): ImportedModel =>
  imported(
    [
      node('Einsum', ['x', 'w'], ['heads'], { equation: 'btd,hde->bhte' }),
      node('Tanh', ['heads'], ['a']),
      node('Einsum', ['a', 'v'], ['y'], { equation: 'bhte,hef->btf' }),
    ],
    [random('w', [2, 3, 4], 1), random('v', [2, 4, 3], 2)],
    [info('x', ['batch', 5, 3])],
  );
const transposedConv = (groups: number): ImportedModel =>
  imported(
    [
      node('ConvTranspose', ['x', 'w', 'b'], ['h'], {
        group: groups,
        strides: [2, 1],
        dilations: [1, 2],
        pads: [1, 0, 0, 1],
        output_padding: [1, 0],
      }),
      node('Tanh', ['h'], ['y']),
    ],
    [random('w', [4, 6 / groups, 3, 2], 1), random('b', [6], 2)],
    [info('x', ['batch', 4, 3, 4])],
  );
const recurrent = (op: 'LSTM' | 'GRU' | 'RNN', direction: string, steps: number): ImportedModel => {
  const gates = { LSTM: 4, GRU: 3, RNN: 1 }[op],
    directions = direction === 'bidirectional' ? 2 : 1,
    hidden = 3;
  return imported(
    [
      node('Transpose', ['x'], ['time'], { perm: [1, 0, 2] }),
      node(op, ['time', 'w', 'r', 'b'], ['h', '', ''], { hidden_size: hidden, direction }),
      node('Transpose', ['h'], ['y'], { perm: [2, 0, 1, 3] }),
    ],
    [
      random('w', [directions, gates * hidden, 2], 1),
      random('r', [directions, gates * hidden, hidden], 2),
      random('b', [directions, 2 * gates * hidden], 3),
    ],
    [info('x', ['batch', steps, 2])],
  );
};

const tracedLstm = trace((p, { x }) => nn.lstm(x, { input: p.w, hidden: p.r, bias: p.b }), {
  parameters: { w: [12, 2], r: [12, 3], b: { shape: [12], init: () => normals(12, 5) } },
  inputs: { x: [null, 4, 2] },
});
const convolutions = trace(
  (p, { x }) => {
    const a = nn.tanh(nn.conv1d(x, p.a, { bias: p.b, stride: 2, padding: 3, dilation: 2, groups: 2 }));
    const plane = nn.reshape(a, [a.shape[0] as number, 3, 4, 2]);
    const c = nn.tanh(nn.conv2d(plane, p.c, { padding: [2, 1], stride: [3, 1], dilation: [1, 2] }));
    const cube = nn.reshape(c, [c.shape[0] as number, 2, 2, 2, 2]);
    return nn.conv3d(cube, p.d, { padding: 1, stride: [1, 2, 1], groups: 2 });
  },
  {
    parameters: { a: [4, 2, 3], b: [4], c: [4, 3, 3, 2], d: [2, 1, 2, 3, 1] },
    inputs: { x: [null, 4, 10] },
  },
);
const tiedEmbedding = trace(
  (p, { tokens }) =>
    nn.linear(nn.layerNorm(nn.add(nn.embedding(tokens, p.table), p.position), { scale: p.g, bias: p.s }), p.table),
  {
    parameters: {
      table: [6, 3],
      position: { shape: [5, 3], init: () => normals(15, 2) },
      g: { shape: [3], init: () => Float64Array.of(0.5, 1, 2) },
      s: [3],
    },
    inputs: { tokens: { shape: [null, 5], dtype: 'int32' } },
  },
);
const shared = trace(
  (p, { x }) => {
    const twice = nn.linear(nn.tanh(nn.linear(x, p.w)), p.w);
    const normal = nn.div(p.v, nn.sqrt(nn.reduceSum(nn.square(p.v), [1], true)));
    const repeated = nn.linear(x, nn.broadcast(p.r, [3, 3], [1]));
    const some = nn.linear(x, nn.reverse(nn.slice(p.s, [1, 0], [3, 3]), [1]));
    return nn.add(nn.add(nn.linear(twice, nn.matmul(p.u, p.u)), nn.linear(x, normal)), nn.add(repeated, some));
  },
  {
    parameters: { w: [3, 3], u: [3, 3], v: [3, 3], r: { shape: [3], init: () => normals(3, 8) }, s: [5, 3] },
    inputs: { x: [null, 3] },
  },
);

/** few positions of wide layers: inner products of samples are cheaper from A and D */
const wide = trace(
  (p, { tokens, x }) => {
    const e = nn.add(nn.linear(nn.embedding(tokens, p.table), p.w), p.b);
    const y = nn.conv1d(x, p.c, { groups: 2 });
    return nn.add(e, nn.tanh(nn.transpose(y, [0, 2, 1])));
  },
  {
    parameters: { table: [50, 20], w: [16, 20], b: [16], c: [16, 6, 3] },
    inputs: { tokens: { shape: [null, 2], dtype: 'int32' }, x: [null, 12, 4] },
  },
);

export interface Case {
  readonly name: string;
  readonly f: () => MeanLoss;
  /** kinds of the parameters' taps, in order */
  readonly kinds: string;
}
export const cases: readonly Case[] = [
  { name: 'Gemm with every option, MatMul', f: () => lossOver(gemm()), kinds: 'linear shift linear shift' },
  {
    name: 'weights as first operand, reshaped, scaled',
    f: () => lossOver(operands()),
    kinds: 'linear linear shift shift',
  },
  { name: 'Einsum over heads', f: () => lossOver(einsum()), kinds: 'linear linear' },
  { name: 'transposed convolution', f: () => lossOver(transposedConv(1)), kinds: 'conv shift' },
  { name: 'grouped transposed convolution', f: () => lossOver(transposedConv(2)), kinds: 'conv shift' },
  { name: 'LSTM', f: () => lossOver(recurrent('LSTM', 'forward', 5)), kinds: 'linear linear shift shift' },
  {
    name: 'LSTM of one step',
    f: () => lossOver(recurrent('LSTM', 'reverse', 1)),
    kinds: 'linear shift shift',
  },
  {
    name: 'GRU in both directions',
    f: () => lossOver(recurrent('GRU', 'bidirectional', 3)),
    kinds: 'linear linear linear linear linear shift shift shift shift',
  },
  {
    name: 'traced LSTM',
    f: () => lossOver(tracedLstm),
    kinds: 'linear linear shift',
  },
  {
    name: 'convolutions of one to three axes, grouped, strided, dilated',
    f: () => lossOver(convolutions),
    kinds: 'conv shift conv conv',
  },
  {
    name: 'embedding tied to the head',
    f: () => lossOver(tiedEmbedding, {}, { range: 6 }),
    kinds: 'embedding linear shift scale shift',
  },
  {
    name: 'wide layers over few positions',
    f: () => lossOver(wide, {}, { range: 5 }),
    kinds: 'embedding linear shift conv',
  },
  {
    name: 'a weight in two layers, multiplied with itself, normalised, repeated, in part',
    f: () => lossOver(shared),
    kinds: 'linear linear linear linear other linear linear',
  },
];
