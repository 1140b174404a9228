import { ShapeError } from '../../base/errors.js';
import type { Node } from '../node.js';
import { describe, isFloat, sizeOf } from '../node.js';
import * as ops from '../ops.js';
import type { Rules } from '../rules.js';
import { lead, operand } from './common.js';

const inverse = (permutation: readonly number[]): number[] => {
  const out: number[] = [];
  permutation.forEach((p, i) => {
    out[p] = i;
  });
  return out;
};
const deeper = (axes: readonly number[]): number[] => axes.map((a) => a + 1);
const withLead = (x: Node, attributes: readonly number[], first: number): number[] => {
  if (x.shape.length !== attributes.length + 1) throw new ShapeError(`batching: ${describe(x)} has an unexpected rank`);
  return [first, ...attributes];
};

export const shapeRules = {
  reshape: {
    shape: ([x], { shape }) => {
      if (sizeOf(shape) !== sizeOf((x as Node).shape))
        throw new ShapeError(`cannot reshape ${describe(x as Node)} to [${shape}]`);
      return { shape, dtype: (x as Node).dtype };
    },
    jvp: (node, [dx]) => (dx ? ops.reshape(dx, node.shape) : null),
    transpose: (ct, node) => ops.reshape(ct, operand(node.inputs, 0).shape),
    batch: (node, inputs, _, size) => ops.reshape(operand(inputs, 0), [size, ...node.shape]),
  } satisfies Rules<'reshape'>,

  transpose: {
    shape: ([x], { permutation }) => {
      const s = (x as Node).shape;
      if ([...permutation].sort((p, q) => p - q).some((p, i) => p !== i) || permutation.length !== s.length)
        throw new ShapeError(`[${permutation}] does not permute the axes of ${describe(x as Node)}`);
      return { shape: permutation.map((p) => s[p] as number), dtype: (x as Node).dtype };
    },
    jvp: (node, [dx]) => (dx ? ops.transpose(dx, node.attributes.permutation) : null),
    transpose: (ct, node) => ops.transpose(ct, inverse(node.attributes.permutation)),
    batch: (node, inputs) => ops.transpose(operand(inputs, 0), [0, ...deeper(node.attributes.permutation)]),
  } satisfies Rules<'transpose'>,

  broadcast: {
    shape: ([x], { shape, dims }) => {
      const s = (x as Node).shape;
      if (
        dims.length !== s.length ||
        new Set(dims).size !== dims.length ||
        s.some((d, i) => d !== 1 && d !== shape[dims[i] as number])
      )
        throw new ShapeError(`${describe(x as Node)} does not broadcast to [${shape}] at axes [${dims}]`);
      return { shape, dtype: (x as Node).dtype };
    },
    jvp: (node, [dx]) => (dx ? ops.broadcast(dx, node.attributes.shape, node.attributes.dims) : null),
    transpose: (ct, node) => {
      const x = operand(node.inputs, 0),
        { shape, dims } = node.attributes;
      const repeated = shape.flatMap((d, axis) => {
        const i = dims.indexOf(axis);
        return i < 0 || (x.shape[i] === 1 && d !== 1) ? [axis] : [];
      });
      const summed = ops.reduceSum(ct, repeated);
      // what is left stands in the order of the result's axes; put it into the operand's
      const left = dims
        .map((d, i) => ({ d, i }))
        .filter(({ d }) => !repeated.includes(d))
        .sort((p, q) => p.d - q.d)
        .map(({ i }) => i);
      const order = dims
        .map((_, i) => i)
        .filter((i) => left.includes(i))
        .map((i) => left.indexOf(i));
      return ops.reshape(ops.transpose(summed, order), x.shape);
    },
    batch: (node, inputs, _, size) =>
      ops.broadcast(operand(inputs, 0), [size, ...node.attributes.shape], [0, ...deeper(node.attributes.dims)]),
  } satisfies Rules<'broadcast'>,

  slice: {
    shape: ([x], { starts, sizes, strides }) => {
      const s = (x as Node).shape;
      const bad =
        s.length !== sizes.length ||
        sizes.some(
          (n, i) =>
            n < 0 ||
            (starts[i] as number) < 0 ||
            (strides[i] as number) < 1 ||
            (starts[i] as number) > (s[i] as number) ||
            (n > 0 && (starts[i] as number) + (n - 1) * (strides[i] as number) >= (s[i] as number)),
        );
      if (bad) throw new ShapeError(`slice [${starts}]+[${sizes}]·[${strides}] leaves ${describe(x as Node)}`);
      return { shape: sizes, dtype: (x as Node).dtype };
    },
    jvp: (node, [dx]) =>
      dx ? ops.slice(dx, node.attributes.starts, node.attributes.sizes, node.attributes.strides) : null,
    transpose: (ct, node) => {
      const { starts, sizes, strides } = node.attributes;
      const x = operand(node.inputs, 0);
      const high = x.shape.map((d, i) => {
        const n = sizes[i] as number;
        return d - (starts[i] as number) - (n === 0 ? 0 : (n - 1) * (strides[i] as number) + 1);
      });
      return ops.pad(
        ct,
        starts,
        high,
        strides.map((s) => s - 1),
      );
    },
    batch: (node, inputs, _, size) => {
      const { starts, sizes, strides } = node.attributes;
      const x = operand(inputs, 0);
      return ops.slice(x, withLead(x, starts, 0), withLead(x, sizes, size), withLead(x, strides, 1));
    },
  } satisfies Rules<'slice'>,

  pad: {
    shape: ([x], { low, high, interior }) => {
      const s = (x as Node).shape;
      if (low.length !== s.length || [...low, ...high, ...interior].some((p) => p < 0))
        throw new ShapeError(`pad [${low}] [${high}] [${interior}] does not fit ${describe(x as Node)}`);
      return {
        shape: s.map(
          (d, i) => d + (low[i] as number) + (high[i] as number) + Math.max(0, d - 1) * (interior[i] as number),
        ),
        dtype: (x as Node).dtype,
      };
    },
    jvp: (node, [dx]) => (dx ? ops.pad(dx, node.attributes.low, node.attributes.high, node.attributes.interior) : null),
    transpose: (ct, node) => {
      const { low, interior } = node.attributes;
      return ops.slice(
        ct,
        low,
        operand(node.inputs, 0).shape,
        interior.map((n) => n + 1),
      );
    },
    batch: (node, inputs) => {
      const { low, high, interior } = node.attributes;
      const x = operand(inputs, 0);
      return ops.pad(x, withLead(x, low, 0), withLead(x, high, 0), withLead(x, interior, 0));
    },
  } satisfies Rules<'pad'>,

  concat: {
    shape: (parts, { axis }) => {
      const x = operand(parts, 0);
      for (const p of parts) {
        if (
          p.dtype !== x.dtype ||
          p.shape.length !== x.shape.length ||
          p.shape.some((d, i) => i !== axis && d !== x.shape[i])
        )
          throw new ShapeError(`concat along ${axis}: ${describe(x)} and ${describe(p)} do not fit`);
      }
      return {
        shape: x.shape.map((d, i) => (i === axis ? parts.reduce((n, p) => n + (p.shape[i] as number), 0) : d)),
        dtype: x.dtype,
      };
    },
    jvp: (node, tangents) =>
      isFloat(node.dtype)
        ? ops.concat(
            node.inputs.map((x, i) => tangents[i] ?? ops.zerosLike(x)),
            node.attributes.axis,
          )
        : null,
    transpose: (ct, node, i) => {
      const { axis } = node.attributes;
      const start = node.inputs.slice(0, i).reduce((n, p) => n + (p.shape[axis] as number), 0);
      const part = operand(node.inputs, i);
      return ops.slice(
        ct,
        part.shape.map((_, d) => (d === axis ? start : 0)),
        part.shape,
      );
    },
    batch: (node, inputs, batched, size) =>
      ops.concat(
        inputs.map((x, i) => lead(x, batched[i], size)),
        node.attributes.axis + 1,
      ),
  } satisfies Rules<'concat'>,

  reverse: {
    shape: ([x], { axes }) => {
      const rank = (x as Node).shape.length;
      if (new Set(axes).size !== axes.length || axes.some((a) => a < 0 || a >= rank))
        throw new ShapeError(`reverse: axes [${axes}] do not fit ${describe(x as Node)}`);
      return { shape: (x as Node).shape, dtype: (x as Node).dtype };
    },
    jvp: (node, [dx]) => (dx ? ops.reverse(dx, node.attributes.axes) : null),
    transpose: (ct, node) => ops.reverse(ct, node.attributes.axes),
    batch: (node, inputs) => ops.reverse(operand(inputs, 0), deeper(node.attributes.axes)),
  } satisfies Rules<'reverse'>,
};
