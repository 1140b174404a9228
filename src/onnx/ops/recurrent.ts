/**
 * Recurrent layers, unrolled for the length at hand. The input's share of all gates at all steps and in both
 * directions is one matrix product; only the recurrence is stepped.
 */
import { InputError } from '../../base/errors.js';
import { quoted } from '../../base/quote.js';
import * as f from '../../graph/functions.js';
import { type Node, ops } from '../../graph/index.js';
import { type AttributeView, type Op, type OpRule, type OpTable, TooLong } from '../op.js';
import { type Cell, cells, functionsNamed, knownFunction, type Layer, type State } from './cells.js';
import { part } from './slicing.js';

/** unrolling further would make graphs that take minutes to compile */
const stepLimit = 1 << 13;

/** whether each direction runs backwards */
function directionsOf(op: AttributeView): readonly boolean[] {
  const direction = op.string('direction', 'forward');
  const found = { forward: [false], reverse: [true], bidirectional: [false, true] }[direction];
  if (!found) throw new InputError(`direction ${quoted(direction)} is unknown`);
  return found;
}

function checked(x: Node, shape: readonly number[], what: string): Node {
  if (x.shape.join() !== shape.join()) throw new InputError(`${what} is [${x.shape}], not [${shape}]`);
  return x;
}

/** in either layout, as [directions, batch, …] or [steps, batch, …] */
const swapped = (op: Op, x: Node): Node => (op.int('layout', 0) === 0 ? x : ops.transpose(x, [1, 0, 2]));

/** everything about direction `d`, and what its biases add to the input's share */
function layerOf(op: Op, cell: Cell, d: number, directions: number): { layer: Layer; bias: Node | undefined } {
  const [, rows = 0, hidden = 0] = op.shape(2);
  const slice = (i: number, shape: readonly number[]): Node =>
    ops.reshape(part(checked(op.floating(i), [directions, ...shape], `input ${i}`), 0, d, 1), shape);
  const bias = op.hasInput(3) ? slice(3, [2 * rows]) : undefined;
  const linear = op.node.opType === 'GRU' && op.int('linear_before_reset', 0) !== 0;
  const zero = op.graph.fill(0, [hidden], op.floating(0).dtype);
  const bound = op.float('clip', 0);
  const perDirection = cell.functions.length;
  const names = op.strings('activations') ?? directionsOf(op).flatMap(() => cell.functions);
  if (names.length !== directions * perDirection)
    throw new InputError(`${names.length} activation functions do not fit ${directions} directions`);
  const functions = functionsNamed(names, op.floats('activation_alpha') ?? [], op.floats('activation_beta') ?? []);
  return {
    layer: {
      hidden,
      recurrence: slice(2, [rows, hidden]),
      innerBias: !linear ? undefined : bias ? part(bias, 0, rows + 2 * hidden, hidden) : zero,
      peepholes: op.hasInput(7) ? slice(7, [3 * hidden]) : undefined,
      functions: functions.slice(d * perDirection, (d + 1) * perDirection),
      clip: bound > 0 ? (x) => f.clip(x, -bound, bound) : (x) => x,
      coupled: op.node.opType === 'LSTM' && op.int('input_forget', 0) !== 0,
    },
    bias: bias && sumOfHalves(bias, linear ? hidden : 0),
  };
}
/** biases of input and recurrence together, the recurrence's last `apart` left out */
function sumOfHalves(bias: Node, apart: number): Node {
  const rows = (bias.shape[0] as number) / 2;
  const own = part(bias, 0, 0, rows),
    recurrent = part(bias, 0, rows, rows - apart);
  return ops.add(own, ops.pad(recurrent, [0], [apart]));
}

/** the number of steps of each sample [batch, 1], unless all have all of them */
function lengthsOf(op: Op, steps: number, batch: number): Node | undefined {
  if (!op.hasInput(4)) return undefined;
  const known = op.known(4);
  if (known?.data.every((n) => n >= steps)) return undefined;
  const wrong = known?.data.find((n) => n < 0);
  if (wrong !== undefined) throw new InputError(`a sequence of length ${wrong} is impossible`);
  return ops.reshape(checked(ops.cast(op.x(4), 'int32'), [batch], 'sequence_lens'), [batch, 1]);
}

interface Run {
  /** states after each step, zeros where a sample's sequence has ended; in the order of time */
  readonly outputs: readonly Node[];
  readonly last: State;
}
/** `projected` [steps, batch, gates·hidden] */
function unroll(
  cell: Cell,
  layer: Layer,
  projected: Node,
  start: State,
  lengths: Node | undefined,
  backwards: boolean,
): Run {
  const [steps = 0, batch = 0, rows = 0] = projected.shape;
  const outputs = new Array<Node>(steps);
  let state = start;
  for (let i = 0; i < steps; i++) {
    const t = backwards ? steps - 1 - i : i;
    const next = cell.step(layer, ops.reshape(part(projected, 0, t, 1), [batch, rows]), state);
    if (lengths) {
      // before a backward sequence starts, as after a forward one has ended, the state stays
      const inside = ops.gt(lengths, t);
      const kept = (now: Node, before: Node): Node => ops.select(inside, now, before);
      state = { h: kept(next.h, state.h), c: next.c && kept(next.c, state.c as Node) };
      outputs[t] = ops.select(inside, next.h, 0);
    } else {
      state = next;
      outputs[t] = next.h;
    }
  }
  return { outputs, last: state };
}

function recurrent(op: Op, cell: Cell): (Node | undefined)[] {
  const backwards = directionsOf(op),
    directions = backwards.length;
  if (op.shape(0).length !== 3 || op.shape(1).length !== 3 || op.shape(2).length !== 3)
    throw new InputError(`needs X, W and R of rank 3, got [${op.shape(0)}], [${op.shape(1)}] and [${op.shape(2)}]`);
  const x = swapped(op, op.floating(0)),
    [steps = 0, batch = 0, width = 0] = x.shape,
    hidden = op.shape(2)[2] as number,
    rows = cell.gates * hidden;
  if (steps > stepLimit) throw new TooLong(`has ${steps} steps; at most ${stepLimit} are unrolled`);
  if (steps === 0) throw new InputError('has no steps');
  const w = checked(op.floating(1), [directions, rows, width], 'W');
  checked(op.floating(2), [directions, rows, hidden], 'R');
  const start = (i: number): Node =>
    op.hasInput(i)
      ? checked(swapped(op, op.floating(i)), [directions, batch, hidden], `input ${i}`)
      : op.graph.fill(0, [directions, batch, hidden], x.dtype);
  const h = start(5),
    c = op.node.opType === 'LSTM' ? start(6) : undefined;
  const lengths = lengthsOf(op, steps, batch);
  const projected = ops.dot(x, w, 'tbi', 'dgi', 'dtbg');
  const runs = backwards.map((back, d) => {
    const { layer, bias } = layerOf(op, cell, d, directions);
    const own = ops.reshape(part(projected, 0, d, 1), [steps, batch, rows]);
    const at = (s: Node): Node => ops.reshape(part(s, 0, d, 1), [batch, hidden]);
    return unroll(cell, layer, bias ? ops.add(own, bias) : own, { h: at(h), c: c && at(c) }, lengths, back);
  });
  const stacked = (nodes: readonly Node[]): Node =>
    ops.concat(
      nodes.map((n) => ops.expandDims(n, 0)),
      0,
    );
  const finals = (of: (s: State) => Node): Node => swapped(op, stacked(runs.map((r) => of(r.last))));
  return [
    op.hasOutput(0) ? everyStep(op, runs, stacked) : undefined,
    op.hasOutput(1) ? finals((s) => s.h) : undefined,
    op.hasOutput(2) ? finals((s) => s.c as Node) : undefined,
  ];
}
/** [steps, directions, batch, hidden], or [batch, steps, directions, hidden] in the other layout */
function everyStep(op: Op, runs: readonly Run[], stacked: (nodes: readonly Node[]) => Node): Node {
  const perDirection = runs.map((r) => ops.expandDims(stacked(r.outputs), 1));
  const y = ops.concat(perDirection, 1);
  return op.int('layout', 0) === 0 ? y : ops.transpose(y, [2, 0, 1, 3]);
}

function refuse(op: AttributeView): string | undefined {
  const unknown = op.strings('activations')?.find((name) => !knownFunction(name));
  if (unknown !== undefined) return `names the unknown activation function ${quoted(unknown)}`;
  return [0, 1].includes(op.int('layout', 0)) ? undefined : `has the unknown layout ${op.int('layout', 0)}`;
}
const rule = (cell: Cell): OpRule => ({
  limits: 'unrolled, at most 8192 steps',
  refuse,
  build: (op) => recurrent(op, cell),
});

export const recurrentOps: OpTable = {
  LSTM: rule(cells.LSTM),
  GRU: rule(cells.GRU),
  RNN: rule(cells.RNN),
};
