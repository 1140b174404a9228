/** Estimates of the diagonal of an operator, with a standard error for every entry. */
import { ComputationError, checkInterrupted, InputError } from '../base/errors.js';
import type { Block } from '../device/block.js';
import type { LinearOperator } from '../operators/linear-operator.js';
import { mustBeCount, mustBeSquare } from './checks.js';
import { blockSize, drawn, inBlocks, type Sampling } from './hutchinson.js';
import { leaveOneOut, type Sketch, sketch } from './leave-one-out.js';

/**
 * - `bekas`: mean of z ⊙ Az over random signs z (Bekas, Kokiopoulou & Saad 2007). Best for flat spectra.
 * - `xdiag`: exact on a random part of the range, every vector used twice (Epperly, Tropp & Webber 2024). Best
 *   where eigenvalues decay; its standard errors are optimistic when only a few vectors are taken. Needs the
 *   adjoint.
 * - `exact`: one product per column.
 */
export type DiagonalMethod = 'bekas' | 'xdiag' | 'exact';

/** Options of `diagonal`. */
export interface DiagonalOptions extends Omit<Sampling, 'distribution'> {
  /** Default 'bekas'. */
  readonly method?: DiagonalMethod | undefined;
  /** Vectors to multiply: at least 1, 4 for xdiag; `exact` takes as many as there are columns. Default 100. */
  readonly products?: number | undefined;
}

/** An estimated diagonal, entry by entry. */
export interface DiagonalResult {
  readonly estimate: Float64Array;
  /** one per entry; null where one sample tells nothing about the spread */
  readonly standardError: Float64Array | null;
  readonly method: DiagonalMethod;
  /** vectors multiplied by A or Aᵀ */
  readonly products: number;
  readonly seconds: number;
}

/** diag A, A square. Throws InputError, ComputationError when a product is not finite, InterruptedError. */
export async function diagonal(operator: LinearOperator, options: DiagonalOptions = {}): Promise<DiagonalResult> {
  const { method = 'bekas', products = 100 } = options;
  mustBeSquare(operator, 'the diagonal');
  const run = methods[method] as Method | undefined;
  if (run === undefined) throw new InputError(`method must be bekas, xdiag or exact, not ${String(method)}`);
  mustBeCount(products, `products of ${method}`, method === 'xdiag' ? 4 : 1);
  const started = performance.now();
  const result = await run(operator, products, { ...options, distribution: 'rademacher' } as Sampling);
  if (!result.estimate.every(Number.isFinite))
    throw new ComputationError('a product is not finite: NaN or overflow in the operator');
  return { ...result, method, seconds: (performance.now() - started) / 1000 };
}

type Method = (
  operator: LinearOperator,
  products: number,
  options: Sampling,
) => Promise<Pick<DiagonalResult, 'estimate' | 'standardError' | 'products'>>;

const methods: Record<DiagonalMethod, Method> = { bekas, xdiag, exact };

/** Mean and spread of vectors, one at a time (Welford 1962): no second pass, no cancellation. */
class Moments {
  readonly mean: Float64Array;
  readonly #squares: Float64Array;
  #count = 0;

  constructor(length: number) {
    this.mean = new Float64Array(length);
    this.#squares = new Float64Array(length);
  }

  /** sample(e) is entry e of the next vector. */
  add(sample: (e: number) => number): void {
    this.#count += 1;
    for (let e = 0; e < this.mean.length; e += 1) {
      const value = sample(e);
      const before = value - (this.mean[e] as number);
      this.mean[e] = (this.mean[e] as number) + before / this.#count;
      this.#squares[e] = (this.#squares[e] as number) + before * (value - (this.mean[e] as number));
    }
  }

  standardError(): Float64Array | null {
    const n = this.#count;
    return n < 2 ? null : this.#squares.map((s) => Math.sqrt(s / (n - 1) / n));
  }
}

async function bekas(operator: LinearOperator, count: number, options: Sampling): ReturnType<Method> {
  const n = operator.rows;
  const moments = new Moments(n);
  await inBlocks(count, blockSize(operator, count, 2, 0, options.memory), async (from, to) => {
    checkInterrupted(options.signal);
    const z = drawn(operator, to - from, options, from);
    try {
      const [signs, image] = await imageOf(operator, z, options);
      for (let v = 0; v < to - from; v += 1) {
        // z² = 1, so the weights of the general formula Σ z ⊙ Az / Σ z ⊙ z are equal.
        moments.add((e) => (signs[v * n + e] as number) * (image[v * n + e] as number));
      }
    } finally {
      z.dispose();
    }
    options.onProgress?.({ stage: 'samples', products: to, total: count });
  });
  return { estimate: moments.mean, standardError: moments.standardError(), products: count };
}

async function imageOf(
  operator: LinearOperator,
  z: Block,
  options: Sampling,
): Promise<[ArrayLike<number>, ArrayLike<number>]> {
  const image = await operator.apply(z, undefined, { signal: options.signal });
  try {
    return await Promise.all([z.read(), image.read()]);
  } finally {
    image.dispose();
  }
}

async function exact(operator: LinearOperator, _products: number, options: Sampling): ReturnType<Method> {
  const n = operator.rows;
  const estimate = new Float64Array(n);
  await inBlocks(n, blockSize(operator, n, 2, 0, options.memory), async (from, to) => {
    checkInterrupted(options.signal);
    const z = operator.device.block(operator.dtype, n, to - from);
    try {
      const units = new Float64Array((to - from) * n);
      for (let v = 0; v < to - from; v += 1) units[v * n + from + v] = 1;
      z.write(units);
      const [, image] = await imageOf(operator, z, options);
      for (let v = 0; v < to - from; v += 1) estimate[from + v] = image[v * n + from + v] as number;
    } finally {
      z.dispose();
    }
    options.onProgress?.({ stage: 'columns', products: to, total: n });
  });
  return { estimate, standardError: new Float64Array(n), products: n };
}

/**
 * diag(Q Zᵀ) with Z = AᵀQ is the diagonal of QQᵀA. Without vector i of the sketch, the basis is Q (I − s_i s_iᵀ),
 * and that vector serves as the sample for what the basis leaves of A:
 *   d_i = diag(Q Zᵀ) − Qs_i ⊙ Zs_i + ω_i ⊙ Q (r_i − t_i + s_i (s_iᵀ t_i)),   T = ZᵀΩ.
 * The mean of the d_i is the estimate, their spread its error.
 */
async function xdiag(operator: LinearOperator, products: number, options: Sampling): ReturnType<Method> {
  const n = operator.rows;
  const k = Math.min(Math.floor(products / 2), n);
  const block = blockSize(operator, k, 3, 3 * k, options.memory);
  const parts = await sketch(operator, options, { size: k, block, adjoint: true });
  try {
    const captured = new Float64Array(n);
    await inBlocks(parts.q.count, block, async (from, to) => {
      const [q, z] = await Promise.all([readRows(parts.q, from, to), readRows(parts.z, from, to)]);
      for (let i = 0; i < q.length; i += 1)
        captured[i % n] = (captured[i % n] as number) + (q[i] as number) * (z[i] as number);
    });
    const { r } = parts;
    // As in xtrace: a range that the sketch captures whole leaves only rounding error.
    if (r === undefined || k === n) {
      return { estimate: captured, standardError: new Float64Array(n).fill(parts.dropped), products: parts.products };
    }
    const moments = await leaveOneOutDiagonals(operator, parts, r, captured, block);
    return { estimate: moments.mean, standardError: moments.standardError(), products: parts.products };
  } finally {
    parts.dispose();
  }
}

async function leaveOneOutDiagonals(
  operator: LinearOperator,
  parts: Sketch,
  r: Float64Array,
  captured: Float64Array,
  block: number,
): Promise<Moments> {
  const n = operator.rows;
  const k = parts.q.count;
  const s = leaveOneOut(r, k);
  const t = await parts.z.gram(parts.omega);
  const coefficients = new Float64Array(k * k);
  for (let i = 0; i < k; i += 1) {
    let st = 0;
    for (let j = 0; j < k; j += 1) st += (s[i * k + j] as number) * (t[j * k + i] as number);
    for (let j = 0; j < k; j += 1) {
      coefficients[i * k + j] = (r[j * k + i] as number) - (t[j * k + i] as number) + st * (s[i * k + j] as number);
    }
  }
  const moments = new Moments(n);
  await inBlocks(k, block, async (from, to) => {
    const range = (c: Float64Array): Float64Array => c.subarray(from * k, to * k);
    const [qs, zs, rest, omega] = await Promise.all([
      combined(operator, range(s), parts.q),
      combined(operator, range(s), parts.z),
      combined(operator, range(coefficients), parts.q),
      readRows(parts.omega, from, to),
    ]);
    for (let v = 0; v < to - from; v += 1) {
      const at = v * n;
      moments.add(
        (e) =>
          (captured[e] as number) -
          (qs[at + e] as number) * (zs[at + e] as number) +
          (omega[at + e] as number) * (rest[at + e] as number),
      );
    }
  });
  return moments;
}

async function readRows(block: Block, from: number, to: number): Promise<ArrayLike<number>> {
  const rows = block.rows(from, to);
  try {
    return await rows.read();
  } finally {
    rows.dispose();
  }
}

/** c · a, read back. */
async function combined(operator: LinearOperator, c: Float64Array, a: Block): Promise<ArrayLike<number>> {
  const result = operator.device.block(operator.dtype, a.dimension, c.length / a.count);
  try {
    result.combine(c, a);
    return await result.read();
  } finally {
    result.dispose();
  }
}
