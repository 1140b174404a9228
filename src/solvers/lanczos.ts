/**
 * Lanczos tridiagonalisation with full reorthogonalisation, several starting vectors at a time.
 *
 * For each start vector, m steps give orthonormal V (dimension × m) and a tridiagonal T with
 * A V = V T + β v eᵀ (β and the unit vector v continue the recurrence). All start vectors advance together:
 * one product with a block per step, because k products at once cost an operator less than k single ones.
 * The Krylov spaces stay separate, one per start vector, as quadrature needs them.
 *
 * Every new vector is made orthogonal to its whole basis by two Gram–Schmidt passes. Without that, converged
 * eigenvalues come back as copies and outliers are invented (Parlett, The Symmetric Eigenvalue Problem, ch. 13).
 *
 * When β vanishes, V spans an invariant subspace. The run goes on, with coupling 0, from a random vector
 * orthogonal to V: quadrature is not changed (its weights there are 0), further eigenvalues are found.
 */
import { ComputationError, checkInterrupted, InputError } from '../base/errors.js';
import type { Block, Orthogonalization } from '../device/block.js';
import type { LinearOperator } from '../operators/linear-operator.js';
import { mustBeSymmetric, unitRoundoff } from './checks.js';

/** One start vector's T, and what follows it. */
export interface Tridiagonal {
  /** m entries */
  readonly diagonal: Float64Array;
  /** m − 1 entries, ≥ 0; 0 where the run started afresh */
  readonly coupling: Float64Array;
  /** β: ‖A v_m − V(Vᵀ A v_m)‖₂, the coupling to the vector after the last; 0 if V spans an invariant subspace */
  readonly next: number;
}

/** Options of `lanczos`. */
export interface LanczosOptions {
  /** Steps; at most the dimension are done. */
  readonly steps: number;
  /** Of the vectors that continue after a breakdown. Default 0. */
  readonly seed?: number | undefined;
  /** First random stream used for those; start vector p uses stream + p·steps + step. Default 2³⁰. */
  readonly stream?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** After each step (1 … steps). */
  readonly onStep?: ((step: number) => void) | undefined;
}

/** What a Lanczos run found. */
export interface LanczosRun {
  readonly steps: number;
  /** One per start vector. */
  readonly tridiagonals: readonly Tridiagonal[];
  /** ‖start vector‖₂ before normalisation. */
  readonly startNorms: Float64Array;
  /** Largest ‖A v‖₂ seen: a lower bound of ‖A‖. */
  readonly scale: number;
  /**
   * Largest |vᵢᵀ A vⱼ − vⱼᵀ A vᵢ| seen, over `scale`: rounding noise of the products, or the operator's lack
   * of symmetry.
   */
  readonly asymmetry: number;
  /** Orthonormal vectors of start vector p, `steps` of them, as a view the caller disposes. */
  basis(p: number): Block;
  /** The unit vector after the last of start vector p (not meaningful where `next` is 0). */
  continuation(p: number): Block;
  /** Frees the bases. */
  dispose(): void;
}

/** Bytes one start vector's basis takes. */
export function basisBytes(dimension: number, steps: number, elementBytes: number): number {
  return (Math.min(steps, dimension) + 1) * dimension * elementBytes;
}

/**
 * Runs `steps` steps from each vector of `start` (dimension × k; not changed, need not be normalised).
 * Throws InputError for an operator that is not symmetric, by declaration or by evidence, and
 * ComputationError when a product contains NaN or infinity.
 */
export async function lanczos(operator: LinearOperator, start: Block, options: LanczosOptions): Promise<LanczosRun> {
  mustBeSymmetric(operator, 'Lanczos');
  if (!(Number.isSafeInteger(options.steps) && options.steps >= 1)) {
    throw new InputError(`Lanczos needs at least one step, not ${options.steps}`);
  }
  const run = new Run(operator, start.count, options);
  try {
    await run.begin(start);
    for (let step = 0; step < run.steps; step += 1) {
      await run.advance(step);
      options.onStep?.(step + 1);
    }
    return run.result();
  } catch (error) {
    run.vectors.dispose();
    throw error;
  }
}

/** Couplings up to this many roundoffs per step (of ‖A‖) may be rounding error alone. */
const noiseFactor = 8;
/** Asymmetry above this is no rounding error of any precision we compute in. */
const asymmetryLimit = 1e-2;

class Run {
  readonly steps: number;
  /** Vector j of start vector p is number j·k + p: a step's vectors are neighbours, a basis is every k-th. */
  readonly vectors: Block;
  readonly #operator: LinearOperator;
  readonly #options: LanczosOptions;
  readonly #count: number;
  readonly #diagonals: Float64Array[];
  readonly #couplings: Float64Array[];
  #startNorms: Float64Array = new Float64Array(0);
  #scale = 0;
  #asymmetry = 0;

  constructor(operator: LinearOperator, count: number, options: LanczosOptions) {
    this.#operator = operator;
    this.#options = options;
    this.#count = count;
    this.steps = Math.min(options.steps, operator.rows);
    this.vectors = operator.device.block(operator.dtype, operator.rows, (this.steps + 1) * count);
    this.#diagonals = Array.from({ length: count }, () => new Float64Array(this.steps));
    this.#couplings = Array.from({ length: count }, () => new Float64Array(this.steps));
  }

  async begin(start: Block): Promise<void> {
    this.#startNorms = await start.norms();
    this.#startNorms.forEach((norm, p) => {
      if (!(norm > 0 && norm < Number.POSITIVE_INFINITY)) throw new InputError(`start vector ${p} has norm ${norm}`);
    });
    const first = this.#block(0);
    try {
      first.addScaled(
        this.#startNorms.map((x) => 1 / x),
        start,
        0,
      );
    } finally {
      first.dispose();
    }
  }

  /** One product, then each result made orthogonal to its basis. Waits once, for all start vectors. */
  async advance(step: number): Promise<void> {
    checkInterrupted(this.#options.signal);
    const source = this.#block(step);
    const target = this.#block(step + 1);
    try {
      await this.#operator.apply(source, target, { signal: this.#options.signal });
      const removed = await Promise.all(this.#each((p) => this.#orthogonalize(p, step)));
      for (const [p, r] of removed.entries()) this.#record(r, p, step);
      if (this.#asymmetry > asymmetryLimit * this.#scale) {
        throw new InputError(
          `the operator is declared symmetric but is not: vᵀAw and wᵀAv differ by ${this.#asymmetry.toExponential(1)}, ` +
            `${(this.#asymmetry / this.#scale).toExponential(1)} of its size`,
        );
      }
      const broken = this.#each((p) => p).filter((p) => !this.#continues(p, step));
      target.scale(Float64Array.from(this.#couplings, (c, p) => (broken.includes(p) ? 0 : 1 / (c[step] as number))));
      for (const p of broken) this.#couplings[p]?.fill(0, step, step + 1);
      if (step + 1 >= this.steps) return;
      const suspect = this.#each((p) => p).filter((p) => !broken.includes(p) && this.#suspect(p, step));
      await Promise.all([...broken.map((p) => this.#restart(p, step)), ...suspect.map((p) => this.#polish(p, step))]);
    } finally {
      source.dispose();
      target.dispose();
    }
  }

  result(): LanczosRun {
    const m = this.steps;
    return {
      steps: m,
      tridiagonals: this.#diagonals.map((diagonal, p) => {
        const all = this.#couplings[p] as Float64Array;
        return { diagonal, coupling: all.slice(0, m - 1), next: all[m - 1] as number };
      }),
      startNorms: this.#startNorms,
      scale: this.#scale,
      asymmetry: this.#scale > 0 ? this.#asymmetry / this.#scale : 0,
      basis: (p) => this.#basis(p, m),
      continuation: (p) => this.#vector(p, m),
      dispose: () => this.vectors.dispose(),
    };
  }

  #record({ coefficients, before, after }: Orthogonalization, p: number, step: number): void {
    if (!Number.isFinite(before) || !Number.isFinite(after)) {
      throw new ComputationError(
        `the product in Lanczos step ${step + 1} (probe ${p + 1}) is not finite: NaN or overflow in the operator`,
      );
    }
    const coupling = this.#couplings[p] as Float64Array;
    (this.#diagonals[p] as Float64Array)[step] = coefficients[step] as number;
    coupling[step] = after;
    this.#scale = Math.max(this.#scale, before);
    // In exact arithmetic A vⱼ has no part along vᵢ for i < j − 1, and part βⱼ₋₁ along vⱼ₋₁.
    for (let i = 0; i < step; i += 1) {
      const expected = i === step - 1 ? (coupling[i] as number) : 0;
      this.#asymmetry = Math.max(this.#asymmetry, Math.abs((coefficients[i] as number) - expected));
    }
  }

  #continues(p: number, step: number): boolean {
    if (step + 1 >= this.#operator.rows) return false; // V is the whole space: what is left is rounding error
    // Nothing larger: a small β may be the true coupling to a bulk far below the outliers. Should it be rounding
    // error after all, its direction is as good as the random one, and its coupling as good as 0.
    return this.#coupling(p, step) > unitRoundoff(this.#operator.dtype) * this.#scale;
  }

  /** May the next vector be rounding error, of which two passes left something along the basis? */
  #suspect(p: number, step: number): boolean {
    return this.#coupling(p, step) <= noiseFactor * unitRoundoff(this.#operator.dtype) * (step + 1) * this.#scale;
  }

  #coupling(p: number, step: number): number {
    return (this.#couplings[p] as Float64Array)[step] as number;
  }

  /** The next vector of p ← random, orthogonal to its basis, of unit length. */
  async #restart(p: number, step: number): Promise<void> {
    const { seed = 0, stream = 2 ** 30 } = this.#options;
    const vector = this.#vector(p, step + 1);
    vector.fillRandom('normal', seed, stream + p * this.steps + step);
    vector.dispose();
    await this.#polish(p, step);
  }

  /** The next vector of p, orthogonal to its basis once more and of unit length. */
  async #polish(p: number, step: number): Promise<void> {
    const { after } = await this.#orthogonalize(p, step);
    if (!(after > 0)) throw new ComputationError('no vector orthogonal to the Krylov basis was found');
    const vector = this.#vector(p, step + 1);
    vector.scale(1 / after);
    vector.dispose();
  }

  /** Vector step + 1 of p against vectors 0 … step. */
  async #orthogonalize(p: number, step: number): Promise<Orthogonalization> {
    const basis = this.#basis(p, step + 1);
    const vector = this.#vector(p, step + 1);
    try {
      return await vector.orthogonalize(basis);
    } finally {
      basis.dispose();
      vector.dispose();
    }
  }

  #each<T>(make: (p: number) => T): T[] {
    return Array.from({ length: this.#count }, (_, p) => make(p));
  }

  #block(step: number): Block {
    return this.vectors.rows(step * this.#count, (step + 1) * this.#count);
  }

  #basis(p: number, size: number): Block {
    return this.vectors.every(p, this.#count, size);
  }

  #vector(p: number, step: number): Block {
    const at = step * this.#count + p;
    return this.vectors.rows(at, at + 1);
  }
}
