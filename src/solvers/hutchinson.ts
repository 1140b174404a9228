/** Samples zᵀAz with random z, of A or of what a subspace leaves of it. */
import { ComputationError, checkInterrupted, InputError } from '../base/errors.js';
import type { Block } from '../device/block.js';
import type { LinearOperator } from '../operators/linear-operator.js';
import { bytesPerElement } from '../program/format.js';
import { mustBeCount, unitRoundoff } from './checks.js';
import type { RunOptions } from './progress.js';

export interface Sampling extends RunOptions {
  /** 'rademacher' (default) never has the larger variance: Σ over i ≠ j of 2a²ᵢⱼ, where 'normal' has the diagonal too. */
  readonly distribution?: 'rademacher' | 'normal' | undefined;
  /** Default 0. Vector i is random stream i of the seed. */
  readonly seed?: number | undefined;
  /** Bytes the vectors may take. Default: no limit. */
  readonly memory?: number | undefined;
}

/** Vectors at once where the operator has no preference: enough for large products, few enough to keep. */
const usualBlock = 16;

/** Vectors per product when each takes room for `copies` and `fixed` more are there. Throws InputError. */
export function blockSize(
  operator: LinearOperator,
  count: number,
  copies: number,
  fixed: number,
  memory: number | undefined,
): number {
  const vector = operator.columns * bytesPerElement[operator.dtype];
  const fitting = memory === undefined ? count : Math.floor((memory / vector - fixed) / copies);
  if (!(fitting >= 1)) {
    throw new InputError(
      `${(fixed + copies) * vector} bytes are needed, more than the memory limit of ${String(memory)}: ` +
        'take fewer products, another method, or raise the limit',
    );
  }
  return Math.min(count, fitting, operator.maxBlock ?? usualBlock);
}

/** `count` samples zᵀAz. */
export async function samples(operator: LinearOperator, count: number, options: Sampling): Promise<number[]> {
  const size = blockSize(operator, count, 2, 0, options.memory);
  return sampleBlocks(operator, count, size, options, 0, { before: 0, total: count });
}

/** The exact trace on a random part of the range, and samples of the rest. */
export interface Deflated {
  readonly exact: number;
  readonly samples: number[];
  readonly products: number;
}

/** Q = orth(A S) for `rank` random S; tr(QᵀAQ) and samples of (I − QQᵀ) A (I − QQᵀ). */
export async function deflatedSamples(
  operator: LinearOperator,
  rank: number,
  count: number,
  options: Sampling,
): Promise<Deflated> {
  const width = Math.min(rank, operator.rows);
  const size = blockSize(operator, Math.max(width, count), 2, width, options.memory);
  const total = 2 * width + count;
  const sketch = operator.device.block(operator.dtype, operator.rows, width);
  let basis: Block | undefined;
  try {
    await inBlocks(width, size, async (from, to) => {
      const target = sketch.rows(from, to);
      // Normal whatever is asked for the samples: few signs are soon dependent in a small space.
      const z = drawn(operator, to - from, { ...options, distribution: 'normal' }, from);
      try {
        await operator.apply(z, target, { signal: options.signal });
      } finally {
        z.dispose();
        target.dispose();
      }
      options.onProgress?.({ stage: 'sketch', products: to, total });
    });
    basis = sketch.rows(0, (await orthonormalise(sketch, operator.dtype)).rank);
    const q = basis;
    let exact = 0;
    await inBlocks(q.count, size, async (from, to) => {
      const part = q.rows(from, to);
      try {
        exact += (await forms(operator, part, options)).reduce((a, b) => a + b, 0);
      } finally {
        part.dispose();
      }
      options.onProgress?.({ stage: 'exact part', products: width + to, total });
    });
    const before = width + q.count;
    const rest = await sampleBlocks(operator, count, size, options, width, { before, total: before + count }, q);
    return { exact, samples: rest, products: before + count };
  } finally {
    basis?.dispose();
    sketch.dispose();
  }
}

async function sampleBlocks(
  operator: LinearOperator,
  count: number,
  size: number,
  options: Sampling,
  stream: number,
  progress: { before: number; total: number },
  without?: Block,
): Promise<number[]> {
  const result: number[] = [];
  await inBlocks(count, size, async (from, to) => {
    const z = drawn(operator, to - from, options, stream + from);
    try {
      if (without !== undefined && without.count > 0) await project(z, without);
      result.push(...(await forms(operator, z, options)));
    } finally {
      z.dispose();
    }
    options.onProgress?.({ stage: 'samples', products: progress.before + to, total: progress.total });
  });
  return result;
}

/** zᵀAz for every vector of the block. */
async function forms(operator: LinearOperator, z: Block, options: Sampling): Promise<Float64Array> {
  checkInterrupted(options.signal);
  const image = await operator.apply(z, undefined, { signal: options.signal });
  try {
    const values = await z.dots(image);
    if (!values.every(Number.isFinite))
      throw new ComputationError('a product is not finite: NaN or overflow in the operator');
    return values;
  } finally {
    image.dispose();
  }
}

/** Random vectors as a new block. */
export function drawn(operator: LinearOperator, count: number, options: Sampling, stream: number): Block {
  const { distribution = 'rademacher', seed = 0 } = options;
  mustBeCount(seed, 'seed', 0);
  if (distribution !== 'normal' && distribution !== 'rademacher') {
    throw new InputError(`distribution must be rademacher or normal, not ${String(distribution)}`);
  }
  const block = operator.device.block(operator.dtype, operator.columns, count);
  block.fillRandom(distribution, seed, stream);
  return block;
}

async function project(z: Block, basis: Block): Promise<void> {
  const rows = Array.from({ length: z.count }, (_, i) => z.rows(i, i + 1));
  try {
    await Promise.all(rows.map((row) => row.orthogonalize(basis)));
  } finally {
    for (const row of rows) row.dispose();
  }
}

export async function inBlocks(
  count: number,
  size: number,
  work: (from: number, to: number) => Promise<void>,
): Promise<void> {
  for (let from = 0; from < count; from += size) await work(from, Math.min(count, from + size));
}

export interface Orthonormalised {
  /** vectors that remain, at the front of the block */
  readonly rank: number;
  /** Y = Q R with R upper triangular, row-major, count × count; complete only if rank = count */
  readonly r: Float64Array;
  /** length of the largest remainder that was dropped */
  readonly dropped: number;
}

/** Replaces the vectors by an orthonormal basis of their span, dropping those that rounding error would fill. */
export async function orthonormalise(y: Block, dtype: LinearOperator['dtype']): Promise<Orthonormalised> {
  const k = y.count;
  const r = new Float64Array(k * k);
  let rank = 0;
  let dropped = 0;
  let scale = 0;
  for (let i = 0; i < k; i += 1) {
    const basis = y.rows(0, rank);
    const source = y.rows(i, i + 1);
    const target = y.rows(rank, rank + 1);
    try {
      const { coefficients, before, after } = await source.orthogonalize(basis);
      if (!Number.isFinite(before))
        throw new ComputationError('a product is not finite: NaN or overflow in the operator');
      scale = Math.max(scale, before);
      if (!(after > 4 * k * unitRoundoff(dtype) * scale)) {
        dropped = Math.max(dropped, after);
        continue;
      }
      coefficients.forEach((value, j) => {
        r[j * k + i] = value;
      });
      r[rank * k + i] = after;
      if (rank === i) target.scale(1 / after);
      else target.addScaled(1 / after, source, 0);
      rank += 1;
    } finally {
      basis.dispose();
      source.dispose();
      target.dispose();
    }
  }
  return { rank, r, dropped };
}
