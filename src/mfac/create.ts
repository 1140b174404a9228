/** The M-FAC Fisher matrix of a mean loss: gradients, damping and divisor in one call. */
import { InputError } from '../base/errors.js';
import type { Block } from '../device/block.js';
import type { MeanLoss } from '../model/mean-loss.js';
import { type CurvatureOptions, execute } from '../operators/create.js';
import type { Damping } from './damping.js';
import { GradientRows } from './gradients.js';
import { StaticFisher } from './static.js';
import { BlockDiagonalInverse } from './static-blocks.js';

/** Options of `mfac`. */
export interface MfacOptions extends CurvatureOptions {
  /** rows: ∇ of each sample's own loss, or of the mean loss of each of the objective's batches. Default 'per-sample' */
  readonly gradients?: 'per-sample' | 'minibatch' | undefined;
  /** m: the first m of them. Default: all */
  readonly count?: number | undefined;
  /** λ, or a multiple of tr/d. Default 1e-5 */
  readonly damping?: Damping | undefined;
  /** n in F = λI + GᵀG/n. Default m */
  readonly divisor?: number | undefined;
}

/**
 * F = λI + (1/n) Σ gᵢgᵢᵀ over m gradients of f at its parameters, held in m·d elements of device memory.
 * With per-sample gradients of all samples, F − λI is the empirical Fisher matrix.
 */
export async function mfac(f: MeanLoss, options: MfacOptions = {}): Promise<StaticFisher> {
  return withRows(f, options, (rows, fingerprint) => StaticFisher.create(rows, { ...options, fingerprint }));
}

/** The inverse of F's diagonal blocks of `blockSize` (default 128) parameters. */
export async function mfacBlocks(
  f: MeanLoss,
  options: MfacOptions & { readonly blockSize?: number | undefined } = {},
): Promise<BlockDiagonalInverse> {
  return withRows(f, options, (rows, fingerprint) => BlockDiagonalInverse.create(rows, { ...options, fingerprint }));
}

async function withRows<T>(
  f: MeanLoss,
  options: MfacOptions,
  use: (rows: Block, fingerprint: string) => Promise<T>,
): Promise<T> {
  const { gradients = 'per-sample', count, signal } = options;
  if (gradients !== 'per-sample' && gradients !== 'minibatch')
    throw new InputError(`gradients are 'per-sample' or 'minibatch', not '${gradients}'`);
  const execution = await execute(f, options);
  try {
    const source = new GradientRows(execution);
    const rows = await (gradients === 'per-sample'
      ? source.perSample({ count, signal })
      : source.minibatch({ count, signal }));
    try {
      const batches = gradients === 'minibatch' ? `batches of ${execution.objective.batchSize}` : gradients;
      return await use(rows, [execution.fingerprint(), batches, rows.count].join('|'));
    } finally {
      rows.dispose();
    }
  } finally {
    execution.dispose();
  }
}
