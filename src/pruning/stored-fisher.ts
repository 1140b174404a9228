/**
 * The Fisher matrix through its gradients (M-FAC; Frantar, Kurtic and Alistarh 2021), whole or in diagonal blocks larger
 * than the number m of gradients. G is m × d with the columns of what is gone set to zero, A = nλI + GGᵀ. For a set S that
 * goes and R that stays, with c = G_S w_S and A_R = nλI + G_RG_Rᵀ,
 *
 *   δ_R = F_RR⁻¹F_RS w_S = G_Rᵀ A_R⁻¹ c               (push-through: no difference of nearly equal vectors)
 *
 * the joint update of any number of weights for one Gram matrix and one m × m solve; no |S| × |S| matrix is formed.
 * The summed updates of single weights that the paper's pruner takes are another step, with a larger ½δᵀFδ.
 * Cost: diagonal 2dm² flops in float64, update dm². Memory 2dm elements.
 */
import { ComputationError, checkInterrupted } from '../base/errors.js';
import type { Block } from '../device/block.js';
import { Cholesky } from '../mfac/cholesky.js';
import { checkDamping, type Damping, dampingOf, factorDamped } from '../mfac/damping.js';
import { StaticFisher } from '../mfac/static.js';
import { type GradientSource, nothingToScore } from './gradients.js';
import { dimensionOf, layerOfEach } from './layers.js';
import { Mask } from './mask.js';
import type { Groups, PruningPoint, Scorer, Update } from './method.js';
import { removalCost } from './quadratic.js';

export class StoredFisher implements Scorer {
  readonly lambda: number;
  readonly #point: PruningPoint;
  readonly #rows: Block;
  readonly #divisor: number;
  readonly #blockSize: number;

  private constructor(point: PruningPoint, rows: Block, divisor: number, blockSize: number, lambda: number) {
    this.#point = point;
    this.#rows = rows;
    this.#divisor = divisor;
    this.#blockSize = blockSize;
    this.lambda = lambda;
  }

  /** Throws InputError for a damping that is not positive and for gradients that are all zero. */
  static async create(
    point: PruningPoint,
    gradients: GradientSource,
    blockSize: number,
    damping: Damping,
  ): Promise<StoredFisher> {
    checkDamping(damping);
    const rows = await gradients.rows(0, gradients.count);
    try {
      const left = point.kept.reduce((n, k) => n + k, 0);
      if (left < point.kept.length) maskColumns(rows, point.kept);
      const squares = (await rows.dots(rows)).reduce((a, b) => a + b, 0);
      if (squares === 0) throw nothingToScore();
      const lambda = dampingOf(damping, squares, gradients.divisor, left);
      const size = Math.min(blockSize, dimensionOf(point.layers));
      return new StoredFisher(point, rows, gradients.divisor, size, lambda);
    } catch (error) {
      rows.dispose();
      throw error;
    }
  }

  async score(groups: Groups): Promise<Float64Array> {
    const { weights, kept } = this.#point;
    const scores = new Float64Array(groups.count);
    await this.#each(async (from, to, view) => {
      await using fisher = await StaticFisher.create(view, {
        damping: this.lambda,
        divisor: this.#divisor,
        fingerprint: '',
      });
      const single = groups.members.length === groups.count;
      const diagonal = single ? await fisher.diagonal() : null;
      for (let g = 0; g < groups.count; g++) {
        const own: number[] = [];
        for (let i = groups.starts[g] as number; i < (groups.starts[g + 1] as number); i++) {
          const j = groups.members[i] as number;
          if (j >= from && j < to && kept[j] && weights[j] !== 0) own.push(j - from);
        }
        if (own.length === 0) continue;
        const w = Float64Array.from(own, (j) => weights[from + j] as number);
        // (1 − y)/λ may cancel to nothing or less; it is above rounding in theory
        const inverse = diagonal
          ? Float64Array.of(Math.max(diagonal[own[0] as number] as number, 2 ** -52 / this.lambda))
          : await fisher.subBlock(own);
        scores[g] = (scores[g] as number) + removalCost(inverse, w);
      }
    });
    return scores;
  }

  async update(after: Uint8Array): Promise<Update> {
    const { weights, kept, layers } = this.#point;
    const delta = weights.map((w, j) => (kept[j] && !after[j] ? -w : 0));
    const product = new Float64Array(delta.length);
    await this.#each(async (from, to, view) => {
      await this.#updateBlock(view, after.subarray(from, to), delta.subarray(from, to), product.subarray(from, to));
    });
    const layer = layerOfEach(layers);
    const increase = new Float64Array(layers.length);
    delta.forEach((x, j) => {
      const l = layer[j] as number;
      increase[l] = (increase[l] as number) + (x * (product[j] as number)) / 2;
    });
    return { weights: weights.map((w, j) => (after[j] ? w + (delta[j] as number) : 0)), increase };
  }

  /** δ_S is there: adds δ_R, and writes Fδ. */
  async #updateBlock(view: Block, after: Uint8Array, delta: Float64Array, product: Float64Array): Promise<void> {
    const { device, dtype, dimension, count: m } = view;
    const vector = device.block(dtype, dimension, 1);
    const rest = device.block(dtype, dimension, m);
    try {
      const through = async (x: Float64Array): Promise<Float64Array> => {
        vector.write(x);
        return vector.gram(view);
      };
      const back = async (c: Float64Array): Promise<Float64Array> => {
        vector.combine(c, view);
        return vector.readFloat64();
      };
      rest.copyFrom(view);
      maskColumns(rest, after);
      const gram = await rest.gram(rest);
      const factor = new Cholesky(m);
      factorDamped(factor, m, (i, j) => gram[i * m + j] as number, this.#divisor * this.lambda);
      const c = (await through(delta)).map((x) => -x); // δ_S = −w_S
      factor.solve(c);
      const moved = await back(c);
      for (let j = 0; j < delta.length; j++) if (after[j]) delta[j] = moved[j] as number;
      const forward = await back((await through(delta)).map((x) => x / this.#divisor));
      for (let j = 0; j < delta.length; j++) product[j] = this.lambda * (delta[j] as number) + (forward[j] as number);
      if (!product.every(Number.isFinite)) throw new ComputationError('the update is not finite; use a larger damping');
    } finally {
      vector.dispose();
      rest.dispose();
    }
  }

  async #each(work: (from: number, to: number, view: Block) => Promise<void>): Promise<void> {
    const { dimension } = this.#rows;
    for (let from = 0; from < dimension; from += this.#blockSize) {
      checkInterrupted(this.#point.signal);
      const to = Math.min(dimension, from + this.#blockSize);
      const view = this.#rows.elements(from, to);
      try {
        await work(from, to, view);
      } finally {
        view.dispose();
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#rows.dispose();
  }
}

function maskColumns(rows: Block, kept: Uint8Array): void {
  const mask = new Mask(rows.device, rows.dtype, kept);
  try {
    mask.apply(rows);
  } finally {
    mask.dispose();
  }
}
