/** What recurrent operators compute in one step, and the functions they may name. */
import { InputError } from '../../base/errors.js';
import { quoted } from '../../base/quote.js';
import * as f from '../../graph/functions.js';
import { type Node, ops } from '../../graph/index.js';
import { part } from './slicing.js';

export type Apply = (x: Node) => Node;

interface Named {
  /** defaults of the numbers it takes, alpha first */
  readonly defaults: readonly number[];
  of(x: Node, alpha: number, beta: number): Node;
}
const functions: ReadonlyMap<string, Named> = new Map<string, Named>([
  ['sigmoid', { defaults: [], of: ops.sigmoid }],
  ['tanh', { defaults: [], of: ops.tanh }],
  ['relu', { defaults: [], of: f.relu }],
  ['softsign', { defaults: [], of: f.softsign }],
  ['softplus', { defaults: [], of: ops.softplus }],
  ['affine', { defaults: [1, 0], of: (x, a, b) => ops.add(ops.mul(a, x), b) }],
  ['leakyrelu', { defaults: [0.01], of: (x, a) => f.leakyRelu(x, a) }],
  ['thresholdedrelu', { defaults: [1], of: (x, a) => f.thresholdedRelu(x, a) }],
  ['scaledtanh', { defaults: [1, 1], of: (x, a, b) => ops.mul(a, ops.tanh(ops.mul(b, x))) }],
  ['hardsigmoid', { defaults: [0.2, 0.5], of: (x, a, b) => f.hardSigmoid(x, a, b) }],
  ['elu', { defaults: [1], of: (x, a) => f.elu(x, a) }],
]);

export const knownFunction = (name: string): boolean => functions.has(name.toLowerCase());

/** The functions by their names; `alphas` and `betas` are used up in turn by those that take them. */
export function functionsNamed(
  names: readonly string[],
  alphas: readonly number[],
  betas: readonly number[],
): readonly Apply[] {
  const a = [...alphas],
    b = [...betas];
  return names.map((name) => {
    const found = functions.get(name.toLowerCase());
    if (!found) throw new InputError(`the activation function ${quoted(name)} is unknown`);
    const [alpha, beta] = found.defaults;
    const first = alpha === undefined ? 0 : (a.shift() ?? alpha),
      second = beta === undefined ? 0 : (b.shift() ?? beta);
    return (x) => found.of(x, first, second);
  });
}

export interface State {
  readonly h: Node;
  /** the cell, which only LSTM has */
  readonly c: Node | undefined;
}

/** One direction of a layer, ready to be stepped. */
export interface Layer {
  readonly hidden: number;
  /** [gates·hidden, hidden] */
  readonly recurrence: Node;
  /** bias inside the reset of GRU's linear_before_reset; [hidden] */
  readonly innerBias: Node | undefined;
  /** peepholes of the input, output and forget gates; [3·hidden] */
  readonly peepholes: Node | undefined;
  readonly functions: readonly Apply[];
  /** bounds what goes into the functions of the gates and, as in onnxruntime, not what goes into LSTM's last */
  readonly clip: Apply;
  readonly coupled: boolean;
}
/** `projected` is the input's share of the gates at this step, biases included: [batch, gates·hidden] */
type Step = (layer: Layer, projected: Node, state: State) => State;

const times = (h: Node, weights: Node): Node => ops.dot(h, weights, 'bh', 'gh', 'bg');
const block = (x: Node, axis: number, i: number, hidden: number): Node => part(x, axis, i * hidden, hidden);

const lstm: Step = (layer, projected, { h, c }) => {
  const { hidden, peepholes, clip } = layer;
  const [f, g, last] = layer.functions as [Apply, Apply, Apply];
  const all = ops.add(projected, times(h, layer.recurrence));
  const gate = (i: number): Node => block(all, 1, i, hidden);
  const seen = (x: Node, i: number, cell: Node): Node =>
    peepholes ? ops.add(x, ops.mul(cell, block(peepholes, 0, i, hidden))) : x;
  const before = c as Node;
  const input = f(clip(seen(gate(0), 0, before)));
  const forget = layer.coupled ? ops.sub(1, input) : f(clip(seen(gate(2), 2, before)));
  const cell = ops.add(ops.mul(forget, before), ops.mul(input, g(clip(gate(3)))));
  const output = f(clip(seen(gate(1), 1, cell)));
  return { c: cell, h: ops.mul(output, last(cell)) };
};

const gru: Step = (layer, projected, { h }) => {
  const { hidden, recurrence, clip } = layer;
  const [f, g] = layer.functions as [Apply, Apply];
  const weights = (from: number, count: number): Node => part(recurrence, 0, from * hidden, count * hidden);
  const linear = layer.innerBias !== undefined;
  const recurrent = times(h, linear ? recurrence : weights(0, 2));
  const gate = (i: number): Node => f(clip(ops.add(block(projected, 1, i, hidden), block(recurrent, 1, i, hidden))));
  const update = gate(0),
    reset = gate(1);
  const inner = layer.innerBias
    ? ops.mul(reset, ops.add(block(recurrent, 1, 2, hidden), layer.innerBias))
    : times(ops.mul(reset, h), weights(2, 1));
  const candidate = g(clip(ops.add(block(projected, 1, 2, hidden), inner)));
  return { c: undefined, h: ops.add(ops.mul(ops.sub(1, update), candidate), ops.mul(update, h)) };
};

const rnn: Step = (layer, projected, { h }) => {
  const [f] = layer.functions as [Apply];
  return { c: undefined, h: f(layer.clip(ops.add(projected, times(h, layer.recurrence)))) };
};

export interface Cell {
  readonly gates: number;
  /** the functions of one direction unless stated otherwise */
  readonly functions: readonly string[];
  readonly step: Step;
}
export const cells = {
  LSTM: { gates: 4, functions: ['Sigmoid', 'Tanh', 'Tanh'], step: lstm },
  GRU: { gates: 3, functions: ['Sigmoid', 'Tanh'], step: gru },
  RNN: { gates: 1, functions: ['Tanh'], step: rnn },
} satisfies Record<string, Cell>;
