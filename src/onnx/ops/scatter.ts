/** Writing at indices. */
import { quoted } from '../../base/quote.js';
import { type Node, ops, sizeOf } from '../../graph/index.js';
import type { AttributeView, Op, OpTable } from '../op.js';
import { indices, places } from './gather.js';

const limits = "reduction 'none' or 'add'";
const refuseReduction = (node: AttributeView): string | undefined => {
  const reduction = node.string('reduction', 'none');
  return ['none', 'add'].includes(reduction)
    ? undefined
    : `combines by ${quoted(reduction)}; only 'add' and replacing are supported`;
};

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
