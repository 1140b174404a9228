import { InputError } from '../../base/errors.js';
import * as f from '../../graph/functions.js';
import { isFloat, type Node, ops, sizeOf } from '../../graph/index.js';
import type { Op, OpRule, OpTable } from '../op.js';
import { checkTable } from '../values.js';
import { kernelOf, positionsOf, type Windowing, windowing } from './windowing.js';

interface Pool {
  readonly x: Node;
  readonly size: readonly number[];
  readonly geometry: Windowing;
  readonly positions: readonly number[];
}
function pool(op: Op): Pool {
  const x = op.x(0),
    size = x.shape.slice(2);
  if (size.length < 1) throw new InputError(`needs [N, C, …space], got [${x.shape}]`);
  const geometry = windowing(op, size, kernelOf(op, size.length));
  return { x, size, geometry, positions: positionsOf(size, geometry, op.int('ceil_mode', 0) !== 0) };
}

/** the element at the index of the first maximum, hence differentiable */
function maxPool(op: Op): Node[] {
  const { x, size, geometry, positions } = pool(op);
  const lead = x.shape.slice(0, 2);
  const index = ops.windowArgMax(isFloat(x.dtype) ? x : ops.cast(x, op.typeOf('float32')), geometry, positions);
  const flat = ops.reshape(index, [...lead, sizeOf(positions)]);
  const picked = ops.gatherElements(ops.reshape(x, [...lead, sizeOf(size)]), flat, 2);
  const y = ops.reshape(picked, [...lead, ...positions]);
  return op.hasOutput(1) ? [y, globalIndex(op.int('storage_order', 0) === 0 ? index : byColumns(index, size), x)] : [y];
}
/** a place of a plane counted down its columns instead of along its rows */
function byColumns(index: Node, [height = 1, width = 1]: readonly number[]): Node {
  return ops.add(ops.mul(ops.mod(index, width), height), ops.div(index, width));
}
/** ONNX counts over the whole tensor */
function globalIndex(index: Node, x: Node): Node {
  const [channels = 1, inner] = [x.shape[1], sizeOf(x.shape.slice(2))];
  const planes = ops.add(ops.mul(x.graph.iota(0, index.shape), channels), x.graph.iota(1, index.shape));
  return ops.add(index, ops.mul(planes, inner));
}

/** how many elements lie inside at each position: within the input, or within its padding where that counts too */
function counts({ size, geometry: g, positions }: Pool, includePadding: boolean): Float64Array {
  checkTable(sizeOf(positions), 'the sizes of its windows');
  return positions.reduce((outer, count, d) => {
    const dilation = g.dilations[d] as number,
      pad = g.padLow[d] as number;
    const [low, high] = includePadding
      ? [-pad, (size[d] as number) + (g.padHigh[d] as number)]
      : [0, size[d] as number];
    const axis = Float64Array.from({ length: count }, (_, p) => {
      const start = p * (g.strides[d] as number) - pad;
      const first = Math.max(0, Math.ceil((low - start) / dilation));
      const end = Math.min(g.window[d] as number, Math.ceil((high - start) / dilation));
      return Math.max(0, end - first);
    });
    return Float64Array.from({ length: outer.length * count }, (_, i) => {
      return (outer[Math.floor(i / count)] as number) * (axis[i % count] as number);
    });
  }, Float64Array.of(1));
}
function averagePool(op: Op): Node {
  const p = pool(op);
  const divisors = counts(p, op.int('count_include_pad', 0) !== 0).map((c) => 1 / c);
  const scale = p.x.graph.constant(
    p.x.dtype === 'float32' ? Float32Array.from(divisors) : divisors,
    p.positions,
    p.x.dtype,
  );
  return ops.mul(ops.windowSum(p.x, p.geometry, p.positions), scale);
}

/** (Σ|x|ᵖ)^(1/p) of whatever `sum` adds up */
function powerMean(x: Node, p: number, sum: (x: Node) => Node): Node {
  if (p === 1) return sum(ops.abs(x));
  const total = sum(p === 2 ? f.square(x) : ops.pow(ops.abs(x), p));
  // at 0 the root has no derivative; torch gives 0
  const zero = ops.eq(total, 0);
  return ops.select(zero, 0, ops.pow(ops.select(zero, 1, total), 1 / p));
}
function lpPool(op: Op): Node {
  const { x, geometry, positions } = pool(op);
  return powerMean(x, op.int('p', 2), (y) => ops.windowSum(y, geometry, positions));
}

const spatial = (x: Node): number[] => x.shape.map((_, i) => i).slice(2);
const global = (apply: (x: Node, op: Op) => Node): OpRule => ({ build: (op) => apply(op.floating(0), op) });

/** puts values back at the indices that a MaxPool gave */
function maxUnpool(op: Op): Node {
  const x = op.floating(0),
    size = x.shape.slice(2);
  const g = windowing(op, size, kernelOf(op, size.length));
  const shape = op.hasInput(2)
    ? op.list(2, 'output_shape')
    : [
        ...x.shape.slice(0, 2),
        ...size.map(
          (s, i) =>
            (s - 1) * (g.strides[i] as number) -
            (g.padLow[i] as number) -
            (g.padHigh[i] as number) +
            (g.window[i] as number),
        ),
      ];
  // indices count within the tensor that was pooled, whose planes may be smaller than the result's
  const pooled = [
    ...x.shape.slice(0, 2),
    ...size.map(
      (s, i) =>
        (s - 1) * (g.strides[i] as number) -
        (g.padLow[i] as number) -
        (g.padHigh[i] as number) +
        (g.window[i] as number),
    ),
  ];
  const flat = ops.takeTranspose(
    ops.reshape(x, [sizeOf(x.shape)]),
    ops.reshape(op.x(1), [sizeOf(x.shape)]),
    0,
    sizeOf(pooled),
  );
  const y = ops.reshape(flat, pooled);
  return ops.pad(
    y,
    shape.map(() => 0),
    shape.map((d, i) => d - (pooled[i] as number)),
  );
}

export const poolingOps: OpTable = {
  MaxPool: {
    limits: 'indices in column-major order (storage_order=1) only over two spatial axes',
    refuse: (node) =>
      node.int('storage_order', 0) !== 0 && node.hasOutput(1) && (node.ints('kernel_shape') ?? []).length !== 2
        ? 'gives column-major indices (storage_order=1) over other than two spatial axes'
        : undefined,
    build: maxPool,
  },
  AveragePool: { build: averagePool },
  LpPool: { build: lpPool },
  MaxUnpool: { build: maxUnpool },
  GlobalAveragePool: global((x) => f.mean(x, spatial(x), true)),
  GlobalMaxPool: global((x) => {
    // the first maximum takes the gradient, as in max-pooling
    const flat = ops.reshape(x, [...x.shape.slice(0, 2), sizeOf(x.shape.slice(2))]);
    const picked = ops.gatherElements(flat, ops.expandDims(ops.argMax(flat, 2), 2), 2);
    return ops.reshape(picked, [...x.shape.slice(0, 2), ...spatial(x).map(() => 1)]);
  }),
  GlobalLpPool: global((x, op) => powerMean(x, op.int('p', 2), (y) => ops.reduceSum(y, spatial(y), true))),
};
