import { InputError } from '../../base/errors.js';
import { type Node, ops } from '../../graph/index.js';
import type { Op, OpTable } from '../op.js';
import { checkTable } from '../values.js';
import { type AxisResize, type ResizeOptions, resampling, type Taps } from './resample.js';

/** more taps than this make one product with a matrix instead of a sum of picks */
const pickLimit = 4;

/** the target extents and scales of all axes, from whichever inputs this version of the operator has */
function targets(op: Op, shape: readonly number[]): AxisResize[] {
  const listed = (i: number, what: string): number[] | undefined => {
    const list = op.hasInput(i) ? op.list(i, what) : [];
    return list.length > 0 ? list : undefined;
  };
  const old = op.node.opType === 'Upsample' || op.opset < 11;
  const scales = op.node.opType === 'Upsample' && op.opset < 9 ? op.floats('scales') : listed(old ? 1 : 2, 'scales');
  const sizes = old ? undefined : listed(3, 'sizes');
  const roi = op.string('coordinate_transformation_mode', '') === 'tf_crop_and_resize' ? listed(1, 'roi') : undefined;
  const axes = (op.ints('axes') ?? shape.map((_, i) => i)).map((a) => ops.normaliseAxis(a, shape.length));
  const given = scales ?? sizes;
  if (!given || given.length !== axes.length)
    throw new InputError(`needs one scale or size for each of the axes [${axes}]`);
  const factors = axes.map((axis, i) =>
    scales ? (scales[i] as number) : ((sizes as number[])[i] as number) / (shape[axis] as number),
  );
  const policy = op.string('keep_aspect_ratio_policy', 'stretch');
  const common =
    policy === 'stretch' || scales ? undefined : policy === 'not_larger' ? Math.min(...factors) : Math.max(...factors);
  return shape.map((from, axis) => {
    const i = axes.indexOf(axis);
    if (i < 0) return { from, to: from, scale: 1, crop: [0, 1] };
    const scale = common ?? (factors[i] as number);
    const to = scales
      ? Math.floor(from * scale)
      : common !== undefined
        ? Math.round(from * common)
        : ((sizes as number[])[i] as number);
    if (!(scale > 0) || !Number.isInteger(to) || to < 0)
      throw new InputError(`axis ${axis} of [${shape}] cannot be scaled by ${scale}`);
    return { from, to, scale, crop: roi ? [roi[i] as number, roi[i + axes.length] as number] : [0, 1] };
  });
}

function resizeOptions(op: Op): ResizeOptions {
  const old = op.node.opType === 'Upsample' || op.opset < 11;
  const mode = op.string('mode', 'nearest');
  return {
    mode: mode === 'bilinear' ? 'linear' : mode,
    coordinates: old ? 'asymmetric' : op.string('coordinate_transformation_mode', 'half_pixel'),
    nearest: old ? 'floor' : op.string('nearest_mode', 'round_prefer_floor'),
    cubicA: op.float('cubic_coeff_a', -0.75),
    excludeOutside: op.int('exclude_outside', 0) !== 0,
    antialias: op.int('antialias', 0) !== 0,
  };
}

const floats = (x: Node, values: Float64Array, shape: readonly number[]): Node =>
  x.graph.constant(x.dtype === 'float64' ? values : Float32Array.from(values), shape, x.dtype);

function resized(x: Node, axis: number, taps: Taps): Node {
  const to = taps.outside.length,
    from = x.shape[axis] as number;
  const beside = x.shape.map((_, i) => (i === axis ? to : 1));
  const [index] = taps.index,
    [weight] = taps.weight;
  if (!index || !weight) throw new InputError('resizes an axis to nothing');
  if (taps.index.length === 1) {
    // every element `repeat` times is a broadcast, whose adjoint is a plain sum
    const repeat = to / from;
    if (Number.isInteger(repeat) && index.every((source, i) => source === Math.floor(i / repeat))) {
      const wide = ops.broadcastTo(ops.expandDims(x, axis + 1), [
        ...x.shape.slice(0, axis + 1),
        repeat,
        ...x.shape.slice(axis + 1),
      ]);
      return ops.reshape(
        wide,
        x.shape.map((d, i) => (i === axis ? to : d)),
      );
    }
    return ops.take(x, x.graph.constant(index, [to], 'int32'), axis);
  }
  if (taps.index.length <= pickLimit) {
    return taps.index
      .map((list, t) =>
        ops.mul(
          ops.take(x, x.graph.constant(list, [to], 'int32'), axis),
          floats(x, taps.weight[t] as Float64Array, beside),
        ),
      )
      .reduce((a, b) => ops.add(a, b));
  }
  checkTable(to * from, `the matrix that resizes axis ${axis}`);
  const matrix = new Float64Array(to * from);
  for (const [t, list] of taps.index.entries()) {
    for (const [i, source] of list.entries()) {
      const at = i * from + source;
      matrix[at] = (matrix[at] as number) + ((taps.weight[t] as Float64Array)[i] as number);
    }
  }
  const letters = [...'abcdefgh'].slice(0, x.shape.length),
    out = letters.with(axis, 'z');
  return ops.dot(x, floats(x, matrix, [to, from]), letters.join(''), `z${letters[axis]}`, out.join(''));
}

function resize(op: Op): Node {
  const given = op.x(0),
    axes = targets(op, given.shape),
    options = resizeOptions(op);
  const crops = options.coordinates === 'tf_crop_and_resize';
  let y = given,
    outside: Node | undefined;
  axes.forEach((a, axis) => {
    if (a.to === a.from && a.scale === 1 && !crops) return;
    const taps = resampling(a, options);
    y = resized(y, axis, taps);
    if (!taps.outside.some(Boolean)) return;
    const flags = Uint8Array.from(taps.outside, Number);
    const wide = op.graph.constant(
      flags,
      given.shape.map((_, i) => (i === axis ? flags.length : 1)),
      'bool',
    );
    outside = outside ? ops.or(outside, wide) : wide;
  });
  return outside ? ops.select(outside, op.float('extrapolation_value', 0), y) : y;
}

export const resizeOps: OpTable = { Resize: { build: resize }, Upsample: { build: resize } };
