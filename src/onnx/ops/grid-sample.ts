/** Reading images at computed positions; differentiable in the image and in the positions. */
import { InputError, UnsupportedError } from '../../base/errors.js';
import { type Node, ops, sizeOf } from '../../graph/index.js';
import type { AttributeView, Op, OpTable } from '../op.js';

export interface Tap {
  /** int32 positions on one axis, which may lie outside */
  readonly index: Node;
  readonly weight: Node;
}

/** −1 … 1 → 0 … size−1, or the outer edges of those elements */
const unnormalised = (x: Node, size: number, corners: boolean): Node =>
  corners ? ops.mul(ops.add(x, 1), (size - 1) / 2) : ops.sub(ops.mul(ops.add(x, 1), size / 2), 0.5);

/** mirrored at low and high until inside */
function reflected(x: Node, low: number, high: number): Node {
  const span = high - low;
  if (span <= 0) return x.graph.fill(0, x.shape, x.dtype);
  const at = ops.mod(ops.sub(x, low), 2 * span);
  return ops.add(ops.select(ops.gt(at, span), ops.sub(2 * span, at), at), low);
}
/** the two elements around each position, linearly */
export function linearTaps(at: Node): Tap[] {
  const floor = ops.floor(at),
    t = ops.sub(at, floor);
  return [ops.sub(1, t), t].map((weight, i) => ({ index: ops.cast(ops.add(floor, i), 'int32'), weight }));
}
export const clamped = (x: Node, low: number, high: number): Node => ops.min(ops.max(x, low), high);

/** Keys' cubic convolution with a = −0.75 at distances 1 + t, t, 1 − t and 2 − t */
function cubicWeights(t: Node): Node[] {
  // 1.25·d³ − 2.25·d² + 1 within 1, −0.75·d³ + 3.75·d² − 6·d + 3 within 2
  const near = (d: Node): Node => ops.add(ops.mul(ops.mul(ops.sub(ops.mul(d, 1.25), 2.25), d), d), 1);
  const far = (d: Node): Node => ops.add(ops.mul(ops.sub(ops.mul(ops.add(ops.mul(d, -0.75), 3.75), d), 6), d), 3);
  const s = ops.sub(1, t);
  return [far(ops.add(t, 1)), near(t), near(s), far(ops.add(s, 1))];
}

function axisTaps(op: Op, given: Node, size: number): Tap[] {
  const corners = op.int('align_corners', 0) !== 0,
    padding = op.string('padding_mode', 'zeros'),
    mode = op.string('mode', 'linear');
  const [low, high] = corners ? [0, size - 1] : [-0.5, size - 0.5];
  const raw = unnormalised(given, size, corners);
  const cubic = mode === 'cubic' || mode === 'bicubic';
  const moved = padding === 'reflection' ? reflected(raw, low, high) : raw;
  const at = padding === 'zeros' || cubic ? raw : clamped(moved, 0, size - 1);
  const whole = (x: Node): Node => ops.cast(x, 'int32');
  if (mode === 'nearest') return [{ index: whole(ops.round(at)), weight: given.graph.fill(1, at.shape, at.dtype) }];
  if (!cubic) return linearTaps(at);
  const floor = ops.floor(at);
  return cubicWeights(ops.sub(at, floor)).map((weight, i) => ({ index: whole(ops.add(floor, i - 1)), weight }));
}
/** an index outside brought inside, where its weight vanishes */
export function zeroOutside({ index, weight }: Tap, size: number): Tap {
  const kept = clamped(index, 0, size - 1);
  return { index: kept, weight: ops.select(ops.eq(kept, index), weight, 0) };
}

/** a tap's index brought inside; with padding by zeros its weight vanishes outside */
function inside({ index, weight }: Tap, size: number, op: Op): Tap {
  const padding = op.string('padding_mode', 'zeros');
  if (padding === 'reflection') {
    const corners = op.int('align_corners', 0) !== 0;
    const mirrored = reflected(ops.cast(index, weight.dtype), corners ? 0 : -0.5, corners ? size - 1 : size - 0.5);
    return { index: clamped(ops.cast(ops.round(mirrored), 'int32'), 0, size - 1), weight };
  }
  return padding === 'zeros' ? zeroOutside({ index, weight }, size) : { index: clamped(index, 0, size - 1), weight };
}

/** every combination of one tap per axis, with flat indices into `space` */
export function combined(axes: readonly (readonly Tap[])[], space: readonly number[]): readonly Tap[] {
  return axes.reduce((all, taps, d) => {
    const size = space[d] as number;
    return all.flatMap((a) =>
      taps.map((b) => ({ index: ops.add(ops.mul(a.index, size), b.index), weight: ops.mul(a.weight, b.weight) })),
    );
  });
}
/** one tap's share, unweighted: x [n, channels, …space] at indices [n, count] is [n, channels, count] */
export function picked(x: Node, index: Node): Node {
  const [n = 0, channels = 0, ...space] = x.shape,
    count = index.shape[1] as number;
  const wide = ops.broadcast(index, [n, channels, count], [0, 2]);
  return ops.gatherElements(ops.reshape(x, [n, channels, sizeOf(space)]), wide, 2);
}

function gridSample(op: Op): Node {
  const x = op.floating(0),
    grid = op.floating(1),
    space = x.shape.slice(2),
    rank = space.length;
  if (grid.shape.length !== rank + 2 || grid.shape.at(-1) !== rank)
    throw new InputError(`a grid [${grid.shape}] does not fit an input [${x.shape}]`);
  if (rank < 1 || rank > 3) throw new UnsupportedError(`reads an input of ${rank} spatial axes; three is the most`);
  const [n = 0, channels = 0] = x.shape,
    positions = grid.shape.slice(1, -1),
    count = sizeOf(positions);
  const flat = ops.reshape(grid, [n, count, rank]);
  // the grid's last axis counts from the input's last axis on
  const axes = space.map((size, d) => {
    const coordinate = ops.reshape(ops.slice(flat, [0, 0, rank - 1 - d], [n, count, 1]), [n, count]);
    return axisTaps(op, coordinate, size).map((tap) => inside(tap, size, op));
  });
  const y = combined(axes, space)
    .map(({ index, weight }) => ops.mul(picked(x, index), ops.expandDims(weight, 1)))
    .reduce((a, b) => ops.add(a, b));
  return ops.reshape(y, [n, channels, ...positions]);
}

const modes = ['linear', 'bilinear', 'nearest', 'cubic', 'bicubic'];
const paddings = ['zeros', 'border', 'reflection'];
function refuse(node: AttributeView): string | undefined {
  if (!modes.includes(node.string('mode', 'linear'))) return 'has an unknown mode';
  return paddings.includes(node.string('padding_mode', 'zeros')) ? undefined : 'has an unknown padding mode';
}

/** the grid that an affine map of the output's positions gives */
function affineGrid(op: Op): Node {
  const theta = op.floating(0),
    size = op.list(1, 'size').slice(2),
    corners = op.int('align_corners', 0) !== 0;
  const rank = size.length;
  const steps = (d: number): Node => {
    const extent = size[d] as number;
    const at = ops.cast(op.graph.iota(d, size), theta.dtype);
    if (corners) return extent > 1 ? ops.sub(ops.mul(at, 2 / (extent - 1)), 1) : op.graph.fill(-1, size, theta.dtype);
    return ops.sub(ops.mul(at, 2 / extent), 1 - 1 / extent);
  };
  const axes = size.map((_, i) => ops.expandDims(steps(rank - 1 - i), rank));
  const points = ops.concat([...axes, op.graph.fill(1, [...size, 1], theta.dtype)], rank);
  const letters = [...'abc'].slice(0, rank).join('');
  return ops.dot(theta, points, 'nij', `${letters}j`, `n${letters}i`);
}

export const gridSampleOps: OpTable = { GridSample: { refuse, build: gridSample }, AffineGrid: { build: affineGrid } };
