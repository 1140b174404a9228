/**
 * Conjugate gradients for A x = b, A symmetric positive definite, several right-hand sides at a time.
 *
 * Departures from the textbook (Hestenes & Stiefel 1952):
 * 1. All right-hand sides advance together, each with its own scalars, so that a step is one block product.
 * 2. Every 50 steps, and whenever the recurrence claims convergence, the residual is computed anew as b − A x
 *    and replaces the recurrence's, which drifts. The reported residual is always such a true one.
 * 3. A right-hand side stops at pᵀAp ≤ 0: A is not positive definite, and the step would be uphill.
 * 4. Where the true residual is twice the recurrence's, the directions are no longer conjugate: the next one is
 *    that of steepest descent. Going on would make the residual grow again.
 * 5. One whose true residual does not change any more, or is twice the recurrence's and has not halved since that
 *    was so before, has met rounding error and stops.
 */
import { ComputationError, checkInterrupted, InputError, ShapeError } from '../base/errors.js';
import type { Block } from '../device/block.js';
import type { LinearOperator } from '../operators/linear-operator.js';
import { mustBeCount, mustBePositive, mustBeSymmetric } from './checks.js';
import type { RunOptions } from './progress.js';

export type CgStatus = 'converged' | 'step limit' | 'negative curvature' | 'stagnated';

/** The outcome in words: what it means and what to try. */
export const cgAdvice: Record<CgStatus, string> = {
  converged: 'the residual is below the tolerance',
  'step limit':
    'not converged within the step limit: allow more steps, add damping (shift), give a preconditioner, or compute in float64',
  'negative curvature': 'the operator is not positive definite: add damping (shift), or use the Gauss-Newton matrix',
  stagnated:
    'rounding errors stop the residual from falling: compute in float64, add damping (shift) or raise the tolerance',
};

export interface CgOptions extends RunOptions {
  /** ‖b − A x‖₂ ≤ tolerance · ‖b‖₂ is enough. Default 1e-6. */
  readonly tolerance?: number | undefined;
  /** Default 1000. */
  readonly maxSteps?: number | undefined;
  /** Where to start; not changed. Default 0. */
  readonly start?: Block | undefined;
  /** An approximation of A⁻¹, symmetric positive definite. Default: none. */
  readonly preconditioner?: LinearOperator | undefined;
}

export interface CgOutcome {
  readonly status: CgStatus;
  readonly advice: string;
  /** ‖b − A x‖₂ / ‖b‖₂, computed from x; 0 for b = 0 */
  readonly residual: number;
  readonly steps: number;
}

export interface CgResult {
  /** x, one vector per right-hand side; the caller disposes it */
  readonly solution: Block;
  /** one per right-hand side */
  readonly outcomes: readonly CgOutcome[];
  readonly converged: boolean;
  /** vectors multiplied by A */
  readonly products: number;
  readonly seconds: number;
}

/** Steps between two true residuals. */
const checkEvery = 50;

/** Throws InputError, ComputationError when a product is not finite, InterruptedError. Not converging is no error. */
export async function cg(operator: LinearOperator, b: Block, options: CgOptions = {}): Promise<CgResult> {
  const { tolerance = 1e-6, maxSteps = 1000, preconditioner, start } = options;
  mustBeSymmetric(operator, 'cg');
  mustBePositive(tolerance, 'tolerance');
  mustBeCount(maxSteps, 'maxSteps');
  if (preconditioner !== undefined) {
    mustBeSymmetric(preconditioner, 'cg');
    if (preconditioner.rows !== operator.rows)
      throw new ShapeError(
        `a preconditioner of order ${preconditioner.rows} for an operator of order ${operator.rows}`,
      );
  }
  if (start !== undefined && start.count !== b.count)
    throw new ShapeError(`${start.count} starting points for ${b.count} right-hand sides`);
  const started = performance.now();
  const solve = new Solve(operator, b, { ...options, tolerance });
  try {
    await solve.begin(start);
    for (let step = 1; step <= maxSteps && solve.active; step += 1) {
      checkInterrupted(options.signal);
      await solve.step(step % checkEvery === 0);
      options.onProgress?.({ stage: 'conjugate gradients', products: solve.products, total: maxSteps * b.count });
    }
    const outcomes = await solve.outcomes();
    return {
      solution: solve.release(),
      outcomes,
      converged: outcomes.every((o) => o.status === 'converged'),
      products: solve.products,
      seconds: (performance.now() - started) / 1000,
    };
  } finally {
    solve.dispose();
  }
}

type Settings = CgOptions & { tolerance: number };

/** The state of all right-hand sides; scalars of right-hand side i are entry i of the arrays. */
class Solve {
  products = 0;
  readonly #operator: LinearOperator;
  readonly #b: Block;
  readonly #settings: Settings;
  readonly #x: Block;
  readonly #r: Block;
  readonly #p: Block;
  readonly #image: Block;
  /** M⁻¹ r; r itself without a preconditioner */
  readonly #z: Block;
  readonly #stopped: (CgStatus | undefined)[];
  readonly #steps: Int32Array;
  #norms: Float64Array = new Float64Array(0);
  #rz: Float64Array = new Float64Array(0);
  /** ‖r‖ now, when it was last computed anew, and when the recurrence was last found wrong */
  #residuals: Float64Array = new Float64Array(0);
  readonly #checked: Float64Array;
  readonly #refuted: Float64Array;
  /** Directions that are to forget those before them. */
  readonly #restart: boolean[];
  #released = false;

  constructor(operator: LinearOperator, b: Block, settings: Settings) {
    const make = (): Block => operator.device.block(operator.dtype, operator.rows, b.count);
    if (b.dimension !== operator.rows)
      throw new ShapeError(`right-hand sides of ${b.dimension} elements for an operator of order ${operator.rows}`);
    this.#operator = operator;
    this.#b = b;
    this.#settings = settings;
    [this.#x, this.#r, this.#p, this.#image] = [make(), make(), make(), make()];
    this.#z = settings.preconditioner === undefined ? this.#r : make();
    this.#stopped = Array.from({ length: b.count }, () => undefined);
    this.#steps = new Int32Array(b.count);
    this.#restart = this.#stopped.map(() => false);
    this.#checked = new Float64Array(b.count).fill(Number.POSITIVE_INFINITY);
    this.#refuted = new Float64Array(b.count).fill(Number.POSITIVE_INFINITY);
  }

  get active(): boolean {
    return this.#stopped.some((s) => s === undefined);
  }

  async begin(start: Block | undefined): Promise<void> {
    this.#norms = await this.#b.norms();
    if (!this.#norms.every(Number.isFinite)) throw new InputError('the right-hand side is not finite');
    if (start === undefined) {
      this.#x.zero();
      this.#r.copyFrom(this.#b);
      this.#residuals = this.#norms.slice();
    } else {
      // the solution for b = 0 is 0, wherever one starts
      this.#x.addScaled(
        this.#norms.map((norm) => (norm === 0 ? 0 : 1)),
        start,
        0,
      );
      await this.#trueResidual();
    }
    this.#stopWhereSmall();
    await this.#precondition();
    this.#rz = await this.#r.dots(this.#z);
    this.#p.copyFrom(this.#z);
  }

  /** One step of every system that has not stopped. `check`: with the true residual. */
  async step(check: boolean): Promise<void> {
    await this.#multiply(this.#p);
    const curvature = await this.#p.dots(this.#image);
    const alpha = this.#perSystem((i) => {
      const c = curvature[i] as number;
      if (!Number.isFinite(c))
        throw new ComputationError(`step ${(this.#steps[i] as number) + 1} of cg met a product that is not finite`);
      this.#steps[i] = (this.#steps[i] as number) + 1;
      if (c > 0) return (this.#rz[i] as number) / c;
      this.#stopped[i] = 'negative curvature';
      return 0;
    });
    this.#x.addScaled(alpha, this.#p);
    await this.#nextResidual(alpha, check);
    this.#stopWhereSmall();
    await this.#precondition();
    const rz = await this.#r.dots(this.#z);
    const beta = this.#perSystem((i) => {
      if (!((rz[i] as number) > 0)) throw new InputError('the preconditioner given to cg is not positive definite');
      return this.#restart[i] === true ? 0 : (rz[i] as number) / (this.#rz[i] as number);
    });
    this.#restart.fill(false);
    this.#rz = rz;
    this.#p.scale(beta);
    this.#p.addScaled(1, this.#z);
  }

  async outcomes(): Promise<CgOutcome[]> {
    await this.#trueResidual();
    return this.#stopped.map((stopped, i) => {
      const norm = this.#norms[i] as number;
      const residual = norm === 0 ? 0 : (this.#residuals[i] as number) / norm;
      if (!Number.isFinite(residual)) throw new ComputationError('cg met a product that is not finite');
      const status = stopped ?? 'step limit';
      return { status, advice: cgAdvice[status], residual, steps: this.#steps[i] as number };
    });
  }

  release(): Block {
    this.#released = true;
    return this.#x;
  }

  dispose(): void {
    for (const block of new Set([this.#r, this.#p, this.#image, this.#z])) block.dispose();
    if (!this.#released) this.#x.dispose();
  }

  async #multiply(source: Block): Promise<void> {
    await this.#operator.apply(source, this.#image, { signal: this.#settings.signal });
    this.products += source.count;
  }

  async #precondition(): Promise<void> {
    if (this.#settings.preconditioner === undefined) return;
    await this.#settings.preconditioner.apply(this.#r, this.#z, { signal: this.#settings.signal });
  }

  /** r ← b − A x */
  async #trueResidual(): Promise<void> {
    await this.#multiply(this.#x);
    this.#r.copyFrom(this.#b);
    this.#r.addScaled(-1, this.#image);
    this.#residuals = await this.#r.norms();
  }

  /** r ← r − alpha A p. When due, or when that looks converged somewhere, the truth instead. */
  async #nextResidual(alpha: Float64Array, due: boolean): Promise<void> {
    this.#r.addScaled(
      alpha.map((a) => -a),
      this.#image,
    );
    const claimed = await this.#r.norms();
    this.#residuals = claimed;
    if (!due && !this.#stopped.some((stopped, i) => stopped === undefined && this.#small(claimed[i] as number, i)))
      return;
    await this.#trueResidual();
    this.#stopped.forEach((stopped, i) => {
      const truth = this.#residuals[i] as number;
      if (stopped !== undefined || this.#small(truth, i)) return;
      const refuted = truth > 2 * (claimed[i] as number);
      const frozen = truth === this.#checked[i]; // steps have become too small to change x
      if (frozen || (refuted && truth > 0.5 * (this.#refuted[i] as number))) this.#stopped[i] = 'stagnated';
      if (refuted) this.#refuted[i] = truth;
      this.#restart[i] = refuted;
      this.#checked[i] = truth;
    });
  }

  #small(residual: number, i: number): boolean {
    return residual <= this.#settings.tolerance * (this.#norms[i] as number);
  }

  #stopWhereSmall(): void {
    this.#residuals.forEach((r, i) => {
      if (this.#stopped[i] === undefined && this.#small(r, i)) this.#stopped[i] = 'converged';
    });
  }

  /** 0 for systems that have stopped: their x and r stay as they are. */
  #perSystem(value: (i: number) => number): Float64Array {
    return Float64Array.from(this.#stopped, (stopped, i) => (stopped === undefined ? value(i) : 0));
  }
}
