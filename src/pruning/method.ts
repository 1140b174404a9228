/**
 * What a pruning method is. Two questions, asked alternately, at weights w (d numbers) of which some are gone already:
 *
 *   score    what does it cost to remove a group of weights, the others free to make up for it?
 *   update   these go: which values do the others take?
 *
 * Everything else (which groups, how many, in how many steps, fine-tuning) is the same for all methods.
 *
 * A layer-wise method (ExactOBS, SparseGPT) plugs in here too: `open` takes the moments of `openLayerTaps(point.f, …)`,
 * each layer's rows are `layer.matrix`, `score` gives every weight its cost in its row and `update` compensates row
 * by row. Where choice and compensation are interleaved, it states `choose` instead of leaving the choice to the scores.
 */
import type { MeanLoss } from '../model/mean-loss.js';
import type { CurvatureOptions } from '../operators/create.js';
import type { PrunedLayer } from './layers.js';

/** Sets of weights, each removed as a whole: group g is members[starts[g]] … members[starts[g+1] − 1]. */
export interface Groups {
  readonly count: number;
  readonly starts: Int32Array;
  readonly members: Int32Array;
  /** groups of one cell, which come together; of each at most `most[cell]` may go. null: no such bound */
  readonly cells: { readonly of: Int32Array; readonly most: Int32Array } | null;
}

/** Where a method is asked: weights, what of them is left, and the function they are weights of. */
export interface PruningPoint {
  /** at these weights */
  readonly f: MeanLoss;
  readonly layers: readonly PrunedLayer[];
  /** d numbers, layer after layer, 0 where gone */
  readonly weights: Float64Array;
  /** 1 where a weight is left, 0 where it is gone */
  readonly kept: Uint8Array;
  /** counts the calls of a run, so that each can draw other samples */
  readonly step: number;
  readonly seed: number;
  readonly execution: Pick<CurvatureOptions, 'device' | 'threads' | 'dtype' | 'memory'>;
  readonly signal?: AbortSignal | undefined;
}

/** The weights after a removal. */
export interface Update {
  /** d numbers: 0 where removed, the others changed to make up for it */
  readonly weights: Float64Array;
  /**
   * by layer, what the method's model of the loss says this costs; null where it has no such model. The parts of a
   * quadratic ½δᵀFδ that couples layers, ½δₗᵀ(Fδ)ₗ, sum to the whole, and one of them alone may be negative.
   */
  readonly increase: Float64Array | null;
}

/** The answers of a method at one point. */
export interface Scorer extends AsyncDisposable {
  /** The cost of removing each group on its own: finite, 0 where all of it is gone already. */
  score(groups: Groups): Promise<Float64Array>;
  /** `kept` ≤ the point's: removes what it does not keep, all at once. */
  update(kept: Uint8Array): Promise<Update>;
  /** For methods that choose by themselves: what to keep, `targets[l]` groups of layer l removed in all. */
  choose?(groups: Groups, targets: readonly number[]): Promise<Uint8Array>;
}

/** A way to choose weights and to make up for them. */
export interface PruningMethod {
  readonly name: string;
  /** several steps choose no better than one: the scores do not change as weights go, or one sweep does it all */
  readonly oneStep?: boolean | undefined;
  /** Its scores at a point; the caller disposes them. */
  open(point: PruningPoint): Promise<Scorer>;
}
