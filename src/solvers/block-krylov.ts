/**
 * A growing block Krylov basis with its projected matrix, which can be compressed to a few Ritz vectors and
 * grown again: thick restart (Wu & Simon, SIAM J. Matrix Anal. Appl. 22, 2000), for blocks.
 *
 * V holds `size` orthonormal vectors; the first `done` of them have been multiplied:
 *   A V[:done] = V[:size] T[:size, :done]
 * so a Ritz pair (θ, s) of the leading done × done part has the residual ‖T[done:size, :done] s‖ exactly.
 * After compression the leading part is diagonal and bordered; nothing else changes, because every column of T
 * is measured against the whole basis while the product is made orthogonal to it.
 */
import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import { ComputationError, checkInterrupted, InputError, InternalError } from '../base/errors.js';
import type { Block } from '../device/block.js';
import type { LinearOperator } from '../operators/linear-operator.js';
import { unitRoundoff } from './checks.js';

export interface RitzPairs {
  /** ascending */
  readonly values: Float64Array;
  /** bound of ‖A y − θ y‖ for each */
  readonly residuals: Float64Array;
  /** coefficients of pair i in the basis */
  vector(i: number): Float64Array;
}

/** As in lanczos.ts. */
const asymmetryLimit = 1e-2;
/** Couplings up to this many roundoffs per vector (of ‖A‖) may be rounding error alone. */
const noiseFactor = 8;

export class BlockKrylov {
  readonly #operator: LinearOperator;
  readonly #width: number;
  readonly #seed: number;
  readonly #capacity: number;
  readonly #vectors: Block;
  /** T, row-major, capacity × capacity */
  readonly #t: Float64Array;
  #size = 0;
  #done = 0;
  #stream = 0;
  #scale = 0;
  #products = 0;
  /** largest coupling to a vector that the last expansion added */
  #coupled = 0;

  /** Room for `most` multiplied vectors and one block of `width` after them. */
  constructor(operator: LinearOperator, most: number, width: number, seed: number) {
    this.#operator = operator;
    this.#width = width;
    this.#seed = seed;
    this.#capacity = most + width;
    this.#vectors = operator.device.block(operator.dtype, operator.rows, this.#capacity);
    this.#t = new Float64Array(this.#capacity * this.#capacity);
  }

  /** vectors multiplied since the beginning */
  get products(): number {
    return this.#products;
  }

  /** Vectors of the basis that have been multiplied: the order of the projected matrix. */
  get order(): number {
    return this.#done;
  }

  /** Largest ‖A v‖₂ seen: a lower bound of ‖A‖. */
  get scale(): number {
    return this.#scale;
  }

  /** Order after the next `expand`. */
  get nextOrder(): number {
    const fresh = this.#size - this.#done;
    return this.#done + (fresh > 0 ? fresh : Math.min(this.#width, this.#operator.rows - this.#done));
  }

  /**
   * The multiplied vectors span an invariant subspace, to rounding: Ritz pairs are eigenpairs, but further copies
   * of them may lie outside.
   */
  get invariant(): boolean {
    return this.#coupled <= this.#noise();
  }

  /** Nothing is left to multiply: the basis spans the whole space. */
  get complete(): boolean {
    return this.#done === this.#operator.rows;
  }

  /** Multiplies the newest block and appends what is new in the result; random vectors where nothing is. */
  async expand(signal: AbortSignal | undefined): Promise<void> {
    checkInterrupted(signal);
    if (this.#size === this.#done) await this.#appendRandom();
    const [first, end] = [this.#done, this.#size];
    const source = this.#vectors.rows(first, end);
    const target = this.#vectors.rows(end, end + (end - first));
    try {
      await this.#operator.apply(source, target, { signal });
    } finally {
      source.dispose();
      target.dispose();
    }
    this.#products += end - first;
    this.#coupled = 0;
    // One vector after the other: each must be made orthogonal to those before it in its own block too.
    for (let c = first; c < end; c += 1) await this.#append(end + (c - first), c);
    this.#done = end;
  }

  /** Ritz pairs of the multiplied part. */
  ritz(): RitzPairs {
    const m = this.#done;
    const projected = new Matrix(m, m);
    for (let i = 0; i < m; i += 1) {
      for (let j = 0; j < m; j += 1) projected.set(i, j, (this.#entry(i, j) + this.#entry(j, i)) / 2);
    }
    const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(projected, { assumeSymmetric: true });
    const order = realEigenvalues
      .map((_, i) => i)
      .sort((a, b) => (realEigenvalues[a] as number) - (realEigenvalues[b] as number));
    const vectors = order.map((i) => Float64Array.from(eigenvectorMatrix.getColumn(i)));
    return {
      values: Float64Array.from(order, (i) => realEigenvalues[i] as number),
      residuals: Float64Array.from(vectors, (s) => Math.hypot(...this.#coupling(s))),
      vector: (i) => vectors[i] as Float64Array,
    };
  }

  /** The Ritz vectors numbered `chosen`, as a new block. */
  ritzVectors(ritz: RitzPairs, chosen: readonly number[]): Block {
    const m = this.#done;
    const c = new Float64Array(chosen.length * m);
    for (const [i, index] of chosen.entries()) c.set(ritz.vector(index), i * m);
    const result = this.#operator.device.block(this.#operator.dtype, this.#operator.rows, chosen.length);
    const basis = this.#vectors.rows(0, m);
    result.combine(c, basis);
    basis.dispose();
    return result;
  }

  /** Keeps the Ritz vectors numbered `chosen` and the block not yet multiplied; drops the rest. */
  compress(ritz: RitzPairs, chosen: readonly number[]): void {
    const fresh = this.#size - this.#done;
    const keep = chosen.length;
    if (keep + fresh > this.#done) throw new InternalError(`cannot keep ${keep} of ${this.#done} Ritz vectors`);
    const kept = this.ritzVectors(ritz, chosen);
    this.#copy(this.#vectors, this.#done, keep, fresh);
    this.#copy(kept, 0, 0, keep);
    kept.dispose();
    const couplings = chosen.map((index) => this.#coupling(ritz.vector(index)));
    this.#t.fill(0);
    chosen.forEach((index, j) => {
      this.#set(j, j, ritz.values[index] as number);
      for (const [i, value] of (couplings[j] ?? []).entries()) this.#set(keep + i, j, value);
    });
    this.#done = keep;
    this.#size = keep + fresh;
  }

  dispose(): void {
    this.#vectors.dispose();
  }

  /** Makes row `at`, the product of basis vector `column`, orthogonal to the basis; joins what is left. */
  async #append(at: number, column: number): Promise<void> {
    const { coefficients, before, after } = await this.#orthogonalize(at);
    if (!Number.isFinite(before) || !Number.isFinite(after)) {
      throw new ComputationError(
        `product ${this.#products} with a basis vector is not finite: NaN or overflow in the operator`,
      );
    }
    this.#scale = Math.max(this.#scale, before);
    coefficients.forEach((value, row) => {
      const asymmetry = row < this.#done ? Math.abs(value - this.#entry(column, row)) : 0;
      if (asymmetry > asymmetryLimit * this.#scale) {
        throw new InputError(
          `the operator is declared symmetric but is not: vᵀAw and wᵀAv differ by ${asymmetry.toExponential(1)}`,
        );
      }
      this.#set(row, column, value);
    });
    if (!(after > unitRoundoff(this.#operator.dtype) * this.#scale) || this.#size === this.#operator.rows) return;
    this.#coupled = Math.max(this.#coupled, after);
    this.#set(this.#size, column, after);
    this.#join(at, after);
    // May be rounding error, of which two passes left something along the basis: once more, at unit length.
    if (after <= this.#noise()) await this.#polish(this.#size - 1);
  }

  async #appendRandom(): Promise<void> {
    const room = Math.min(this.#width, this.#operator.rows - this.#size, this.#capacity - this.#size);
    for (let i = 0; i < room; i += 1) {
      const at = this.#size;
      const row = this.#vectors.rows(at, at + 1);
      row.fillRandom('normal', this.#seed, this.#stream);
      row.dispose();
      this.#stream += 1;
      await this.#polish(at);
      this.#size += 1;
    }
  }

  /** Row `at`, made orthogonal to the rows before it and of unit length. */
  async #polish(at: number): Promise<void> {
    const { after } = await this.#orthogonalize(at, at);
    if (!(after > 0)) throw new ComputationError('no vector orthogonal to the Krylov basis was found');
    const row = this.#vectors.rows(at, at + 1);
    row.scale(1 / after);
    row.dispose();
  }

  #noise(): number {
    return noiseFactor * unitRoundoff(this.#operator.dtype) * this.#size * this.#scale;
  }

  /** Row `at` against the first `size` rows. */
  async #orthogonalize(at: number, size = this.#size): ReturnType<Block['orthogonalize']> {
    const basis = this.#vectors.rows(0, size);
    const row = this.#vectors.rows(at, at + 1);
    try {
      return await row.orthogonalize(basis);
    } finally {
      basis.dispose();
      row.dispose();
    }
  }

  /** Row `at`, of length `norm`, becomes the next basis vector (rows between were dropped). */
  #join(at: number, norm: number): void {
    if (at !== this.#size) this.#copy(this.#vectors, at, this.#size, 1);
    const row = this.#vectors.rows(this.#size, this.#size + 1);
    row.scale(1 / norm);
    row.dispose();
    this.#size += 1;
  }

  #copy(from: Block, start: number, to: number, count: number): void {
    if (count === 0) return;
    const source = from.rows(start, start + count);
    const target = this.#vectors.rows(to, to + count);
    target.copyFrom(source);
    source.dispose();
    target.dispose();
  }

  /** T[done:size, :done] s */
  #coupling(s: Float64Array): number[] {
    const result: number[] = [];
    for (let i = this.#done; i < this.#size; i += 1) {
      result.push(s.reduce((sum, value, j) => sum + this.#entry(i, j) * value, 0));
    }
    return result;
  }

  #entry(i: number, j: number): number {
    return this.#t[i * this.#capacity + j] as number;
  }

  #set(i: number, j: number, value: number): void {
    this.#t[i * this.#capacity + j] = value;
  }
}
