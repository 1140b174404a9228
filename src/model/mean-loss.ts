import type { Dataset } from '../data/dataset.js';
import type { Loss } from './loss.js';
import type { Model } from './model.js';

/** Options of `meanLoss`. */
export interface MeanLossOptions {
  /** the first N samples; all by default */
  readonly samples?: number | undefined;
  /** samples at a time; by default 256, or what the file was exported with */
  readonly batchSize?: number | undefined;
  /**
   * The value that counts as the model's output: what the loss reads (the first output by default), or, where the
   * model ends in its own loss ('output'), the value inside it that Gauss–Newton needs.
   */
  readonly output?: string | undefined;
  /**
   * λ of L2 regularisation: adds (λ/2)·Σ θ² over the parameters that are differentiated, so that the gradient gains λθ
   * and the Hessian and Gauss–Newton matrix λI (PyTorch's weight_decay). The Fishers, which are of labels, do not. Default 0.
   */
  readonly l2?: number | undefined;
  /**
   * What several batches mean where samples of a batch influence one another (BatchNormalization in mode 'train'):
   * 'refuse' (default), or 'per-batch', each with its own statistics and the last at its own size. Then the batch size is
   * part of the function.
   */
  readonly batchCoupled?: BatchCoupled | undefined;
}
/**
 * What to do about several batches where samples of one batch influence one another: refuse, or let each batch count
 * on its own.
 */
export type BatchCoupled = 'refuse' | 'per-batch';

/** The mean loss of a model over data, as a function of parameters yet to be chosen. */
export interface MeanLoss extends MeanLossOptions {
  readonly model: Model;
  readonly loss: Loss;
  readonly data: Dataset;
}

/** f(θ) = mean loss of `model` over `data`. */
export function meanLoss(model: Model, loss: Loss, data: Dataset, options: MeanLossOptions = {}): MeanLoss {
  return { ...options, model, loss, data };
}
