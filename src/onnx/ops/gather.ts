/** Reading at indices, sorting and selecting. */
import { InputError } from '../../base/errors.js';
import { type Node, ops, sizeOf } from '../../graph/index.js';
import type { Op, OpTable } from '../op.js';
import { checkTable } from '../values.js';

/** Input i as indices into an axis: negative ones count from its end. */
export function indices(op: Op, i: number, extent: number): Node {
  const known = op.known(i);
  if (!known) {
    const index = ops.cast(op.x(i), 'int32');
    return ops.select(ops.lt(index, 0), ops.add(index, extent), index);
  }
  const data = Int32Array.from(known.data, (v) => (v < 0 ? v + extent : v));
  const wrong = known.data.find((v) => v < -extent || v >= extent);
  if (wrong !== undefined) throw new InputError(`index ${wrong} is outside an axis of extent ${extent}`);
  return op.graph.constant(data, known.shape, 'int32');
}

/** Index tuples [..., depth] into the leading axes of `shape`, as places in those axes laid end to end. */
export function places(op: Op, i: number, shape: readonly number[], depth: number): Node {
  const lead = shape.slice(0, depth),
    tuple = op.shape(i);
  const known = op.known(i);
  if (tuple.at(-1) !== depth || depth > shape.length) throw new InputError(`indices [${tuple}] do not fit [${shape}]`);
  if (known) {
    const out = new Int32Array(sizeOf(tuple.slice(0, -1)));
    for (let at = 0; at < known.data.length; at++) {
      const d = at % depth,
        extent = lead[d] as number,
        v = known.data[at] as number;
      if (v < -extent || v >= extent) throw new InputError(`index ${v} is outside an axis of extent ${extent}`);
      const row = Math.floor(at / depth);
      out[row] = (out[row] as number) * extent + (v < 0 ? v + extent : v);
    }
    return op.graph.constant(out, tuple.slice(0, -1), 'int32');
  }
  const index = ops.cast(op.x(i), 'int32');
  const extents = op.graph.constant(Int32Array.from(lead), [depth], 'int32');
  const positive = ops.select(ops.lt(index, 0), ops.add(index, extents), index);
  const strides = Int32Array.from(lead, (_, d) => sizeOf(lead.slice(d + 1)));
  return ops.reduceSum(ops.mul(positive, op.graph.constant(strides, [depth], 'int32')), [tuple.length - 1]);
}

function gather(op: Op): Node {
  const x = op.x(0),
    axis = ops.normaliseAxis(op.int('axis', 0), x.shape.length),
    extent = x.shape[axis] as number;
  const known = op.known(1);
  // one known index is a slice, which costs nothing to transpose
  if (known?.data.length === 1) {
    const given = known.data[0] as number,
      at = given < 0 ? given + extent : given;
    if (!(at >= 0 && at < extent)) throw new InputError(`index ${given} is outside an axis of extent ${extent}`);
    const part = ops.slice(
      x,
      x.shape.map((_, i) => (i === axis ? at : 0)),
      x.shape.map((d, i) => (i === axis ? 1 : d)),
    );
    return ops.reshape(part, [...x.shape.slice(0, axis), ...known.shape, ...x.shape.slice(axis + 1)]);
  }
  return ops.take(x, indices(op, 1, extent), axis);
}

function gatherNd(op: Op): Node {
  const x = op.x(0),
    batch = op.int('batch_dims', 0),
    depth = op.shape(1).at(-1) ?? 0;
  const inner = x.shape.slice(batch);
  if (depth < 1 || depth > inner.length || batch < 0)
    throw new InputError(`indices [${op.shape(1)}] do not fit [${x.shape}]`);
  const index = places(op, 1, inner, depth),
    rest = inner.slice(depth),
    size = sizeOf(inner.slice(0, depth));
  if (batch === 0) return ops.take(ops.reshape(x, [size, ...rest]), index, 0);
  // the batches laid end to end
  const count = sizeOf(x.shape.slice(0, batch)),
    tail = index.shape.slice(batch);
  const rows = ops.reshape(index, [count, sizeOf(tail)]);
  const shifted = ops.add(rows, ops.mul(op.graph.iota(0, rows.shape), size));
  const picked = ops.take(ops.reshape(x, [count * size, ...rest]), shifted, 0);
  return ops.reshape(picked, [...x.shape.slice(0, batch), ...tail, ...rest]);
}

function topK(op: Op): Node[] {
  const x = op.x(0),
    axis = ops.normaliseAxis(op.int('axis', -1), x.shape.length);
  const k = op.opset < 10 ? op.int('k', 0) : op.scalar(1, 'k');
  if (k > (x.shape[axis] as number) || k < 0)
    throw new InputError(`k = ${k} is outside an axis of extent ${x.shape[axis]}`);
  const order = ops.argsort(x, axis, op.int('largest', 1) !== 0);
  const best = ops.slice(
    order,
    order.shape.map(() => 0),
    order.shape.map((d, i) => (i === axis ? k : d)),
  );
  return [ops.gatherElements(x, best, axis), best];
}

function compress(op: Op): Node {
  const flat = op.hasAttribute('axis') ? op.x(0) : ops.reshape(op.x(0), [sizeOf(op.shape(0))]);
  const axis = ops.normaliseAxis(op.int('axis', 0), flat.shape.length);
  const chosen = op.list(1, 'condition').flatMap((v, i) => (v !== 0 && i < (flat.shape[axis] as number) ? [i] : []));
  return ops.take(flat, op.graph.constant(Int32Array.from(chosen), [chosen.length], 'int32'), axis);
}

/** the first lengths[b] elements of each batch in reverse order */
function reverseSequence(op: Op): Node {
  const x = op.x(0),
    lengths = op.list(1, 'sequence_lens');
  const [time, batch] = [op.int('time_axis', 0), op.int('batch_axis', 1)];
  const inner = sizeOf(x.shape.slice(2)),
    [a = 0, b = 0] = x.shape;
  checkTable(a * b, 'the order of its elements');
  const index = Int32Array.from({ length: a * b }, (_, i) => {
    const t = time === 0 ? Math.floor(i / b) : i % b,
      length = lengths[batch === 0 ? Math.floor(i / b) : i % b] as number;
    return t < length ? length - 1 - t : t;
  });
  const wide = ops.broadcast(op.graph.constant(index, [a, b], 'int32'), [a, b, inner], [0, 1]);
  return ops.reshape(ops.gatherElements(ops.reshape(x, [a, b, inner]), wide, time), x.shape);
}

export const gatherOps: OpTable = {
  Gather: { build: gather },
  GatherElements: {
    build: (op) => {
      const x = op.x(0),
        axis = ops.normaliseAxis(op.int('axis', 0), x.shape.length);
      return ops.gatherElements(x, indices(op, 1, x.shape[axis] as number), axis);
    },
  },
  GatherND: { build: gatherNd },
  TopK: { build: topK },
  Compress: { build: compress },
  ReverseSequence: { build: reverseSequence },
};
