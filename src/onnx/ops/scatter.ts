/** Writing at indices. */
import { quoted } from '../../base/quote.js';
import { isOp, type Node, ops, sizeOf } from '../../graph/index.js';
import type { AttributeView, Op, OpTable } from '../op.js';
import { checkTable } from '../values.js';
import { indices, places } from './gather.js';

const limits = "reductions 'mul', 'min' and 'max' only at indices known at import";
const combinations: Readonly<Record<string, (a: Node, b: Node) => Node>> = { mul: ops.mul, min: ops.min, max: ops.max };

const refuseReduction = (node: AttributeView): string | undefined => {
  const reduction = node.string('reduction', 'none');
  return ['none', 'add', ...Object.keys(combinations)].includes(reduction)
    ? undefined
    : `combines by the unknown reduction ${quoted(reduction)}`;
};

/**
 * Rows of `updates` combined with the rows of `data` at known places, in rounds: a place that several updates meet
 * takes one of them in each.
 */
function combined(data: Node, updates: Node, index: Int32Array, combine: (a: Node, b: Node) => Node): Node {
  const met = new Map<number, number>();
  const rounds: number[][] = [];
  index.forEach((place, row) => {
    const round = met.get(place) ?? 0;
    met.set(place, round + 1);
    rounds[round] ??= [];
    rounds[round].push(row);
  });
  return rounds.reduce((x, rows) => {
    const list = (values: readonly number[]): Node =>
      x.graph.constant(Int32Array.from(values), [values.length], 'int32');
    const at = list(rows.map((row) => index[row] as number)),
      size = x.shape[0] as number;
    const values = combine(ops.take(x, at, 0), ops.take(updates, list(rows), 0));
    const hit = ops.takeTranspose(x.graph.fill(1, values.shape, 'int32'), at, 0, size);
    return ops.select(ops.ne(hit, 0), ops.takeTranspose(values, at, 0, size), x);
  }, data);
}
function knownPlaces(op: Op, index: Node): Int32Array {
  checkTable(sizeOf(index.shape), 'the index');
  if (isOp(index, 'fill')) return new Int32Array(sizeOf(index.shape)).fill(index.attributes.value);
  if (!isOp(index, 'constant')) op.constant(1, 'the index of a reduction');
  return Int32Array.from((index as Node<'constant'>).attributes.data);
}

/** data with `updates` put where `adjoint` puts them: added, or in place of what stands there */
function written(op: Op, data: Node, updates: Node, adjoint: (values: Node) => Node): Node {
  const placed = adjoint(updates);
  if (op.string('reduction', 'none') === 'add') return ops.add(data, placed);
  const hit = adjoint(updates.graph.fill(1, updates.shape, 'int32'));
  return ops.select(ops.ne(hit, 0), placed, data);
}

function scatterElements(op: Op): Node {
  const data = op.x(0),
    axis = ops.normaliseAxis(op.int('axis', 0), data.shape.length),
    extent = data.shape[axis] as number;
  const index = indices(op, 1, extent);
  const combine = combinations[op.string('reduction', 'none')];
  if (combine) {
    const flat = (x: Node): Node => ops.reshape(x, [sizeOf(x.shape)]);
    const stride = (shape: readonly number[], a: number): number => sizeOf(shape.slice(a + 1));
    const places = knownPlaces(op, index).map((v, i) =>
      index.shape.reduce((sum, d, a) => {
        const own = a === axis ? v : Math.floor(i / stride(index.shape, a)) % d;
        return sum + own * stride(data.shape, a);
      }, 0),
    );
    return ops.reshape(combined(flat(data), flat(op.x(2)), places, combine), data.shape);
  }
  return written(op, data, op.x(2), (values) => {
    const part = op.graph.make('scatterElements', [values, index], { axis, size: extent });
    // the index may cover less than data on the other axes
    return ops.pad(
      part,
      data.shape.map(() => 0),
      data.shape.map((d, i) => d - (part.shape[i] as number)),
    );
  });
}

function scatterNd(op: Op): Node {
  const data = op.x(0),
    depth = op.shape(1).at(-1) ?? 0;
  const index = places(op, 1, data.shape, depth);
  const size = sizeOf(data.shape.slice(0, depth)),
    rest = data.shape.slice(depth),
    flat = sizeOf(index.shape);
  const combine = combinations[op.string('reduction', 'none')];
  if (combine) {
    const updates = ops.reshape(op.x(2), [flat, ...rest]);
    const rows = combined(ops.reshape(data, [size, ...rest]), updates, knownPlaces(op, index), combine);
    return ops.reshape(rows, data.shape);
  }
  return written(op, data, op.x(2), (values) => {
    const rows = ops.takeTranspose(ops.reshape(values, [flat, ...rest]), ops.reshape(index, [flat]), 0, size);
    return ops.reshape(rows, data.shape);
  });
}

export const scatterOps: OpTable = {
  ScatterElements: { limits, refuse: refuseReduction, build: scatterElements },
  Scatter: { build: scatterElements },
  ScatterND: { limits, refuse: refuseReduction, build: scatterNd },
};
