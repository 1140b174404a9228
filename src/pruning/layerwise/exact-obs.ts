/**
 * ExactOBS and OBQ (Frantar, Singh, Alistarh 2022): in each row for itself, again and again the weight whose removal or
 * rounding costs least, e²/(2[H⁻¹]_qq), the others taking its part and H⁻¹ losing it.
 *
 * The order and costs of a run to the end, its traces, lead to any sparsity: the costs of a row, made to rise where one
 * is less than one before it, are merged over the rows, and each row is stopped where the merged count says.
 * Cost: rows·columns³/6 multiply-adds, once for the traces and at most once more for the weights.
 */
import { checkInterrupted, InputError } from '../../base/errors.js';
import type { Block } from '../../device/block.js';
import { DeviceGrid, type Grid, type GridOptions } from './grid.js';
import { inverted, type Layer, type LayerResult, upload } from './layer.js';
import { checkPattern, type QuantizedLayer } from './sweep.js';

export interface Elimination {
  /** of every `of` columns of a row only `keep` stay */
  readonly pattern?: { readonly keep: number; readonly of: number } | undefined;
  /** columns that go together: whole blocks of neighbours */
  readonly block?: number | undefined;
}

/** How each row would be emptied. */
export interface Traces {
  readonly rows: number;
  readonly columns: number;
  readonly block: number;
  /** rows × columns: which column goes next, −1 where no other may */
  readonly order: Int32Array;
  /** rows × columns: what its going adds to ½ δw H δwᵀ */
  readonly costs: Float64Array;
}

/** Removes weights until none is left or the pattern is there. Throws InputError where H is singular. */
export async function eliminationTraces(layer: Layer, { pattern, block = 1 }: Elimination = {}): Promise<Traces> {
  const { rows, columns } = layer;
  if (pattern) checkPattern(pattern, columns);
  if (!Number.isSafeInteger(block) || block < 1 || columns % block !== 0)
    throw new InputError(`blocks of ${block} do not divide ${columns} columns`);
  if (pattern && block > 1) throw new InputError('blocks and a pattern N:M do not go together');
  const all = new Float64Array(rows).fill(columns);
  const { order, costs } = await eliminate(layer, { prune: all, pattern, block });
  return { rows, columns, block, order: Int32Array.from(order), costs };
}

/**
 * The cost of each weight as a score: rows × columns. The k smallest of a row are the first k of its trace; a weight that
 * never goes costs Infinity. Weights of a block share their sum.
 */
export function traceScores({ rows, columns, block, order, costs }: Traces): Float64Array {
  const scores = new Float64Array(rows * columns).fill(Number.POSITIVE_INFINITY);
  for (let r = 0; r < rows; r++) {
    let before = 0;
    for (let k = 0; k + block <= columns && (order[r * columns + k] as number) >= 0; k += block) {
      let cost = 0;
      for (let i = k; i < k + block; i++) cost += costs[r * columns + i] as number;
      before = Math.max(before, cost);
      for (let i = k; i < k + block; i++) scores[r * columns + (order[r * columns + i] as number)] = before;
    }
  }
  return scores;
}

/** How many weights each row loses where `count` go in all, the cheapest of all rows first. */
export function mergeTraces(traces: Traces, count: number): Float64Array {
  const { rows, columns, block, order } = traces;
  const scores = traceScores(traces);
  const places = Int32Array.from({ length: (rows * columns) / block }, (_, i) => i);
  // equal scores of a row in the order of its trace
  const score = (i: number): number => {
    const [r, k] = [Math.floor((i * block) / columns), (i * block) % columns];
    const column = order[r * columns + k] as number;
    return column < 0 ? Number.POSITIVE_INFINITY : (scores[r * columns + column] as number);
  };
  const keys = Float64Array.from(places, (i) => score(i));
  places.sort((a, b) => (keys[a] as number) - (keys[b] as number) || a - b);
  const prune = new Float64Array(rows);
  for (const i of places.subarray(0, Math.floor(count / block))) {
    if (keys[i] === Number.POSITIVE_INFINITY) throw new InputError(`the pattern lets fewer than ${count} weights go`);
    const r = Math.floor((i * block) / columns);
    prune[r] = (prune[r] as number) + block;
  }
  return prune;
}

/** Each row without the first `prune[r]` weights of its trace; what stays is quantised (OBQ) if there is a grid. */
export async function pruneRows(
  layer: Layer,
  prune: Float64Array,
  options: Elimination & { readonly grid?: GridOptions | undefined } = {},
): Promise<LayerResult & { readonly grid: Grid | null }> {
  return eliminate(layer, { ...options, prune });
}

/** Each row without the weights where `kept` (rows × columns) is 0, all others free: the joint OBS answer. */
export async function removeWeights(layer: Layer, kept: ArrayLike<number>): Promise<LayerResult> {
  const { rows, columns } = layer;
  const order = new Float64Array(rows * columns).fill(-1);
  const prune = new Float64Array(rows);
  for (let r = 0; r < rows; r++)
    for (let j = 0; j < columns; j++) if (!kept[r * columns + j]) order[r * columns + (prune[r] as number)++] = j;
  return eliminate(layer, { prune, order });
}

/** `count` weights of all rows removed, or the pattern (whose count is its own). */
export async function exactObs(layer: Layer, count: number | null, options: Elimination = {}): Promise<LayerResult> {
  const { rows, columns } = layer;
  const { pattern } = options;
  if (pattern) {
    checkPattern(pattern, columns);
    return pruneRows(layer, new Float64Array(rows).fill((columns * (pattern.of - pattern.keep)) / pattern.of), options);
  }
  if (count === null) throw new InputError('ExactOBS needs a number of weights or a pattern');
  return pruneRows(layer, mergeTraces(await eliminationTraces(layer, options), count), options);
}

/**
 * Greedy quantisation. A weight that has been moved away from its nearest number by more than half a step lies outside
 * the grid; it is rounded at once (squared error above Δ²/4), before it moves others further.
 */
export async function obq(layer: Layer, grid: GridOptions): Promise<QuantizedLayer> {
  const result = await eliminate(layer, { prune: new Float64Array(layer.rows), grid });
  return { ...result, grid: result.grid as Grid };
}

interface Eliminate extends Elimination {
  readonly prune: Float64Array;
  readonly grid?: GridOptions | undefined;
  /** rows × columns: what goes */
  readonly order?: Float64Array;
}

/** multiply-adds between two looks at the signal */
const together = 4e9;

async function eliminate(
  layer: Layer,
  { prune, pattern, block = 1, grid: options, order: given }: Eliminate,
): Promise<LayerResult & { order: Float64Array; costs: Float64Array; grid: Grid | null }> {
  const { device, rows, columns, signal } = layer;
  const identity = Array.from({ length: columns }, (_, j) => j);
  const grid = options && new DeviceGrid(device, rows, identity, options, false);
  const held: Block[] = [];
  const hold = (b: Block): Block => {
    held.push(b);
    return b;
  };
  try {
    const inverse = hold(inverted(layer, 'inverse'));
    const weights = hold(upload(device, columns, layer.weights));
    const order = hold(device.block('float64', columns, rows));
    const costs = hold(device.block('float64', columns, rows));
    if (given) order.write(given);
    const { keep, of } = pattern ?? { keep: 0, of: 0 };
    const step = Math.max(device.threads, 1) * Math.max(1, Math.round((6 * together) / columns ** 3));
    for (let from = 0; from < rows; from += step) {
      checkInterrupted(signal);
      const to = Math.min(rows, from + step);
      const part = (b: Block): Block => hold(b.rows(from, to));
      const rule = { block, keep, of, given: given !== undefined, prune: prune.slice(from, to) };
      const own = grid && {
        ...grid.native,
        scales: { ...grid.native.scales, offset: from * grid.native.scales.stride, rows: to - from },
        zeros: { ...grid.native.zeros, offset: from * grid.native.zeros.stride, rows: to - from },
      };
      const [w, o, c] = [part(weights), part(order), part(costs)];
      device.guard(() =>
        device.native.eliminate(columns, inverse.native, w.native, rule, own ?? null, o.native, c.native),
      );
      await device.throttle(0);
    }
    const [all, marginal] = [await order.readFloat64(), await costs.readFloat64()];
    const losses = new Float64Array(rows);
    marginal.forEach((cost, at) => {
      const r = Math.floor(at / columns);
      losses[r] = (losses[r] as number) + cost;
    });
    return {
      weights: await weights.readFloat64(),
      losses,
      order: all,
      costs: marginal,
      grid: grid ? await grid.read() : null,
    };
  } finally {
    for (const b of held) b.dispose();
    grid?.dispose();
  }
}
