/**
 * The gradients that Fisher matrices are made of, at the weights of a point: ∇ of the loss of single samples, or of the
 * mean over `batch` of them, of samples drawn without replacement from the calibration data, others at each step.
 *
 *   F = λI + (1/n) Σ gᵢgᵢᵀ,   n = m/batch
 *
 * A mean over `batch` independent gradients has a `batch`-th of their second moment; that n makes up for it, so that F
 * is on the scale of the loss's curvature whatever the batch.
 */
import { InputError } from '../base/errors.js';
import type { Dataset } from '../data/dataset.js';
import { gather } from '../data/gather.js';
import { shuffled } from '../data/shuffle.js';
import type { Block } from '../device/block.js';
import type { Device } from '../device/device.js';
import { GradientRows } from '../mfac/gradients.js';
import type { Execution } from '../model/execution.js';
import type { MeanLoss } from '../model/mean-loss.js';
import { execute } from '../operators/create.js';
import type { PruningPoint } from './method.js';

export interface GradientChoice {
  /** m. Default: as many as the data allow, at most what the method's own default is */
  readonly gradients?: number | undefined;
  /** samples that a gradient is the mean over. Default 1 */
  readonly gradientBatch?: number | undefined;
}

/** Gradients as rows, given out in ranges. */
export interface GradientSource {
  /** m */
  readonly count: number;
  /** n */
  readonly divisor: number;
  readonly device: Device;
  /** Rows from … to−1, a new block of its user's. */
  rows(from: number, to: number): Promise<Block>;
}

export class PointGradients implements GradientSource {
  readonly count: number;
  readonly divisor: number;
  readonly execution: Execution;
  readonly #rows: GradientRows;
  readonly #batch: number;
  readonly #signal: AbortSignal | undefined;

  private constructor(execution: Execution, count: number, batch: number, signal: AbortSignal | undefined) {
    this.execution = execution;
    this.count = count;
    this.divisor = count / batch;
    this.#rows = new GradientRows(execution);
    this.#batch = batch;
    this.#signal = signal;
  }

  /** Throws InputError for more gradients than the data have samples for. */
  static async open(
    { f, layers, step, seed, execution: options, signal }: PruningPoint,
    { gradients, gradientBatch = 1 }: GradientChoice,
    most: number,
  ): Promise<PointGradients> {
    for (const [what, value] of [
      ['gradients', gradients ?? 1],
      ['gradientBatch', gradientBatch],
    ] as const)
      if (!Number.isSafeInteger(value) || value < 1)
        throw new InputError(`${what} must be a whole number of at least 1, not ${value}`);
    const there = f.samples ?? f.data.samples;
    const count = gradients ?? Math.min(most, Math.floor(there / gradientBatch));
    if (count < 1 || count * gradientBatch > there)
      throw new InputError(
        `${Math.max(count, 1)} gradients of ${gradientBatch} ${gradientBatch === 1 ? 'sample' : 'samples'} each were asked for, but the calibration data hold ${there}; ask for fewer or give more data`,
      );
    const used: MeanLoss = {
      ...f,
      data: drawn(f.data, there, seed, step),
      samples: count * gradientBatch,
      batchSize: gradientBatch > 1 ? gradientBatch : f.batchSize,
    };
    const execution = await execute(used, { ...options, parameters: layers.map((l) => l.name) });
    const { batchSize } = execution.objective;
    if (gradientBatch > 1 && batchSize !== gradientBatch) {
      execution.dispose();
      throw new InputError(
        `${f.model.source} runs in batches of ${batchSize}, so a gradient is the mean over ${batchSize} samples`,
      );
    }
    return new PointGradients(execution, count, gradientBatch, signal);
  }

  get device(): Device {
    return this.execution.device;
  }
  rows(from: number, to: number): Promise<Block> {
    const range = { from, count: to - from, signal: this.#signal };
    return this.#batch === 1 ? this.#rows.perSample(range) : this.#rows.minibatch(range);
  }

  dispose(): void {
    this.execution.dispose();
  }
}

/** The first `count` samples in a drawn order; in their own order where the data can only be read so. */
function drawn(data: Dataset, count: number, seed: number, step: number): Dataset {
  if (!data.take) return data;
  const order = shuffled(count, seed, step);
  const { inputs, target } = data;
  return {
    samples: count,
    inputs,
    ...(target && { target }),
    batch: (start, n) => gather(data, order.subarray(start, start + n)),
    dispose: async () => undefined,
    async [Symbol.asyncDispose]() {},
  };
}

/** What a Fisher of nothing but zeros is refused with. */
export const nothingToScore = (): InputError =>
  new InputError(
    'all gradients are zero: the loss does not depend on these weights here, so there is nothing to score them by; use the method magnitude',
  );
