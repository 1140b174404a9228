/** Taking parts: Slice, Split, Pad and triangles. */
import { InputError, UnsupportedError } from '../../base/errors.js';
import { quoted } from '../../base/quote.js';
import { type Node, ops, sizeOf } from '../../graph/index.js';
import type { Op, OpTable } from '../op.js';
import { checkTable } from '../values.js';

/** NumPy's slices: bounds count from the end if negative and are cut to the axis */
function slice(op: Op): Node {
  const x = op.x(0),
    rank = x.shape.length,
    old = op.opset < 10;
  const starts = old ? (op.ints('starts') ?? []) : op.list(1, 'starts');
  const ends = old ? (op.ints('ends') ?? []) : op.list(2, 'ends');
  const axes = (old ? op.ints('axes') : op.hasInput(3) ? op.list(3, 'axes') : undefined) ?? starts.map((_, i) => i);
  const steps = !old && op.hasInput(4) ? op.list(4, 'steps') : starts.map(() => 1);
  if (ends.length !== starts.length || axes.length !== starts.length || steps.length !== starts.length)
    throw new InputError(`starts [${starts}], ends [${ends}], axes [${axes}] and steps [${steps}] differ in length`);
  const from = x.shape.map(() => 0),
    size = [...x.shape],
    step = x.shape.map(() => 1),
    turned: number[] = [];
  axes.forEach((given, i) => {
    const axis = ops.normaliseAxis(given, rank),
      extent = x.shape[axis] as number,
      by = steps[i] as number;
    if (!Number.isInteger(by) || by === 0) throw new InputError(`step ${by} is impossible`);
    const place = (v: number, low: number, high: number): number =>
      Math.min(high, Math.max(low, v < 0 ? v + extent : v));
    const forward = by > 0;
    const start = place(starts[i] as number, 0, forward ? extent : extent - 1);
    const end = place(ends[i] as number, forward ? 0 : -1, forward ? extent : extent - 1);
    const count = Math.max(0, Math.ceil((end - start) / by));
    // backwards: the same elements forwards, then reversed
    from[axis] = count === 0 ? 0 : forward ? start : start + (count - 1) * by;
    size[axis] = count;
    step[axis] = count > 1 ? Math.abs(by) : 1;
    if (!forward && count > 1) turned.push(axis);
  });
  const part = ops.slice(x, from, size, step);
  return turned.length > 0
    ? ops.reverse(
        part,
        turned.sort((a, b) => a - b),
      )
    : part;
}

/** the part [start, start + size) of one axis */
export function part(x: Node, axis: number, start: number, size: number): Node {
  return ops.slice(
    x,
    x.shape.map((_, i) => (i === axis ? start : 0)),
    x.shape.map((d, i) => (i === axis ? size : d)),
  );
}

/** an axis cut into parts of the given sizes */
export function cut(x: Node, axis: number, sizes: readonly number[]): Node[] {
  if (sizes.some((s) => s < 0) || sizes.reduce((a, b) => a + b, 0) !== x.shape[axis])
    throw new InputError(`parts of [${sizes}] do not make up axis ${axis} of [${x.shape}]`);
  let start = 0;
  return sizes.map((size) => {
    const piece = part(x, axis, start, size);
    start += size;
    return piece;
  });
}
/** each part is a value of its own in the graph */
const partLimit = 1 << 14;
/** parts of `size` each, the last one shorter if need be */
export function evenSizes(extent: number, size: number): number[] {
  if (!(size >= 1)) throw new InputError(`parts of ${size} are impossible`);
  if (extent / size > partLimit) throw new UnsupportedError(`${Math.ceil(extent / size)} parts are too many`);
  return Array.from({ length: Math.ceil(extent / size) }, (_, i) => Math.min(size, extent - i * size));
}
function split(op: Op): Node[] {
  const x = op.x(0),
    axis = ops.normaliseAxis(op.int('axis', 0), x.shape.length),
    extent = x.shape[axis] as number;
  const given = op.hasInput(1) ? op.list(1, 'split') : op.ints('split');
  if (given) return cut(x, axis, given);
  const parts = op.int('num_outputs', op.node.outputs.length);
  const sizes = evenSizes(extent, Math.max(1, Math.ceil(extent / parts)));
  while (sizes.length < parts && sizes.length < op.node.outputs.length) sizes.push(0);
  return cut(x, axis, sizes);
}

/** the index into an axis of `extent` that stands at each place of the padded one */
const sources: Readonly<Record<string, (i: number, extent: number) => number>> = {
  edge: (i, n) => Math.min(n - 1, Math.max(0, i)),
  wrap: (i, n) => ((i % n) + n) % n,
  reflect: (i, n) => {
    if (n === 1) return 0;
    const period = 2 * (n - 1),
      at = ((i % period) + period) % period;
    return at < n ? at : period - at;
  },
};

function pad(op: Op): Node {
  const x = op.x(0),
    rank = x.shape.length,
    mode = op.string('mode', 'constant');
  const pads = op.opset < 11 ? (op.ints('pads') ?? op.ints('paddings') ?? []) : op.list(1, 'pads');
  const axes = (op.hasInput(3) ? op.list(3, 'axes') : x.shape.map((_, i) => i)).map((a) => ops.normaliseAxis(a, rank));
  if (pads.length !== 2 * axes.length) throw new InputError(`pads [${pads}] do not fit axes [${axes}]`);
  const low = x.shape.map(() => 0),
    high = x.shape.map(() => 0);
  axes.forEach((axis, i) => {
    low[axis] = pads[i] as number;
    high[axis] = pads[i + axes.length] as number;
  });
  if (x.shape.some((d, i) => d + (low[i] as number) + (high[i] as number) < 0))
    throw new InputError(`pads [${pads}] cut away more than [${x.shape}] has`);
  if (mode === 'constant') return padded(x, low, high, op.opset < 11 ? op.float('value', 0) : (op.maybe(2) ?? 0));
  const source = sources[mode];
  if (!source) throw new InputError(`mode ${quoted(mode)} is unknown`);
  return x.shape.reduce<Node>((y, extent, axis) => {
    const [l, h] = [low[axis] as number, high[axis] as number];
    if (l === 0 && h === 0) return y;
    if (extent === 0) throw new InputError(`an axis of extent 0 cannot be padded with mode ${quoted(mode)}`);
    checkTable(extent + l + h, `the padded axis ${axis}`);
    const index = Int32Array.from({ length: extent + l + h }, (_, i) => source(i - l, extent));
    return ops.take(y, x.graph.constant(index, [index.length], 'int32'), axis);
  }, x);
}
/** negative pads cut away */
function padded(x: Node, low: readonly number[], high: readonly number[], value: Node | number): Node {
  const cutLow = low.map((p) => Math.max(0, -p)),
    cutHigh = high.map((p) => Math.max(0, -p));
  const kept = ops.slice(
    x,
    cutLow,
    x.shape.map((d, i) => Math.max(0, d - (cutLow[i] as number) - (cutHigh[i] as number))),
  );
  const l = low.map((p) => Math.max(0, p)),
    h = high.map((p) => Math.max(0, p));
  if (
    value === 0 ||
    (typeof value !== 'number' && value.op === 'fill' && (value.attributes as { value: number }).value === 0)
  ) {
    return x.dtype === 'bool' ? ops.cast(ops.pad(ops.cast(kept, 'int32'), l, h), 'bool') : ops.pad(kept, l, h);
  }
  // where the padding is: 1 inside, 0 outside
  const inside = ops.pad(x.graph.fill(1, kept.shape, 'int32'), l, h);
  const spread = ops.pad(x.dtype === 'bool' ? ops.cast(kept, 'int32') : kept, l, h);
  const scalar = typeof value === 'number' ? value : ops.reshape(value, []);
  const outside = typeof scalar === 'number' ? scalar : ops.cast(scalar, spread.dtype);
  return ops.cast(ops.select(ops.ne(inside, 0), spread, outside), x.dtype);
}

/** keeps the upper (column − row ≥ k) or lower (column − row ≤ k) triangle of the last two axes */
function triangle(op: Op): Node {
  const x = op.x(0),
    rank = x.shape.length,
    k = op.hasInput(1) ? op.scalar(1, 'k') : 0;
  if (rank < 2) throw new InputError(`needs a matrix, got [${x.shape}]`);
  const plane = x.shape.slice(-2);
  const offset = ops.sub(x.graph.iota(1, plane), x.graph.iota(0, plane));
  // beyond the corners every k is the same
  const limit = Math.min(sizeOf(plane), Math.max(-sizeOf(plane), k));
  const kept = op.int('upper', 1) !== 0 ? ops.ge(offset, limit) : ops.le(offset, limit);
  return x.dtype === 'bool' ? ops.and(kept, x) : ops.select(kept, x, 0);
}

/** cut or padded evenly on both sides to the given extents; what cannot be shared goes to the end */
function centred(op: Op): Node {
  const x = op.x(0),
    sizes = op.list(1, 'shape');
  const axes = (op.ints('axes') ?? x.shape.map((_, i) => i)).map((a) => ops.normaliseAxis(a, x.shape.length));
  if (sizes.length !== axes.length || sizes.some((n) => n < 0))
    throw new InputError(`sizes [${sizes}] do not fit axes [${axes}]`);
  const low = x.shape.map(() => 0),
    high = x.shape.map(() => 0);
  axes.forEach((axis, i) => {
    const more = (sizes[i] as number) - (x.shape[axis] as number);
    // floor where it is cut, too: the part that remains starts at ⌊surplus / 2⌋
    low[axis] = more >= 0 ? Math.floor(more / 2) : -Math.floor(-more / 2);
    high[axis] = more - (low[axis] as number);
  });
  return padded(x, low, high, 0);
}

export const slicingOps: OpTable = {
  Slice: { build: slice },
  Split: { build: split },
  Pad: { build: pad },
  CenterCropPad: { build: centred },
  Trilu: { build: triangle },
};
