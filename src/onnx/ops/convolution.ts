import { InputError } from '../../base/errors.js';
import { type Node, ops, sameShape, sizeOf } from '../../graph/index.js';
import type { Op, OpTable } from '../op.js';
import { checkTable } from '../values.js';
import { autoPad, dilationsOf, padsOf, positionsOf, reach, splitPadding, stridesOf, windowing } from './windowing.js';

/** [C] beside [N, C, …space] */
export const perChannel = (x: Node, rank: number): Node =>
  ops.reshape(x, [x.shape[0] as number, ...new Array<number>(rank).fill(1)]);

/** input and weight, checked to be [N, C, …space] and [M, C/group, …window] */
function operands(op: Op): { x: Node; w: Node; rank: number; groups: number } {
  const x = op.floating(0),
    w = op.floating(1),
    rank = x.shape.length - 2,
    groups = op.int('group', 1);
  if (rank < 1 || w.shape.length !== x.shape.length)
    throw new InputError(`input [${x.shape}] and weight [${w.shape}] do not fit`);
  if (rank > 3) throw new InputError(`convolutions over ${rank} spatial axes are not supported; three is the most`);
  const given = op.ints('kernel_shape');
  if (given && !sameShape(given, w.shape.slice(2)))
    throw new InputError(`attribute 'kernel_shape' [${given}] differs from the weight's [${w.shape.slice(2)}]`);
  if (groups < 1 || (x.shape[1] as number) % groups !== 0)
    throw new InputError(`${x.shape[1]} channels do not form ${groups} groups`);
  return { x, w, rank, groups };
}
function withBias(y: Node, bias: Node | undefined, rank: number): Node {
  return bias ? ops.add(y, perChannel(bias, rank)) : y;
}

export function conv(op: Op): Node {
  const { x, w, rank, groups } = operands(op);
  if ((w.shape[0] as number) % groups !== 0)
    throw new InputError(`${w.shape[0]} output channels do not form ${groups} groups`);
  const geometry = windowing(op, x.shape.slice(2), w.shape.slice(2));
  return withBias(ops.conv(x, w, { ...geometry, groups }), op.maybe(2), rank);
}

/** the adjoint of a convolution in its input */
function convTranspose(op: Op): Node {
  const { x, w, rank, groups } = operands(op);
  if (w.shape[0] !== x.shape[1]) throw new InputError(`input [${x.shape}] and weight [${w.shape}] differ in channels`);
  const strides = stridesOf(op, rank),
    dilations = dilationsOf(op, rank),
    auto = autoPad(op);
  const extra = op.ints('output_padding') ?? x.shape.slice(2).map(() => 0);
  const target = op.ints('output_shape')?.slice(-rank);
  if (extra.length !== rank || (target && target.length !== rank))
    throw new InputError(`output_padding [${extra}] or output_shape does not fit ${rank} spatial axes`);
  // what the windows cover before anything is cut off
  const covered = x.shape
    .slice(2)
    .map(
      (s, i) =>
        (strides[i] as number) * (s - 1) +
        (extra[i] as number) +
        reach(w.shape[i + 2] as number, dilations[i] as number),
    );
  const pads = covered.map((c, i): [number, number] => {
    if (auto === 'NOTSET' && !target) {
      const { low, high } = padsOf(op, rank);
      return [low[i] as number, high[i] as number];
    }
    if (auto === 'VALID' && !target) return [0, 0];
    const size = target ? (target[i] as number) : (x.shape[i + 2] as number) * (strides[i] as number);
    const [low, high] = splitPadding(Math.max(0, c - size), auto === 'SAME_UPPER' ? 'SAME_UPPER' : 'SAME_LOWER');
    return [low, c - size < 0 ? c - size : high];
  });
  const size = covered.map((c, i) => c - (pads[i] as [number, number])[0] - (pads[i] as [number, number])[1]);
  const y = ops.convInput(x, w, { strides, padLow: pads.map(([low]) => low), dilations, groups }, size);
  return withBias(y, op.maybe(2), rank);
}

/** Patches [N, C·window, positions] added up where they were cut from an image [N, C, …space]: unfold's adjoint. */
function col2im(op: Op): Node {
  const y = op.floating(0),
    space = op.list(1, 'image_shape'),
    window = op.list(2, 'block_shape');
  const [n = 0, rows = 0, columns = 0] = y.shape;
  const g = windowing(op, space, window),
    positions = positionsOf(space, g, false);
  const taps = sizeOf(window),
    channels = rows / taps,
    padded = space.map((s, i) => s + (g.padLow[i] as number) + (g.padHigh[i] as number));
  if (y.shape.length !== 3 || !Number.isInteger(channels) || sizeOf(positions) !== columns)
    throw new InputError(`patches [${y.shape}] do not fit windows [${window}] at [${positions}]`);
  checkTable(taps * columns, 'the places of its patches');
  // the place of every tap at every position in the padded image
  const places = [...window, ...positions];
  const strides = places.map((_, i) => sizeOf(places.slice(i + 1)));
  const index = Int32Array.from({ length: taps * columns }, (_, at) =>
    padded.reduce((place, size, d) => {
      const digit = (axis: number): number => Math.floor(at / (strides[axis] as number)) % (places[axis] as number);
      const here = digit(d) * (g.dilations[d] as number) + digit(padded.length + d) * (g.strides[d] as number);
      return place * size + here;
    }, 0),
  );
  const flat = ops.reshape(y, [n, channels, taps * columns]);
  const image = ops.takeTranspose(flat, y.graph.constant(index, [index.length], 'int32'), 2, sizeOf(padded));
  return ops.slice(ops.reshape(image, [n, channels, ...padded]), [0, 0, ...g.padLow], [n, channels, ...space]);
}

export const convolutionOps: OpTable = {
  Conv: { build: conv },
  ConvTranspose: { build: convTranspose },
  Col2Im: { build: col2im },
};
