/**
 * Columns from left to right, each weight's loss being taken over by those to its right, as far as H lets them:
 *
 *   gptq        GPTQ (Frantar, Ashkboos, Hoefler, Alistarh 2023): each column is rounded to its grid
 *   sparseGpt   SparseGPT (Frantar, Alistarh 2023): of each 128 columns the weights of least w²/U_ii² become 0
 *   rtn         rounding to nearest, for comparison: nothing takes over
 *
 * With H⁻¹ = UᵀU and e = (w_i − target)/U_ii the losses are ½Σe², exactly. Cost: columns³·⅔ + rows·columns²/2 multiply-adds.
 */
import { InputError } from '../../base/errors.js';
import { DeviceGrid, type Grid, type GridOptions } from './grid.js';
import { inverted, type Layer, type LayerResult, upload } from './layer.js';

/** columns whose updates of those to their right are one product */
const block = 128;

export interface GptqOptions extends GridOptions {
  /** columns by falling diag H: what matters most is rounded while most can still make up for it */
  readonly actOrder?: boolean | undefined;
}
export interface SparseGptOptions {
  /** share of each 128 columns that becomes 0, over all rows */
  readonly sparsity?: number | undefined;
  /** instead: of every `of` columns of a row only `keep` stay */
  readonly pattern?: { readonly keep: number; readonly of: number } | undefined;
  /** what stays is rounded, too */
  readonly grid?: GridOptions | undefined;
}
export type QuantizedLayer = LayerResult & { readonly grid: Grid };

/**
 * Scales of a group are those of its weights when its first column is reached; with actOrder those of the weights at the
 * start, since a group's columns are then no longer together.
 */
export async function gptq(layer: Layer, { actOrder = false, ...grid }: GptqOptions): Promise<QuantizedLayer> {
  if (!actOrder) return withGrid(await sweep(layer, { grid, later: true }));
  const { columns, hessian, weights } = layer;
  const diagonal = (j: number): number => hessian[j * (columns + 1)] as number;
  const order = Array.from({ length: columns }, (_, j) => j).sort((a, b) => diagonal(b) - diagonal(a) || a - b);
  const moved = {
    ...layer,
    weights: weights.map((_, at) => weights[at - (at % columns) + (order[at % columns] as number)] as number),
    hessian: hessian.map(
      (_, at) =>
        hessian[(order[Math.floor(at / columns)] as number) * columns + (order[at % columns] as number)] as number,
    ),
  };
  const result = withGrid(await sweep(moved, { grid, order }));
  const back = new Float64Array(weights.length);
  for (let at = 0; at < back.length; at++)
    back[at - (at % columns) + (order[at % columns] as number)] = result.weights[at] as number;
  return { ...result, weights: back };
}

/** Throws InputError for a sparsity out of range and a pattern that does not divide the columns. */
export async function sparseGpt(layer: Layer, options: SparseGptOptions): Promise<LayerResult & { grid: Grid | null }> {
  const { sparsity = 0, pattern, grid } = options;
  if (!(sparsity >= 0 && sparsity < 1)) throw new InputError(`sparsity must be in [0, 1), not ${sparsity}`);
  if (pattern) checkPattern(pattern, layer.columns);
  if (pattern && grid?.group !== undefined && grid.group % pattern.of !== 0)
    throw new InputError(`groups of ${grid.group} columns cut the pattern ${pattern.keep}:${pattern.of}`);
  return sweep(layer, { grid, later: true, sparsity, pattern });
}

/** Losses are those of the same H. */
export async function rtn(layer: Layer, grid: GridOptions): Promise<QuantizedLayer> {
  const rounded = withGrid(await sweep(layer, { grid, alone: true }));
  return { ...rounded, losses: layerLosses(layer, rounded.weights) };
}

export function checkPattern({ keep, of }: { keep: number; of: number }, columns: number): void {
  if (!(Number.isSafeInteger(keep) && Number.isSafeInteger(of) && keep >= 1 && keep < of))
    throw new InputError(`a pattern keeps N of M columns with 1 ≤ N < M, not ${keep} of ${of}`);
  if (columns % of !== 0) throw new InputError(`the pattern ${keep}:${of} does not divide ${columns} columns`);
}

/** ½ δw H δwᵀ of each row, for other weights than the layer's: rows·columns² multiply-adds. */
export function layerLosses({ rows, columns, weights, hessian }: Layer, others: Float64Array): Float64Array {
  const losses = new Float64Array(rows);
  const delta = new Float64Array(columns);
  for (let r = 0; r < rows; r++) {
    for (let j = 0; j < columns; j++)
      delta[j] = (others[r * columns + j] as number) - (weights[r * columns + j] as number);
    let sum = 0;
    for (let i = 0; i < columns; i++) {
      if (delta[i] === 0) continue;
      let product = 0;
      for (let j = 0; j < columns; j++) product += (hessian[i * columns + j] as number) * (delta[j] as number);
      sum += (delta[i] as number) * product;
    }
    losses[r] = sum / 2;
  }
  return losses;
}

interface Sweep {
  readonly grid?: GridOptions | undefined;
  readonly later?: boolean;
  readonly order?: readonly number[];
  readonly sparsity?: number;
  readonly pattern?: { readonly keep: number; readonly of: number } | undefined;
  readonly alone?: boolean;
}

async function sweep(layer: Layer, options: Sweep): Promise<LayerResult & { grid: Grid | null }> {
  const { device, rows, columns } = layer;
  const { order = Array.from({ length: columns }, (_, j) => j), later = false, sparsity = 0, pattern } = options;
  const grid = options.grid && new DeviceGrid(device, rows, order, options.grid, later);
  const weights = upload(device, columns, layer.weights);
  const factor = options.alone ? weights.rows(0, 0) : inverted(layer, 'factor');
  const losses = device.block('float64', 1, rows);
  try {
    const { keep, of } = pattern ?? { keep: 0, of: 0 };
    const rule = { block: of > 0 ? Math.max(of, block - (block % of)) : block, keep, of, sparsity };
    device.guard(() =>
      device.native.sweep(columns, factor.native, weights.native, rule, grid?.native ?? null, losses.native),
    );
    return {
      weights: await weights.readFloat64(),
      losses: await losses.readFloat64(),
      grid: grid ? await grid.read() : null,
    };
  } finally {
    for (const b of [weights, factor, losses, grid]) b?.dispose();
  }
}

function withGrid(result: LayerResult & { grid: Grid | null }): QuantizedLayer {
  return { ...result, grid: result.grid as Grid };
}
