/**
 * The matrix product that a convolution is: rows are (image, position), columns (channel of the group, window element).
 *
 *   patches[(n,p), g, (i,q)] = x[n, g·I+i, p·stride + q·dilation − padLow],  0 outside
 *
 * so that y[n, g·O+o, p] = Σ w[g·O+o, i, q]·patches[(n,p), g, (i,q)]. Memory: window elements times that of x.
 */
import { type ConvAttributes, type Node, ops, sizeOf } from '../graph/index.js';

/** x [n, channels, …space] → [n·Πpositions, groups, channels/groups·Πwindow] */
export function patches(x: Node, a: ConvAttributes, window: readonly number[], positions: readonly number[]): Node {
  const [n = 0, channels = 0, ...space] = x.shape;
  const spread = positions.map((p, d) => (p - 1) * (a.strides[d] as number) + 1);
  const reach = window.map((w, d) => (spread[d] as number) + (w - 1) * (a.dilations[d] as number));
  const missing = reach.map((r, d) => Math.max(0, r - (a.padLow[d] as number) - (space[d] as number)));
  const low = [0, 0, ...a.padLow];
  const padded = [...low, ...missing].some((p) => p > 0) ? ops.pad(x, low, [0, 0, ...missing]) : x;
  const elements = [...indices(window)].map((q) =>
    ops.expandDims(
      ops.slice(padded, [0, 0, ...q.map((i, d) => i * (a.dilations[d] as number))], [n, channels, ...spread]),
      2,
    ),
  );
  const strided = elements.map((e) => every(e, [1, 1, 1, ...a.strides], positions));
  const stacked = ops.concat(strided, 2); // [n, channels, Q, …positions]
  const split = ops.reshape(stacked, [n, a.groups, (channels / a.groups) * sizeOf(window), ...positions]);
  return rowsFirst(split, 1);
}

/** [n, groups, columns, …positions] → [n·Πpositions, groups, columns]; `lead` axes count images */
export function rowsFirst(x: Node, lead: number): Node {
  const [groups = 0, columns = 0, ...positions] = x.shape.slice(lead);
  const axes = x.shape.map((_, i) => i);
  const moved = ops.transpose(x, [...axes.slice(0, lead), ...axes.slice(lead + 2), lead, lead + 1]);
  return ops.reshape(moved, [sizeOf(x.shape.slice(0, lead)) * sizeOf(positions), groups, columns]);
}

function every(x: Node, strides: readonly number[], positions: readonly number[]): Node {
  const sizes = [...x.shape.slice(0, 3), ...positions];
  return ops.slice(
    x,
    sizes.map(() => 0),
    sizes,
    strides,
  );
}

function* indices(extents: readonly number[]): Generator<number[]> {
  for (let flat = 0; flat < sizeOf(extents); flat++) {
    const at = extents.map(() => 0);
    let rest = flat;
    for (let d = extents.length - 1; d >= 0; d--) {
      at[d] = rest % (extents[d] as number);
      rest = Math.floor(rest / (extents[d] as number));
    }
    yield at;
  }
}
