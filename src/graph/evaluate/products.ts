import type { ConvAttributes, Node, Shape } from '../node.js';
import { sizeOf } from '../node.js';
import {
  addresses,
  type Evaluator,
  gather,
  input,
  product,
  scatter,
  shapeOf,
  stridesOf,
  type Value,
} from './common.js';
import { type Tap, taps } from './taps.js';

/** the values of x with its axes in the order of `wanted` labels */
function arranged(x: Value, shape: Shape, labels: string, wanted: string): Float64Array {
  const strides = stridesOf(shape);
  const axes = [...wanted].map((c) => labels.indexOf(c));
  const at = addresses(
    axes.map((a) => shape[a] as number),
    axes.map((a) => strides[a] as number),
  );
  return gather(x, at, new Float64Array(at.length)) as Float64Array;
}

const dot: Evaluator<'dot'> = (node, inputs, allocate) => {
  const { a, b, out } = node.attributes;
  const [sa, sb] = [shapeOf(node, 0), shapeOf(node, 1)];
  const extent = (c: string): number => (a.includes(c) ? sa[a.indexOf(c)] : sb[b.indexOf(c)]) as number;
  const pick = (labels: string, keep: (c: string) => boolean): string => [...labels].filter(keep).join('');
  const batch = pick(out, (c) => a.includes(c) && b.includes(c));
  const rows = pick(out, (c) => !b.includes(c)),
    columns = pick(out, (c) => !a.includes(c));
  const summed = pick(a, (c) => !out.includes(c));
  const [B, M, N, K] = [batch, rows, columns, summed].map((labels) => product([...labels].map(extent))) as [
    number,
    number,
    number,
    number,
  ];
  const x = arranged(input(inputs, 0), sa, a, batch + rows + summed);
  const y = arranged(input(inputs, 1), sb, b, batch + summed + columns);
  const z = new Float64Array(B * M * N);
  for (let i = 0; i < B * M; i++) {
    const base = Math.floor(i / M) * K * N;
    for (let k = 0; k < K; k++) {
      const f = x[i * K + k] as number;
      for (let j = 0; j < N; j++) z[i * N + j] = (z[i * N + j] as number) + f * (y[base + k * N + j] as number);
    }
  }
  const order = batch + rows + columns;
  const strides = stridesOf(node.shape);
  const at = addresses(
    [...order].map(extent),
    [...order].map((c) => strides[out.indexOf(c)] as number),
  );
  return scatter(z, at, allocate(node.dtype, z.length));
};

interface ConvOperand {
  readonly values: Value;
  readonly shape: Shape;
}

/**
 * Adds to the one that is written, for each term of the equation of ConvInstruction, the product of the other two.
 * So the three primitives are one function.
 */
function accumulate(mode: 'x' | 'w' | 'y', x: ConvOperand, w: ConvOperand, y: ConvOperand, a: ConvAttributes): void {
  const n = a.strides.length,
    rank = n + 2;
  const space = x.shape.slice(-n),
    window = w.shape.slice(-n),
    positions = y.shape.slice(-n);
  const list: readonly Tap[] = taps(space, positions, { ...a, window });
  const [S, Q, P] = [product(space), product(window), product(positions)];
  const [samples, channels] = x.shape.slice(-rank) as [number, number];
  const [outs, inner] = w.shape.slice(-rank) as [number, number];
  const blocks = Math.max(...[x, w, y].map((o) => (o.shape.length > rank ? (o.shape[0] as number) : 1)));
  const start = (o: ConvOperand, k: number): number => (o.shape.length > rank ? k * product(o.shape.slice(1)) : 0);
  const [xs, ws, ys] = [x.values, w.values, y.values];
  for (let k = 0; k < blocks; k++) {
    for (let s = 0; s < samples; s++) {
      for (let o = 0; o < outs; o++) {
        const group = Math.floor(o / (outs / a.groups));
        const y0 = start(y, k) + (s * outs + o) * P;
        for (let i = 0; i < inner; i++) {
          const x0 = start(x, k) + (s * channels + group * inner + i) * S;
          for (let q = 0; q < Q; q++) {
            const at = start(w, k) + (o * inner + i) * Q + q;
            const { position, source } = list[q] as Tap;
            let sum = 0;
            const f = ws[at] as number;
            for (let j = 0; j < position.length; j++) {
              const p = y0 + (position[j] as number),
                r = x0 + (source[j] as number);
              if (mode === 'y') ys[p] = (ys[p] as number) + f * (xs[r] as number);
              else if (mode === 'x') xs[r] = (xs[r] as number) + f * (ys[p] as number);
              else sum += (xs[r] as number) * (ys[p] as number);
            }
            if (mode === 'w') ws[at] = f + sum;
          }
        }
      }
    }
  }
}

function conv(mode: 'x' | 'w' | 'y') {
  return (
    node: Node<'conv' | 'convInput' | 'convWeight'>,
    inputs: readonly Value[],
    allocate: Parameters<Evaluator>[2],
  ): Value => {
    const sums: ConvOperand = { values: new Float64Array(sizeOf(node.shape)), shape: node.shape };
    const first = { values: input(inputs, 0), shape: shapeOf(node, 0) },
      second = { values: input(inputs, 1), shape: shapeOf(node, 1) };
    if (mode === 'y') accumulate(mode, first, second, sums, node.attributes);
    else if (mode === 'x') accumulate(mode, sums, second, first, node.attributes);
    else accumulate(mode, first, sums, second, node.attributes);
    const out = allocate(node.dtype, sums.values.length);
    out.set(sums.values);
    return out;
  };
}

export const productEvaluators = {
  dot,
  conv: conv('y') as Evaluator<'conv'>,
  convInput: conv('x') as Evaluator<'convInput'>,
  convWeight: conv('w') as Evaluator<'convWeight'>,
};
