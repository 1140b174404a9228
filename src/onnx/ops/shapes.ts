/** Rearranging without arithmetic. */
import { InputError } from '../../base/errors.js';
import { type Node, ops, type Shape, sizeOf } from '../../graph/index.js';
import type { Op, OpTable } from '../op.js';
import { Known } from '../values.js';

/** 0 keeps the input's extent (unless allowzero), −1 is what is left */
export function reshapeTarget(from: Shape, wanted: readonly number[], allowZero: boolean): number[] {
  const target = wanted.map((d, i) => {
    if (d !== 0 || allowZero) return d;
    if (from[i] === undefined)
      throw new InputError(`shape [${wanted}] keeps axis ${i}, which the input [${from}] does not have`);
    return from[i] as number;
  });
  const open = target.indexOf(-1);
  if (open >= 0) {
    const rest = sizeOf(target.filter((_, i) => i !== open));
    target[open] = rest === 0 ? 0 : sizeOf(from) / rest;
  }
  if (target.some((d) => !Number.isInteger(d) || d < 0) || sizeOf(target) !== sizeOf(from))
    throw new InputError(`an input of shape [${from}] cannot be reshaped to [${wanted}]`);
  return target;
}
function reshape(op: Op): Node {
  const wanted = op.hasInput(1) ? op.list(1, 'shape') : (op.ints('shape') ?? []),
    from = op.shape(0);
  return ops.reshape(op.x(0), reshapeTarget(from, rebatched(op, from, wanted) ?? wanted, op.int('allowzero', 0) !== 0));
}
/**
 * A file exported for one batch size writes it into its shapes: [16, −1]. Where the input's axis 0 is made of whole
 * samples and the target's counts the stated number of them, the target for another batch is certain.
 */
function rebatched(op: Op, from: Shape, wanted: readonly number[]): number[] | undefined {
  if (!op.batch) return undefined;
  const { stated, actual } = op.batch,
    rows = wanted[0] ?? 0;
  if (rows <= 0 || rows % stated !== 0 || (from[0] ?? 1) % actual !== 0) return undefined;
  const target = [(rows / stated) * actual, ...wanted.slice(1)];
  const perSample = sizeOf(from) / actual,
    given = sizeOf(target.filter((d) => d !== -1)) / actual;
  return target.includes(-1)
    ? perSample % given === 0
      ? target
      : undefined
    : perSample === given
      ? target
      : undefined;
}

function flatten(op: Op): Node {
  const shape = op.shape(0),
    given = op.int('axis', 1);
  const axis = given === shape.length ? given : ops.normaliseAxis(given, shape.length);
  return ops.reshape(op.x(0), [sizeOf(shape.slice(0, axis)), sizeOf(shape.slice(axis))]);
}

function squeeze(op: Op): Node {
  const shape = op.shape(0),
    axes = op.axes(1)?.map((a) => ops.normaliseAxis(a, shape.length)) ?? shape.flatMap((d, i) => (d === 1 ? [i] : []));
  for (const a of axes) if (shape[a] !== 1) throw new InputError(`axis ${a} of [${shape}] has not the extent 1`);
  return ops.reshape(
    op.x(0),
    shape.filter((_, i) => !axes.includes(i)),
  );
}
function unsqueeze(op: Op): Node {
  const shape = op.shape(0),
    given = op.axes(1) ?? [],
    rank = shape.length + given.length;
  const axes = given.map((a) => ops.normaliseAxis(a, rank));
  if (new Set(axes).size !== axes.length) throw new InputError(`axes [${given}] repeat`);
  const rest = [...shape];
  return ops.reshape(
    op.x(0),
    Array.from({ length: rank }, (_, i) => (axes.includes(i) ? 1 : (rest.shift() as number))),
  );
}

function shapeOf(op: Op): Known {
  const shape = op.shape(0),
    rank = shape.length;
  const bound = (v: number): number => Math.min(rank, Math.max(0, v < 0 ? v + rank : v));
  return Known.integers(shape.slice(bound(op.int('start', 0)), bound(op.int('end', rank))));
}

function transpose(op: Op): Node {
  const x = op.x(0);
  return ops.transpose(x, op.ints('perm') ?? x.shape.map((_, i) => x.shape.length - 1 - i));
}

function expand(op: Op): Node {
  const x = op.x(0);
  return ops.broadcastTo(x, ops.broadcastShapes(x.shape, op.list(1, 'shape')));
}

/** each axis repeated as a whole: [a, b] → [a, b, a, b] */
function tile(op: Op): Node {
  const x = op.x(0),
    repeats = op.list(1, 'repeats');
  if (repeats.length !== x.shape.length || repeats.some((r) => r < 0))
    throw new InputError(`repeats [${repeats}] do not fit [${x.shape}]`);
  const paired = x.shape.flatMap((d, i) => [repeats[i] as number, d]);
  const wide = ops.broadcast(
    x,
    paired,
    x.shape.map((_, i) => 2 * i + 1),
  );
  return ops.reshape(
    wide,
    x.shape.map((d, i) => d * (repeats[i] as number)),
  );
}

function concat(op: Op): Node {
  return ops.concat(
    op.values.map((_, i) => op.x(i)),
    op.int('axis', 1),
  );
}

function blocks(op: Op): { x: Node; n: number; c: number; h: number; w: number; b: number } {
  const x = op.x(0),
    [n = 0, c = 0, h = 0, w = 0] = x.shape,
    b = op.int('blocksize', 0);
  if (x.shape.length !== 4 || b < 1)
    throw new InputError(`needs [N, C, H, W] and a blocksize, got [${x.shape}] and ${b}`);
  return { x, n, c, h, w, b };
}
function depthToSpace(op: Op): Node {
  const { x, n, c, h, w, b } = blocks(op),
    inner = c / (b * b);
  if (!Number.isInteger(inner)) throw new InputError(`${c} channels do not form blocks of ${b}×${b}`);
  const split =
    op.string('mode', 'DCR') === 'CRD'
      ? ops.transpose(ops.reshape(x, [n, inner, b, b, h, w]), [0, 1, 4, 2, 5, 3])
      : ops.transpose(ops.reshape(x, [n, b, b, inner, h, w]), [0, 3, 4, 1, 5, 2]);
  return ops.reshape(split, [n, inner, h * b, w * b]);
}
function spaceToDepth(op: Op): Node {
  const { x, n, c, h, w, b } = blocks(op);
  if (h % b !== 0 || w % b !== 0) throw new InputError(`[${x.shape}] does not divide into blocks of ${b}`);
  const order = op.string('mode', 'DCR') === 'CRD' ? [0, 1, 3, 5, 2, 4] : [0, 3, 5, 1, 2, 4];
  const split = ops.transpose(ops.reshape(x, [n, c, h / b, b, w / b, b]), order);
  return ops.reshape(split, [n, c * b * b, h / b, w / b]);
}

export const shapeOps: OpTable = {
  Shape: { build: shapeOf },
  Size: { build: (op) => Known.integers([sizeOf(op.shape(0))], []) },
  Reshape: { build: reshape },
  Flatten: { build: flatten },
  Squeeze: { build: squeeze },
  Unsqueeze: { build: unsqueeze },
  Transpose: { build: transpose },
  Expand: { build: expand },
  Tile: {
    limits: 'from opset 6',
    refuse: (node) => (node.opset < 6 ? 'of opset 5 and before has another meaning' : undefined),
    build: tile,
  },
  Concat: { build: concat },
  DepthToSpace: { build: depthToSpace },
  SpaceToDepth: { build: spaceToDepth },
};
