/**
 * M-FAC on a fixed set of gradients: F = λI + GᵀG/n with G (m × d) on a device (Frantar, Kurtic and Alistarh 2021, the
 * static algorithm in its level-3 form).
 *
 * Set-up: the Gram matrix GGᵀ, accumulated in float64 (dm² flops, one pass), and its damped factor (m³/6). The factor
 * A = L·Lᵀ holds the paper's quantities: with Λ = diag(L), the unit factor is LΛ⁻¹, qᵢ = lᵢᵢ²/λ and V = ΛL⁻¹G/λ. Products:
 * 4dm flops a vector; the diagonal: 2dm²; an element or a k × k part of F⁻¹: k·m reads and O(km² + k²m).
 */
import { InputError, ShapeError } from '../base/errors.js';
import { Block, type FloatArray } from '../device/block.js';
import type { Device } from '../device/device.js';
import { sharedDevice } from '../device/open.js';
import type { FloatDType } from '../program/format.js';
import { Cholesky } from './cholesky.js';
import { checkDamping, type Damping, dampingOf, factorDamped } from './damping.js';
import { columnSquares } from './diagonal.js';
import { denseGradients } from './gradients-store.js';
import { FisherOperator, type FisherParts, type FisherSource, storedProduct } from './products.js';
import { whiten } from './whiten.js';

/** Options of `StaticFisher`. */
export interface StaticFisherOptions {
  /** λ, or a multiple of the undamped matrix's mean eigenvalue. Default 1e-5, absolute */
  readonly damping?: Damping | undefined;
  /** n in F = λI + GᵀG/n. Default: m, the number of gradients */
  readonly divisor?: number | undefined;
  /** what the gradients are of, for matching saved runs; by default told from the numbers */
  readonly fingerprint?: string | undefined;
}

/** Gradients on the host. */
export interface GradientArray {
  /** m·d numbers, gradient after gradient */
  readonly values: FloatArray;
  /** d */
  readonly dimension: number;
  /** default: the shared device, and the array's own type */
  readonly device?: Device | undefined;
  readonly dtype?: FloatDType | undefined;
}

/** The rows as a block of its own users: a view of a block given, or an upload. */
export function gradientBlock(gradients: Block | GradientArray): Block {
  if (gradients instanceof Block) return gradients.rows(0, gradients.count);
  const { values, dimension, device = sharedDevice() } = gradients;
  const count = values.length / dimension;
  if (!Number.isSafeInteger(count) || count < 1)
    throw new ShapeError(`${values.length} values are not a whole number of gradients of ${dimension}`);
  const block = device.block(
    gradients.dtype ?? (values instanceof Float32Array ? 'float32' : 'float64'),
    dimension,
    count,
  );
  block.write(values);
  return block;
}

/** F = λI + GᵀG/n of given gradients, the rows of G; `inverse` and `forward` are its operators. */
export class StaticFisher implements FisherSource {
  readonly dimension: number;
  /** m */
  readonly count: number;
  readonly lambda: number;
  /** n */
  readonly divisor: number;
  /** what had to be added to A's diagonal to factor it; 0 unless rounding made it indefinite */
  readonly jitter: number;
  readonly scaling: string;
  readonly fingerprint: string;
  readonly #gradients: Block;
  readonly #factor: Cholesky;

  private constructor(gradients: Block, factor: Cholesky, traits: Traits) {
    this.dimension = gradients.dimension;
    this.count = gradients.count;
    this.lambda = traits.lambda;
    this.divisor = traits.divisor;
    this.jitter = traits.jitter;
    this.scaling = `${traits.lambda}·I + sum over ${gradients.count} gradients / ${traits.divisor}`;
    this.fingerprint = `${traits.fingerprint}|${traits.lambda}|${traits.divisor}`;
    this.#gradients = gradients;
    this.#factor = factor;
  }

  /**
   * A block is used where it lies: it must not change while this lives. Throws InputError for a damping or divisor
   * that is not positive, ComputationError where the gradients are not finite.
   */
  static async create(gradients: Block | GradientArray, options: StaticFisherOptions = {}): Promise<StaticFisher> {
    const { damping = 1e-5 } = options;
    checkDamping(damping);
    const block = gradientBlock(gradients);
    try {
      const { count: m, dimension: d } = block;
      const divisor = options.divisor ?? m;
      if (!(divisor > 0 && Number.isFinite(divisor)))
        throw new InputError(`the divisor must be a positive number, not ${divisor}`);
      const gram = await block.gram(block);
      let squares = 0;
      for (let i = 0; i < m; i++) squares += gram[i * (m + 1)] as number;
      const lambda = dampingOf(damping, squares, divisor, d);
      const factor = new Cholesky(m);
      const jitter = factorDamped(factor, m, (i, j) => gram[i * m + j] as number, divisor * lambda);
      const fingerprint = options.fingerprint ?? `${m}×${d}|${squares}|${gram.reduce((a, b) => a + b, 0)}`;
      return new StaticFisher(block, factor, { lambda, divisor, jitter, fingerprint });
    } catch (error) {
      block.dispose();
      throw error;
    }
  }

  get template(): Block {
    return this.#gradients;
  }

  /** qᵢ = n + gᵢᵀ(λI + Σ_{k<i} gₖgₖᵀ/n)⁻¹gᵢ: the pivots of nI + GGᵀ/λ, m numbers. */
  pivots(): Float64Array {
    return this.#factor.diagonal().map((l) => (l * l) / this.lambda);
  }

  /** V, m × d: row i is (λI + Σ_{k<i} gₖgₖᵀ/n)⁻¹gᵢ. dm² flops, errors as in whiten.ts; the caller disposes it. */
  whitened(): Block {
    const v = this.#gradients.device.block(this.#gradients.dtype, this.dimension, this.count);
    whiten(whitener(this.#factor, this.lambda), this.#gradients, v);
    return v;
  }

  /** @internal */
  parts(): FisherParts {
    return {
      gradients: denseGradients(this.#gradients.rows(0, this.count)),
      lambda: this.lambda,
      divisor: this.divisor,
      solve: (x) => this.#factor.solve(x),
    };
  }

  /** F⁻¹ as an operator. Neither owns the gradients: dispose this when both are done with. */
  inverse(): FisherOperator {
    return new FisherOperator(this, 'inverse');
  }
  /** F as an operator. */
  forward(): FisherOperator {
    return new FisherOperator(this, 'forward');
  }

  /**
   * F⁻¹Gᵀc for each row of `coefficients` (k × m): products with combinations of the stored gradients, without the
   * cancellation that F⁻¹ applied to them suffers. The caller disposes the result (k × d).
   */
  inverseOfStored(coefficients: Float64Array): Block {
    const k = coefficients.length / this.count;
    if (!Number.isSafeInteger(k) || k < 1)
      throw new ShapeError(`${coefficients.length} coefficients for ${this.count} gradients`);
    const { device, dtype } = this.#gradients;
    const output = device.block(dtype, this.dimension, k);
    const parts = this.parts();
    storedProduct(parts, coefficients, output);
    parts.gradients?.dispose();
    return output;
  }

  /** diag F⁻¹, d numbers in float64. Where m exceeds a block's size the block-diagonal form loses less (static-blocks.ts). */
  async diagonal(): Promise<Float64Array> {
    const squares = await columnSquares(this.#factor.inverseFactor(), this.#gradients);
    return squares.map((y) => (1 - y) / this.lambda);
  }

  /** [F⁻¹]_ab. */
  async element(a: number, b: number): Promise<number> {
    const part = await this.subBlock(a === b ? [a] : [a, b]);
    return part[a === b ? 0 : 1] as number;
  }

  /** The rows and columns `indices` of F⁻¹: k × k, row-major, exactly symmetric. Throws InputError for a wrong index. */
  async subBlock(indices: readonly number[]): Promise<Float64Array> {
    const columns = await Promise.all(indices.map((j) => this.#column(j)));
    for (const c of columns) this.#factor.forward(c);
    const k = indices.length;
    const out = new Float64Array(k * k);
    for (let a = 0; a < k; a++) {
      for (let b = 0; b <= a; b++) {
        let sum = indices[a] === indices[b] ? 1 : 0;
        for (let i = 0; i < this.count; i++) sum -= (columns[a]?.[i] as number) * (columns[b]?.[i] as number);
        out[a * k + b] = out[b * k + a] = sum / this.lambda;
      }
    }
    return out;
  }

  async #column(j: number): Promise<Float64Array> {
    if (!(Number.isInteger(j) && j >= 0 && j < this.dimension))
      throw new InputError(`element ${j} of vectors of ${this.dimension}`);
    const view = this.#gradients.elements(j, j + 1);
    try {
      return await view.readFloat64();
    } finally {
      view.dispose();
    }
  }

  /** Frees the gradients, which operators made of this still read. */
  dispose(): void {
    this.#gradients.dispose();
  }
  /** `dispose`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose();
  }
}

/** ΛL⁻¹/λ, m × m row-major: what takes G to V. m³/6. */
export function whitener(factor: Cholesky, lambda: number): Float64Array {
  const m = factor.size;
  const l = factor.diagonal();
  const rows = factor.inverseFactor();
  for (let i = 0; i < m; i++)
    for (let j = 0; j <= i; j++) rows[i * m + j] = ((l[i] as number) * (rows[i * m + j] as number)) / lambda;
  return rows;
}

interface Traits {
  readonly lambda: number;
  readonly divisor: number;
  readonly jitter: number;
  readonly fingerprint: string;
}
