/** Extreme eigenpairs of a symmetric operator by block Lanczos with thick restart (see block-krylov.ts). */
import { ComputationError, InputError } from '../base/errors.js';
import type { Block } from '../device/block.js';
import type { LinearOperator } from '../operators/linear-operator.js';
import { bytesPerElement } from '../program/format.js';
import { BlockKrylov, type RitzPairs } from './block-krylov.js';
import { mustBeCount, mustBePositive, mustBeSymmetric, unitRoundoff } from './checks.js';
import type { RunOptions } from './progress.js';

/** 'both': half from each end, the odd one from the top. 'magnitude': largest absolute value. */
export type Which = 'largest' | 'smallest' | 'both' | 'magnitude';

export interface EigsOptions extends RunOptions {
  /** How many eigenvalues, counted with multiplicity; at most the order. Default 10. */
  readonly k?: number | undefined;
  /** Default 'largest'. */
  readonly which?: Which | undefined;
  /** Relative to ‖A‖: a pair has converged when ‖Av − θv‖₂ ≤ tolerance · ‖A‖. Default 1e-6. */
  readonly tolerance?: number | undefined;
  /** Keep the eigenvectors. Default false. */
  readonly vectors?: boolean | undefined;
  /**
   * Vectors multiplied at a time. Eigenvalues of multiplicity up to this are found with all their copies.
   * Default 4, or less if k, the operator or memory ask for it.
   */
  readonly block?: number | undefined;
  /** Basis vectors before a restart. Default max(3k, k + 10 blocks), less if memory asks for it. */
  readonly subspace?: number | undefined;
  /** Bytes the vectors may take. Default: no limit. */
  readonly memory?: number | undefined;
  /** Stop after about this many, converged or not. Default 1000 + 100 k. */
  readonly maxProducts?: number | undefined;
  readonly seed?: number | undefined;
}

/** An eigenvalue and how well it is known. */
export interface Eigenpair {
  readonly value: number;
  /** ‖A v − value · v‖₂, from a product with v, not from the recurrence */
  readonly residual: number;
  readonly converged: boolean;
}

/** What `eigs` gives. */
export interface EigsResult {
  /** 'smallest' ascends, 'magnitude' descends in absolute value, the others descend. */
  readonly eigenvalues: readonly Eigenpair[];
  /** Unit eigenvectors in the same order, if asked for. The caller disposes them. */
  readonly vectors: Block | undefined;
  readonly converged: boolean;
  /** The outcome in words, with what to try if it is not convergence. */
  readonly status: string;
  /** vectors multiplied by A */
  readonly products: number;
  readonly seconds: number;
}

/**
 * Throws InputError for options that make no sense or an operator that is not symmetric, ComputationError when
 * a product is not finite, InterruptedError when aborted. Not converging is no error: see `converged`.
 */
export async function eigs(operator: LinearOperator, options: EigsOptions = {}): Promise<EigsResult> {
  const started = performance.now();
  const plan = makePlan(operator, options);
  const { wanted, which, tolerance, maxProducts, subspace } = plan;
  const krylov = new BlockKrylov(operator, subspace, plan.block, options.seed ?? 0);
  let vectors: Block | undefined;
  try {
    let before: Float64Array | undefined;
    for (;;) {
      await krylov.expand(options.signal);
      options.onProgress?.({ stage: 'block Lanczos', products: krylov.products, total: maxProducts });
      const full = !krylov.complete && krylov.nextOrder > subspace;
      const exhausted = krylov.products >= maxProducts;
      if (krylov.order < wanted) continue;
      if (!full && !exhausted && !krylov.complete && krylov.order > denseLimit) continue;
      const ritz = krylov.ritz();
      const order = preference(ritz.values, which);
      const best = order.slice(0, wanted);
      const size = Math.max(...ritz.values.map(Math.abs));
      const values = Float64Array.from(best, (i) => ritz.values[i] as number);
      const target = Math.max(safety * tolerance, 2 * unitRoundoff(operator.dtype)) * size; // below is only rounding
      const resolved = best.every((i) => (ritz.residuals[i] as number) <= target);
      // An invariant subspace may lack copies of multiple eigenvalues: a further random block must bring none.
      const settled =
        !krylov.invariant || values.every((v, i) => Math.abs(v - (before?.[i] ?? Number.NaN)) <= tolerance * size);
      if ((resolved && settled) || krylov.complete || exhausted) {
        vectors = krylov.ritzVectors(ritz, arranged(ritz, best, which));
        break;
      }
      before = values;
      if (full) krylov.compress(ritz, order.slice(0, plan.keep));
    }
  } finally {
    krylov.dispose();
  }
  return finish(operator, vectors, { ...plan, scale: krylov.scale, products: krylov.products, started }, options);
}

/** Up to this order the projected problem is solved after every block, beyond only before a restart. */
const denseLimit = 120;
/** The bound must fall this far below the tolerance, so that the true residual, with its rounding, meets it. */
const safety = 0.5;

interface Plan {
  readonly wanted: number;
  readonly which: Which;
  readonly tolerance: number;
  readonly block: number;
  readonly subspace: number;
  readonly keep: number;
  readonly maxProducts: number;
}

function makePlan(operator: LinearOperator, options: EigsOptions): Plan {
  const { k = 10, which = 'largest', tolerance = 1e-6 } = options;
  mustBeSymmetric(operator, 'eigs');
  mustBeCount(k, 'k');
  mustBePositive(tolerance, 'tolerance');
  if (options.block !== undefined) mustBeCount(options.block, 'block');
  if (options.maxProducts !== undefined) mustBeCount(options.maxProducts, 'maxProducts');
  if (!(['largest', 'smallest', 'both', 'magnitude'] as string[]).includes(which)) {
    throw new InputError(`which must be largest, smallest, both or magnitude, not ${which}`);
  }
  const n = operator.rows;
  const wanted = Math.min(k, n);
  const vector = n * bytesPerElement[operator.dtype];
  const rows = options.memory === undefined ? Number.POSITIVE_INFINITY : Math.floor(options.memory / vector);
  let block = Math.min(options.block ?? Math.min(4, wanted), operator.maxBlock ?? Number.POSITIVE_INFINITY, n);
  // While restarting, the kept vectors are there twice: subspace + block + keep vectors in all.
  const room = (b: number): number => Math.floor((2 * (rows - b) - wanted) / 3);
  const least = (b: number): number => Math.min(n, wanted + 2 * b);
  while (block > 1 && room(block) < least(block)) block -= 1;
  if (room(block) < least(block)) {
    throw new InputError(
      `${wanted} eigenvectors need at least ${Math.ceil((3 * least(1) + wanted) / 2 + 2) * vector} bytes, more than the memory ` +
        `limit of ${String(options.memory)}: ask for fewer or raise the limit`,
    );
  }
  const asked = options.subspace ?? Math.max(3 * wanted, wanted + 10 * block);
  const subspace = Math.min(n, Math.max(least(block), Math.min(asked, room(block))));
  const keep = Math.max(1, Math.min(wanted + Math.floor((subspace - wanted) / 2), subspace - 2 * block));
  return { wanted, which, tolerance, block, subspace, keep, maxProducts: options.maxProducts ?? 1000 + 100 * wanted };
}

/** Indices of ascending values, the most wanted first. */
function preference(values: Float64Array, which: Which): number[] {
  const ascending = Array.from(values, (_, i) => i);
  const descending = [...ascending].reverse();
  switch (which) {
    case 'largest':
      return descending;
    case 'smallest':
      return ascending;
    case 'magnitude':
      return ascending.sort((a, b) => Math.abs(values[b] as number) - Math.abs(values[a] as number));
    case 'both':
      return descending.flatMap((top, i) => [top, i]).slice(0, values.length);
  }
}

/** The chosen in the order of the result. */
function arranged(ritz: RitzPairs, chosen: readonly number[], which: Which): number[] {
  return which === 'both'
    ? [...chosen].sort((a, b) => (ritz.values[b] as number) - (ritz.values[a] as number))
    : [...chosen];
}

type Outcome = Plan & { scale: number; products: number; started: number };

/** Rayleigh quotients and true residuals: one more product per vector. */
async function finish(
  operator: LinearOperator,
  vectors: Block,
  outcome: Outcome,
  options: EigsOptions,
): Promise<EigsResult> {
  const { tolerance, wanted, started } = outcome;
  let image: Block | undefined;
  let returned = false;
  try {
    image = await operator.apply(vectors, undefined, { signal: options.signal });
    const [squares, forms] = await Promise.all([vectors.dots(vectors), vectors.dots(image)]);
    const values = forms.map((f, i) => f / (squares[i] as number));
    image.addScaled(
      values.map((v) => -v),
      vectors,
    );
    const norms = await image.norms();
    const size = Math.max(outcome.scale, ...values.map(Math.abs));
    const eigenvalues = Array.from(values, (value, i) => {
      const residual = (norms[i] as number) / Math.sqrt(squares[i] as number);
      if (!Number.isFinite(residual)) throw new ComputationError('the product with an eigenvector is not finite');
      return { value, residual, converged: residual <= tolerance * size };
    });
    const count = eigenvalues.filter((e) => e.converged).length;
    returned = options.vectors === true;
    const products = outcome.products + vectors.count;
    options.onProgress?.({ stage: 'residuals', products, total: products });
    return {
      eigenvalues,
      vectors: returned ? vectors : undefined,
      converged: count === wanted,
      status: status(operator, count, outcome),
      products,
      seconds: (performance.now() - started) / 1000,
    };
  } finally {
    image?.dispose();
    if (!returned) vectors.dispose();
  }
}

function status(
  operator: LinearOperator,
  count: number,
  { wanted, products, maxProducts, tolerance }: Outcome,
): string {
  if (count === wanted) return `all ${wanted} eigenvalues converged`;
  const part = `${count} of ${wanted} eigenvalues converged`;
  if (products >= maxProducts)
    return `${part} within ${products} products: allow more products, a larger subspace or a larger tolerance`;
  const advice = operator.dtype === 'float32' ? 'compute in float64 or raise the tolerance' : 'raise the tolerance';
  return `${part}: rounding errors keep residuals above ${tolerance} · ‖A‖: ${advice}`;
}
