import { ShapeError } from '../../base/errors.js';
import type { Node } from '../node.js';
import { describe } from '../node.js';
import * as ops from '../ops.js';
import type { Rules } from '../rules.js';
import { lead, operand } from './common.js';

const integer = (index: Node | undefined): Node => {
  if (index?.dtype !== 'int32')
    throw new ShapeError(`an index must be int32, got ${index ? describe(index) : 'nothing'}`);
  return index;
};

/** index + row·size for each of the leading rows: picks from rows laid end to end */
function offsetRows(index: Node, size: number): Node {
  return ops.add(index, ops.mul(index.graph.iota(0, index.shape), index.graph.fill(size, index.shape, 'int32')));
}
/** moves axis `from` to `to` */
function move(x: Node, from: number, to: number): Node {
  const order = x.shape.map((_, i) => i).filter((i) => i !== from);
  order.splice(to, 0, from);
  return ops.transpose(x, order);
}

export const indexRules = {
  take: {
    shape: ([x, index], { axis }) => {
      const s = (x as Node).shape;
      return { shape: [...s.slice(0, axis), ...integer(index).shape, ...s.slice(axis + 1)], dtype: (x as Node).dtype };
    },
    jvp: (node, [dx]) => (dx ? ops.take(dx, operand(node.inputs, 1), node.attributes.axis) : null),
    transpose: (ct, node) => {
      const { axis } = node.attributes;
      return ops.takeTranspose(ct, operand(node.inputs, 1), axis, operand(node.inputs, 0).shape[axis] as number);
    },
    batch: (node, inputs, batched, size) => {
      const { axis } = node.attributes;
      const x = operand(inputs, 0),
        index = operand(inputs, 1);
      if (!batched[1]) return ops.take(x, index, axis + 1);
      if (!batched[0]) return move(ops.take(x, index, axis), axis, 0);
      // both: lay the k tables end to end along axis
      const extent = x.shape[axis + 1] as number;
      const front = move(x, axis + 1, 1);
      const rows = ops.reshape(front, [size * extent, ...front.shape.slice(2)]);
      return moveBlock(ops.take(rows, offsetRows(index, extent), 0), 1, index.shape.length - 1, axis + 1);
    },
  } satisfies Rules<'take'>,

  takeTranspose: {
    shape: ([y, index], { axis, size, indexRank }) => {
      const s = (y as Node).shape,
        along = integer(index).shape;
      if (along.length !== indexRank || along.some((d, i) => d !== s[axis + i]))
        throw new ShapeError(
          `takeTranspose: ${describe(index as Node)} does not fit ${describe(y as Node)} at axis ${axis}`,
        );
      return { shape: [...s.slice(0, axis), size, ...s.slice(axis + indexRank)], dtype: (y as Node).dtype };
    },
    jvp: (node, [dy]) =>
      dy ? ops.takeTranspose(dy, operand(node.inputs, 1), node.attributes.axis, node.attributes.size) : null,
    transpose: (ct, node) => ops.take(ct, operand(node.inputs, 1), node.attributes.axis),
    batch: (node, inputs, batched, k) => {
      const { axis, size, indexRank } = node.attributes;
      const y = lead(operand(inputs, 0), batched[0], k),
        index = operand(inputs, 1);
      if (!batched[1]) return ops.takeTranspose(y, index, axis + 1, size);
      const front = moveBlock(y, axis + 1, indexRank, 1);
      const summed = ops.takeTranspose(front, offsetRows(index, size), 0, k * size);
      return move(ops.reshape(summed, [k, size, ...summed.shape.slice(1)]), 1, axis + 1);
    },
  } satisfies Rules<'takeTranspose'>,

  gatherElements: {
    shape: ([x, index], { axis }) => {
      const s = (x as Node).shape,
        i = integer(index).shape;
      if (i.length !== s.length || i.some((d, at) => at !== axis && d > (s[at] as number)))
        throw new ShapeError(
          `gatherElements: ${describe(index as Node)} does not index ${describe(x as Node)} along axis ${axis}`,
        );
      return { shape: (index as Node).shape, dtype: (x as Node).dtype };
    },
    jvp: (node, [dx]) => (dx ? ops.gatherElements(dx, operand(node.inputs, 1), node.attributes.axis) : null),
    transpose: (ct, node) => {
      const { axis } = node.attributes;
      const x = operand(node.inputs, 0),
        index = operand(node.inputs, 1);
      const scattered = ops.scatterElements(ct, index, axis, x.shape[axis] as number);
      // the index may cover less than x on the other axes
      return ops.pad(
        scattered,
        x.shape.map(() => 0),
        x.shape.map((d, i) => d - (scattered.shape[i] as number)),
      );
    },
    batch: (node, inputs, batched, size) =>
      ops.gatherElements(
        lead(operand(inputs, 0), batched[0], size),
        lead(operand(inputs, 1), batched[1], size),
        node.attributes.axis + 1,
      ),
  } satisfies Rules<'gatherElements'>,

  scatterElements: {
    shape: ([y, index], { axis, size }) => {
      if (integer(index).shape.join() !== (y as Node).shape.join())
        throw new ShapeError(`scatterElements: ${describe(y as Node)} and ${describe(index as Node)} differ in shape`);
      return { shape: (y as Node).shape.map((d, i) => (i === axis ? size : d)), dtype: (y as Node).dtype };
    },
    jvp: (node, [dy]) =>
      dy ? ops.scatterElements(dy, operand(node.inputs, 1), node.attributes.axis, node.attributes.size) : null,
    transpose: (ct, node) => ops.gatherElements(ct, operand(node.inputs, 1), node.attributes.axis),
    batch: (node, inputs, batched, size) =>
      ops.scatterElements(
        lead(operand(inputs, 0), batched[0], size),
        lead(operand(inputs, 1), batched[1], size),
        node.attributes.axis + 1,
        node.attributes.size,
      ),
  } satisfies Rules<'scatterElements'>,
};

/** moves `count` axes from `from` on to start at `to` */
function moveBlock(x: Node, from: number, count: number, to: number): Node {
  const block = Array.from({ length: count }, (_, i) => from + i);
  const rest = x.shape.map((_, i) => i).filter((i) => !block.includes(i));
  return ops.transpose(x, [...rest.slice(0, to), ...block, ...rest.slice(to)]);
}
