import { InputError } from '../../base/errors.js';
import * as f from '../../graph/functions.js';
import { isFloat, type Node, ops, sizeOf } from '../../graph/index.js';
import type { Op, OpRule, OpTable } from '../op.js';
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
  return op.hasOutput(1) ? [y, globalIndex(index, x)] : [y];
}
/** ONNX counts over the whole tensor */
function globalIndex(index: Node, x: Node): Node {
  const [channels = 1, inner] = [x.shape[1], sizeOf(x.shape.slice(2))];
  const planes = ops.add(ops.mul(x.graph.iota(0, index.shape), channels), x.graph.iota(1, index.shape));
  return ops.add(index, ops.mul(planes, inner));
}

/** how many elements lie inside at each position: within the input, or within its padding where that counts too */
function counts({ size, geometry: g, positions }: Pool, includePadding: boolean): Float64Array {
  const perAxis = positions.map((count, d) =>
    Array.from({ length: count }, (_, p) => {
      const [low, high] = includePadding
        ? [-(g.padLow[d] as number), (size[d] as number) + (g.padHigh[d] as number)]
        : [0, size[d] as number];
      let inside = 0;
      for (let q = 0; q < (g.window[d] as number); q++) {
        const at = p * (g.strides[d] as number) + q * (g.dilations[d] as number) - (g.padLow[d] as number);
        if (at >= low && at < high) inside++;
      }
      return inside;
    }),
  );
  return Float64Array.from(perAxis.reduce<number[]>((all, axis) => all.flatMap((a) => axis.map((b) => a * b)), [1]));
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
    limits: 'indices in row-major order',
    refuse: (node) =>
      node.int('storage_order', 0) !== 0 && node.hasOutput(1)
        ? 'gives column-major indices (storage_order=1)'
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
