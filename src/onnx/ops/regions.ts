/** Pooling over boxes in feature maps, and convolution at displaced positions. */
import { InputError } from '../../base/errors.js';
import { type Node, ops, sameShape, sizeOf } from '../../graph/index.js';
import type { AttributeView, Op, OpTable } from '../op.js';
import { perChannel } from './convolution.js';
import { clamped, combined, linearTaps, picked, type Tap, zeroOutside } from './grid-sample.js';
import { part } from './slicing.js';
import { positionsOf, windowing } from './windowing.js';

/** column i of a table [rows, columns], as [rows, 1] */
const column = (x: Node, i: number): Node => part(x, 1, i, 1);

interface Boxes {
  /** of axis 0 of the input, int32 [boxes] */
  readonly sample: Node;
  /** [boxes, 4]: left, top, right, bottom */
  readonly rois: Node;
}
/** one map per box, and the box's ends on the vertical (0) or horizontal (1) axis */
const mapsOf = (x: Node, { sample }: Boxes): Node => ops.take(x, sample, 0);
const endsOf = ({ rois }: Boxes, axis: number): [Node, Node] => [column(rois, 1 - axis), column(rois, 3 - axis)];

/** Positions [boxes, bins·ratio] that are averaged in each bin, and whether they count (outside they give 0). */
function samples(op: Op, boxes: Boxes, axis: number, size: number): { at: Node; counts: Node; ratio: number } {
  const halfPixel = op.opset >= 16 && op.string('coordinate_transformation_mode', 'half_pixel') === 'half_pixel';
  const bins = op.int(axis === 0 ? 'output_height' : 'output_width', 1),
    scale = op.float('spatial_scale', 1);
  const [start, end] = endsOf(boxes, axis).map((v) => ops.sub(ops.mul(v, scale), halfPixel ? 0.5 : 0)) as [Node, Node];
  const span = ops.sub(end, start),
    extent = halfPixel ? span : ops.max(span, 1);
  const ratio = op.int('sampling_ratio', 0);
  if (bins < 1 || ratio < 1) throw new InputError(`cannot take ${ratio} samples in each of ${bins} bins`);
  const steps = ops.cast(op.graph.iota(1, [1, bins * ratio]), extent.dtype);
  const raw = ops.add(start, ops.mul(extent, ops.mul(ops.add(steps, 0.5), 1 / (bins * ratio))));
  const counts = ops.and(ops.ge(raw, -1), ops.le(raw, size));
  return { at: clamped(raw, 0, size - 1), counts, ratio };
}

/** [boxes, bins, size]: what a bin takes of each row, the mean of linear interpolations */
function shares(op: Op, boxes: Boxes, axis: number, size: number): Node {
  const { at, counts, ratio } = samples(op, boxes, axis, size);
  const [boxCount = 0, total = 0] = at.shape;
  const shape = [boxCount, total, size];
  const distance = ops.abs(ops.sub(ops.expandDims(at, 2), ops.cast(op.graph.iota(2, shape), at.dtype)));
  const weight = ops.select(ops.lt(distance, 1), ops.sub(1, distance), 0);
  const counted = ops.select(ops.broadcast(counts, shape, [0, 1]), weight, 0);
  const grouped = ops.reshape(counted, [boxCount, total / ratio, ratio, size]);
  return ops.mul(ops.reduceSum(grouped, [2]), 1 / ratio);
}
/** the largest weighted corner of any sample, as the operator is defined */
function largest(op: Op, maps: Node, boxes: Boxes): Node {
  const [height = 0, width = 0] = maps.shape.slice(2);
  const [v, h] = [samples(op, boxes, 0, height), samples(op, boxes, 1, width)];
  const [boxCount = 0, tall = 0] = v.at.shape,
    wide = h.at.shape[1] as number;
  const plane = [boxCount, tall, wide];
  const over = (x: Node, axis: number): Node =>
    ops.reshape(ops.broadcast(x, plane, [0, axis]), [boxCount, tall * wide]);
  const tapsOf = (at: Node, counts: Node, size: number, axis: number): Tap[] =>
    linearTaps(at).map(({ index, weight }) => ({
      index: over(clamped(index, 0, size - 1), axis),
      weight: over(ops.select(counts, weight, 0), axis),
    }));
  const corners = combined([tapsOf(v.at, v.counts, height, 1), tapsOf(h.at, h.counts, width, 2)], [height, width]);
  const values = corners
    .map(({ index, weight }) => ops.mul(picked(maps, index), ops.expandDims(weight, 1)))
    .reduce((a, b) => ops.max(a, b));
  const binned = [boxCount, maps.shape[1] as number, tall / v.ratio, v.ratio, wide / h.ratio, h.ratio];
  return ops.reduceMax(ops.reshape(values, binned), [3, 5]);
}

function roiAlign(op: Op): Node {
  const x = op.floating(0),
    boxes: Boxes = { rois: op.floating(1), sample: ops.cast(op.x(2), 'int32') };
  if (x.shape.length !== 4 || boxes.rois.shape.length !== 2 || boxes.rois.shape[1] !== 4)
    throw new InputError(`boxes [${boxes.rois.shape}] do not fit an input [${x.shape}]`);
  const maps = mapsOf(x, boxes);
  if (op.string('mode', 'avg') === 'max') return largest(op, maps, boxes);
  const [height = 0, width = 0] = x.shape.slice(2);
  const rows = ops.dot(maps, shares(op, boxes, 0, height), 'rchw', 'rph', 'rcpw');
  return ops.dot(rows, shares(op, boxes, 1, width), 'rcpw', 'rqw', 'rcpq');
}
const refuseAdaptive = (node: AttributeView): string | undefined =>
  node.int('sampling_ratio', 0) > 0 ? undefined : 'takes as many samples as its boxes are large (sampling_ratio=0)';

/** the maximum over each bin of a box rounded to whole pixels; 0 where a bin is empty */
function maxRoiPool(op: Op): Node {
  const x = op.floating(0),
    table = ops.stopGradient(op.floating(1)),
    scale = op.float('spatial_scale', 1),
    shape = op.ints('pooled_shape') ?? [];
  if (x.shape.length !== 4 || table.shape.length !== 2 || table.shape[1] !== 5 || shape.length !== 2)
    throw new InputError(`boxes [${table.shape}] and bins [${shape}] do not fit an input [${x.shape}]`);
  const boxes: Boxes = {
    sample: ops.cast(ops.reshape(column(table, 0), [table.shape[0] as number]), 'int32'),
    rois: part(table, 1, 1, 4),
  };
  // halves away from zero, as C rounds
  const rounded = (v: Node): Node => ops.mul(ops.sign(v), ops.floor(ops.add(ops.abs(v), 0.5)));
  const over = (y: Node, axis: number): Node => {
    const size = y.shape[2 + axis] as number,
      bins = shape[axis] as number;
    if (bins < 1) throw new InputError(`bins [${shape}] are impossible`);
    const [start, end] = endsOf(boxes, axis).map((v) => rounded(ops.mul(v, scale))) as [Node, Node];
    const bin = ops.mul(ops.max(ops.add(ops.sub(end, start), 1), 1), 1 / bins);
    const at = ops.cast(op.graph.iota(1, [1, bins]), bin.dtype);
    const low = clamped(ops.add(ops.floor(ops.mul(bin, at)), start), 0, size);
    const high = clamped(ops.add(ops.ceil(ops.mul(bin, ops.add(at, 1))), start), 0, size);
    const plane = [low.shape[0] as number, bins, size];
    const place = ops.cast(op.graph.iota(2, plane), bin.dtype);
    const inside = ops.and(ops.ge(place, ops.expandDims(low, 2)), ops.lt(place, ops.expandDims(high, 2)));
    // [boxes, channels, …, bins, size] with the pooled axis last
    const last = axis === 0 ? ops.transpose(y, [0, 1, 3, 2]) : y;
    const [n = 0, channels = 0, other = 0] = last.shape;
    const wide = [n, channels, other, bins, size];
    const values = ops.select(
      ops.broadcast(inside, wide, [0, 3, 4]),
      ops.broadcast(last, wide, [0, 1, 2, 4]),
      -Infinity,
    );
    const best = ops.argMax(values, 4);
    const found = ops.reshape(ops.gatherElements(values, ops.expandDims(best, 4), 4), [n, channels, other, bins]);
    return axis === 0 ? ops.transpose(found, [0, 1, 3, 2]) : found;
  };
  const y = over(over(mapsOf(x, boxes), 1), 0);
  return ops.select(ops.eq(y, -Infinity), 0, y);
}

/**
 * y[n,o,p] = Σ_c,k w[o,c,k] · mask[n,k,p] · x[n,c, p·stride − pad + k·dilation + offset[n,k,p]], x read linearly and 0
 * outside. Differentiable in all five inputs.
 */
function deformConv(op: Op): Node {
  const x = op.floating(0),
    w = op.floating(1),
    offset = op.floating(2),
    groups = op.int('group', 1),
    offsetGroups = op.int('offset_group', 1);
  if (x.shape.length !== 4 || w.shape.length !== 4 || offset.shape.length !== 4)
    throw new InputError(`needs two spatial axes, got [${x.shape}], [${w.shape}] and [${offset.shape}]`);
  const [n = 0, channels = 0, ...space] = x.shape,
    [out = 0, , ...window] = w.shape,
    positions = offset.shape.slice(2);
  const taps = sizeOf(window),
    count = sizeOf(positions),
    planes = n * offsetGroups;
  if (channels % groups !== 0 || out % groups !== 0 || channels % offsetGroups !== 0)
    throw new InputError(`${channels} channels do not form ${groups} and ${offsetGroups} groups`);
  const g = windowing(op, space, window);
  const expected = [n, offsetGroups * taps * 2, ...positionsOf(space, g, false)];
  if (!sameShape(offset.shape, expected)) throw new InputError(`offsets [${offset.shape}] should be [${expected}]`);
  const shape = [planes, ...window, ...positions];
  const moved = ops.reshape(offset, [n, offsetGroups, taps, 2, count]);
  const axes = space.map((size, d) => {
    const step = ops.mul(op.graph.iota(3 + d, shape), g.strides[d] as number),
      tap = ops.mul(op.graph.iota(1 + d, shape), g.dilations[d] as number);
    const regular = ops.sub(ops.cast(ops.add(step, tap), x.dtype), g.padLow[d] as number);
    const at = ops.add(
      ops.reshape(regular, [planes, taps * count]),
      ops.reshape(part(moved, 3, d, 1), [planes, taps * count]),
    );
    return linearTaps(at).map((t) => zeroOutside(t, size));
  });
  const maps = ops.reshape(x, [planes, channels / offsetGroups, ...space]);
  const mask = op.hasInput(4) ? ops.reshape(op.floating(4), [planes, taps * count]) : undefined;
  const read = combined(axes, space)
    .map(({ index, weight }) => ops.mul(picked(maps, index), ops.expandDims(mask ? ops.mul(weight, mask) : weight, 1)))
    .reduce((a, b) => ops.add(a, b));
  const patches = ops.reshape(read, [n, groups, channels / groups, taps, count]);
  const weights = ops.reshape(w, [groups, out / groups, channels / groups, taps]);
  const y = ops.reshape(ops.dot(patches, weights, 'ngckp', 'gock', 'ngop'), [n, out, ...positions]);
  const bias = op.maybe(3);
  return bias ? ops.add(y, perChannel(bias, 2)) : y;
}

export const regionOps: OpTable = {
  RoiAlign: { limits: 'with a stated sampling_ratio', refuse: refuseAdaptive, build: roiAlign },
  MaxRoiPool: { limits: 'boxes are rounded to pixels, so have no derivative', build: maxRoiPool },
  DeformConv: { limits: 'two spatial axes', build: deformConv },
};
