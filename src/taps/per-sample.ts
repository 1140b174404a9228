/** Per-sample gradients, a block of samples at a time. */
import { InputError, OutOfMemoryError } from '../base/errors.js';
import { formatBytes } from '../base/format.js';
import type { Block } from '../device/block.js';
import { GradientRows } from '../mfac/gradients.js';
import type { MeanLoss } from '../model/mean-loss.js';
import { mustHaveSamples } from '../model/sample-batch.js';
import { type CurvatureOptions, execute, memoryBudget } from '../operators/create.js';
import { bytesPerElement } from '../program/format.js';

/** Options of `perSampleGradients`. */
export interface PerSampleGradientsOptions extends Omit<CurvatureOptions, 'block' | 'seed' | 'fisherSamples'> {
  /** samples in a block; 'all': one block. Default: as many as a quarter of the memory holds */
  readonly chunk?: number | 'all' | undefined;
}
/** Gradients of consecutive samples. */
export interface SampleGradientBlock {
  /** the first sample */
  readonly from: number;
  /** row r: ∇ℓ of sample from + r. Disposed when the next is asked for */
  readonly gradients: Block;
}

/**
 * ∇ℓ_n, ℓ_n the loss of sample n alone (without regularisation), for all samples in order. Costs a gradient over the
 * data; memory: a block of `chunk` vectors. Throws InputError for a loss without samples, UnsupportedError for a model
 * tied to a batch size, OutOfMemoryError where 'all' do not fit.
 */
export async function* perSampleGradients(
  f: MeanLoss,
  options: PerSampleGradientsOptions = {},
): AsyncGenerator<SampleGradientBlock> {
  const { chunk, signal } = options;
  if (chunk !== undefined && chunk !== 'all' && !(Number.isSafeInteger(chunk) && chunk >= 1))
    throw new InputError(`the chunk must be a whole number of samples or 'all', not ${String(chunk)}`);
  const memory = memoryBudget(options.memory);
  const execution = await execute(f, { ...options, memory });
  try {
    const { objective, dtype } = execution;
    mustHaveSamples(objective, 'per-sample gradients');
    const row = objective.dimension * bytesPerElement[dtype];
    const { samples } = objective;
    if (chunk === 'all' && samples * row > 0.5 * memory)
      throw new OutOfMemoryError(
        `the gradients of ${samples} samples need ${formatBytes(samples * row)}, more than half of ${formatBytes(memory)}; take them in chunks`,
      );
    const fits = Math.max(1, Math.floor((0.25 * memory) / row));
    const size = Math.min(samples, chunk === 'all' ? samples : (chunk ?? fits));
    const rows = new GradientRows(execution, { scratch: 0.25 * memory });
    for (let from = 0; from < samples; from += size) {
      const gradients = await rows.perSample({ from, count: Math.min(size, samples - from), signal });
      try {
        yield { from, gradients };
      } finally {
        gradients.dispose();
      }
    }
  } finally {
    execution.dispose();
  }
}
