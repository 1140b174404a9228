/**
 * The layer-wise methods as pruning methods. H comes from the inputs of each layer at the point's weights, all samples.
 *
 *   exact-obs   weights on their own and N:M: costs along the traces of each row. Blocks and filters: ½w_Bᵀ([H⁻¹]_BB)⁻¹w_B
 *   sparsegpt   chooses by itself as it sweeps: each layer alike, for weights on their own and N:M
 *
 * Costs are changes of the layers' outputs, (1/n)‖(Ŵ − W)Aᵀ‖², of which global choices take the sum over layers; of the loss
 * these methods have no model. Inputs are computed in float64, so that an H of fewer samples than inputs stays semidefinite.
 */
import { InputError } from '../../base/errors.js';
import type { Device } from '../../device/device.js';
import { openDevice } from '../../device/open.js';
import { openLayerTaps } from '../../taps/index.js';
import type { PrunedLayer } from '../layers.js';
import type { Groups, PruningMethod, PruningPoint, Scorer, Update } from '../method.js';
import { part, removalCost } from '../quadratic.js';
import { eliminationTraces, removeWeights, traceScores } from './exact-obs.js';
import { inverted, type Layer, type LayerResult, layerHessian, withoutDead } from './layer.js';
import { sparseGpt } from './sweep.js';

/** What the layer-wise methods may be told. */
export interface LayerwiseOptions {
  /** of each layer's H, as a multiple of its mean diagonal. Default 1e-4 for exact-obs, 0.01 for sparsegpt */
  readonly damping?: number | undefined;
}

/** A group of a pruned layer's rows that reads the same inputs, as a matrix of its own. */
interface Part {
  /** its number */
  readonly layer: number;
  readonly problem: Layer;
  /** place in the vector of all weights of each of its elements */
  readonly places: Int32Array;
}

/** ExactOBS: greedy in each row for itself, the joint update of what stays. */
export const exactObsPruning = ({ damping = 1e-4 }: LayerwiseOptions = {}): PruningMethod => ({
  name: 'exact-obs',
  open: (point) => LayerwiseScorer.open(point, damping, false),
});
/** SparseGPT: a sweep over the columns of each layer. */
export const sparseGptPruning = ({ damping = 0.01 }: LayerwiseOptions = {}): PruningMethod => ({
  name: 'sparsegpt',
  // one sweep chooses and updates; a second would pass its errors on to weights that the first has removed
  oneStep: true,
  open: (point) => LayerwiseScorer.open(point, damping, true),
});

class LayerwiseScorer implements Scorer {
  readonly #point: PruningPoint;
  readonly #parts: readonly Part[];
  readonly #device: Device;
  #swept: LayerResult[] | undefined;
  readonly choose?: (groups: Groups, targets: readonly number[]) => Promise<Uint8Array>;

  private constructor(point: PruningPoint, device: Device, parts: readonly Part[], sweeps: boolean) {
    this.#point = point;
    this.#device = device;
    this.#parts = parts;
    if (sweeps) this.choose = (groups, targets) => this.#sweep(groups, targets);
  }

  static async open(point: PruningPoint, damping: number, sweeps: boolean): Promise<LayerwiseScorer> {
    const { threads } = point.execution;
    const device = openDevice({ device: 'cpu', ...(threads === undefined ? {} : { threads }) });
    try {
      return new LayerwiseScorer(point, device, await partsOf(point, device, damping), sweeps);
    } catch (error) {
      device.dispose();
      throw error;
    }
  }

  async score(groups: Groups): Promise<Float64Array> {
    const each = new Float64Array(this.#point.weights.length);
    if (groups.members.length > groups.count) return this.#blockScores(groups);
    const pattern = patternOf(groups);
    let most = 0;
    for (const { problem, places } of this.#parts) {
      const scores = traceScores(await eliminationTraces(problem, { pattern }));
      for (const s of scores) if (s < Number.POSITIVE_INFINITY) most = Math.max(most, s);
      places.forEach((at, i) => {
        each[at] = scores[i] as number;
      });
    }
    // what the pattern keeps costs more than all that goes
    return Float64Array.from(groups.members, (at) => Math.min(each[at] as number, 2 * most + 1));
  }

  async update(kept: Uint8Array): Promise<Update> {
    const out = this.#point.weights.slice();
    for (const [p, { problem, places }] of this.#parts.entries()) {
      const result =
        this.#swept?.[p] ??
        (await removeWeights(
          problem,
          Uint8Array.from(places, (at) => kept[at] as number),
        ));
      places.forEach((at, i) => {
        out[at] = kept[at] ? (result.weights[i] as number) : 0;
      });
    }
    return { weights: out, increase: null };
  }

  /** Σ over rows of ½w_Bᵀ([H⁻¹]_BB)⁻¹w_B: rows do not know of each other. */
  async #blockScores({ count, starts, members }: Groups): Promise<Float64Array> {
    const scores = new Float64Array(count);
    const groupOf = new Int32Array(this.#point.weights.length).fill(-1);
    for (let g = 0; g < count; g++)
      for (let i = starts[g] as number; i < (starts[g + 1] as number); i++) groupOf[members[i] as number] = g;
    for (const { problem, places } of this.#parts) {
      const { rows, columns, weights, hessian } = problem;
      const block = inverted(problem, 'inverse');
      const inverse = await block.readFloat64().finally(() => block.dispose());
      for (let r = 0; r < rows; r++) {
        const together = new Map<number, number[]>();
        for (let j = 0; j < columns; j++) {
          const g = groupOf[places[r * columns + j] as number] as number;
          const own = together.get(g);
          if (own) own.push(j);
          else if (g >= 0) together.set(g, [j]);
        }
        for (const [g, own] of together) {
          const w = Float64Array.from(own, (j) => weights[r * columns + j] as number);
          const cost = own.length === columns ? energy(hessian, w) : removalCost(part(inverse, columns, own), w);
          scores[g] = (scores[g] as number) + cost;
        }
      }
    }
    return scores;
  }

  async #sweep(groups: Groups, targets: readonly number[]): Promise<Uint8Array> {
    if (groups.members.length > groups.count)
      throw new InputError('sparsegpt removes weights on their own or N:M; for blocks and filters use exact-obs');
    const pattern = patternOf(groups);
    const kept = this.#point.kept.slice();
    const swept: LayerResult[] = [];
    for (const { layer, problem, places } of this.#parts) {
      const own = this.#point.layers[layer] as PrunedLayer;
      const sparsity = (targets[layer] as number) / own.count;
      const result = await sparseGpt(problem, pattern ? { pattern } : { sparsity });
      places.forEach((at, i) => {
        if (result.weights[i] === 0) kept[at] = 0;
      });
      swept.push(result);
    }
    this.#swept = swept;
    return kept;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#device.dispose();
  }
}

/** N:M, from the cells that groups of one weight each come in */
function patternOf({ count, cells }: Groups): { keep: number; of: number } | undefined {
  if (!cells) return undefined;
  const of = count / cells.most.length;
  return { keep: of - (cells.most[0] as number), of };
}

async function partsOf(point: PruningPoint, device: Device, damping: number): Promise<Part[]> {
  const { f, layers, weights, execution, signal } = point;
  const matrices = layers.map((l) => l.matrix());
  await using taps = await openLayerTaps(f, { ...execution, dtype: 'float64', parameters: layers.map((l) => l.name) });
  const parts: Part[] = [];
  for (const [l, layer] of layers.entries()) {
    const tap = taps.taps.find((t) => t.parameter === layer.name);
    const { columns, indices } = matrices[l] as (typeof matrices)[number];
    if (!tap) throw new InputError(`'${layer.name}' has no influence on the loss; leave it out with --freeze`);
    const [moments] = await taps.moments({ taps: [tap], cotangents: false, signal });
    const block = moments?.input;
    if (!moments || !block) throw new InputError(`'${layer.name}' has no inputs`);
    const all = await block.readFloat64().finally(() => block.dispose());
    // columns of the matrix among those of the tap
    const stored = tap.layout.indices();
    const column = new Map(Array.from({ length: columns }, (_, j) => [stored[j] as number, j]));
    const order = Array.from({ length: columns }, (_, j) => column.get(indices[j] as number) as number);
    const size = columns * columns;
    for (let g = 0; g < tap.groups; g++) {
      const of = all.subarray(g * size, (g + 1) * size);
      const moment = of.map(
        (_, at) =>
          of[(order[Math.floor(at / columns)] as number) * columns + (order[at % columns] as number)] as number,
      );
      const places = indices
        .subarray(g * tap.out * columns, (g + 1) * tap.out * columns)
        .map((at) => layer.offset + at);
      const problem: Layer = {
        device,
        rows: tap.out,
        columns,
        weights: withoutDead(
          Float64Array.from(places, (at) => weights[at] as number),
          moment,
        ),
        hessian: layerHessian(moment, moments.rows, damping),
        signal,
      };
      parts.push({ layer: l, problem, places });
    }
  }
  return parts;
}

function energy(h: Float64Array, w: Float64Array): number {
  const n = w.length;
  let sum = 0;
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) sum += (w[i] as number) * (h[i * n + j] as number) * (w[j] as number);
  return sum / 2;
}
