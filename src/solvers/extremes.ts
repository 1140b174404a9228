/**
 * The extreme eigenvalues that several Lanczos runs have found together.
 *
 * Each Ritz value θ with residual r guarantees an eigenvalue in [θ − r, θ + r]. Two values whose intervals
 * touch may be one eigenvalue seen twice (each run finds the outliers anew), so only the sharper one counts;
 * values with disjoint intervals are different eigenvalues. A list starts at the end of the spectrum and ends
 * before the first value that is not resolved, its residual not small beside the distance to its neighbours:
 * such a value stands for a whole stretch of the spectrum, and beyond it eigenvalues may be missing.
 */
import { ComputationError } from '../base/errors.js';
import type { Block } from '../device/block.js';
import type { LinearOperator } from '../operators/linear-operator.js';
import { unitRoundoff } from './checks.js';
import type { LanczosRun } from './lanczos.js';
import { tridiagonalEigen } from './tridiagonal.js';

/** An eigenvalue and the error of its vector. */
export interface Eigenvalue {
  readonly value: number;
  /** ‖A v − value · v‖₂ for a unit vector v */
  readonly residual: number;
}

export interface Extremes {
  /** descending */
  readonly largest: readonly Eigenvalue[];
  /** ascending */
  readonly smallest: readonly Eigenvalue[];
}

/** Resolved: residual up to this part of the gap to the next value. The value's error is then below gap/100. */
const resolvedPart = 0.1;

/** An eigenvalue and its distance to the nearest other one known when it was chosen. */
export interface Isolated extends Eigenvalue {
  readonly gap: number;
}

/**
 * Different eigenvalues at both ends, at most `limit` each, the extreme one first. Distances up to 2 · `noise`
 * are rounding error. Where not even the first is resolved, the list is the most extreme value alone: of
 * Ritz values that is the nearest to the end of the spectrum.
 */
export function selectExtremes<T extends Eigenvalue>(
  values: readonly T[],
  limit: number,
  noise: number,
): { largest: (T & Isolated)[]; smallest: (T & Isolated)[] } {
  const distinct = distinctValues(values, noise);
  const isolated = distinct.map((v, i) => ({
    ...v,
    gap: Math.min(distance(v, distinct[i - 1]), distance(v, distinct[i + 1])),
  }));
  const end = (list: (T & Isolated)[], better: (a: number, b: number) => boolean): (T & Isolated)[] => {
    const resolved = list.slice(0, leading(list, limit));
    if (resolved.length > 0 || values.length === 0) return resolved;
    const extreme = values.reduce((a, b) => (better(b.value, a.value) ? b : a));
    return [{ ...extreme, gap: 0 }];
  };
  return {
    largest: end([...isolated].reverse(), (a, b) => a > b),
    smallest: end(isolated, (a, b) => a < b),
  };
}

/** How many values from the start are resolved, at most `limit`. */
function leading(values: readonly Isolated[], limit: number): number {
  const first = values.findIndex((v) => !(v.residual <= resolvedPart * v.gap));
  return Math.min(limit, first < 0 ? values.length : first);
}

function distance(a: Eigenvalue, b: Eigenvalue | undefined): number {
  return b === undefined ? Number.POSITIVE_INFINITY : Math.abs(a.value - b.value);
}

/** Ascending, with disjoint intervals [value − residual − noise, value + residual + noise]; sharper ones first. */
function distinctValues<T extends Eigenvalue>(values: readonly T[], noise: number): T[] {
  const accepted: T[] = [];
  const apart = (a: T, b: T | undefined): boolean =>
    b === undefined || Math.abs(a.value - b.value) > a.residual + b.residual + 2 * noise;
  for (const candidate of [...values].sort((a, b) => a.residual - b.residual)) {
    // Accepted intervals are disjoint, so only the neighbours of the candidate's place can touch it.
    const at = lowerBound(accepted, candidate.value);
    if (apart(candidate, accepted[at]) && apart(candidate, accepted[at - 1])) accepted.splice(at, 0, candidate);
  }
  return accepted;
}

function lowerBound(values: readonly Eigenvalue[], x: number): number {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((values[middle] as Eigenvalue).value < x) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Where a candidate's vector comes from: a Ritz vector of a run, or a row kept from earlier runs. */
interface Source extends Eigenvalue {
  readonly probe: number;
  readonly index: number;
}
const kept = -1;

/** A kept vector, and at which ends of the spectrum it was chosen. */
interface Candidate extends Source {
  readonly gap: number;
  readonly top: boolean;
  readonly bottom: boolean;
}

/** Collects extreme Ritz vectors over several runs, keeping at most 2 · limit of them on the device. */
export class ExtremeVectors {
  readonly #operator: LinearOperator;
  readonly #limit: number;
  readonly #tolerance: number;
  #vectors: Block | undefined;
  #candidates: readonly Candidate[] = [];
  #scale = 0;
  #asymmetry = 0;

  /** `tolerance`: residual relative to ‖A‖ up to which the extreme values count as converged. */
  constructor(operator: LinearOperator, limit: number, tolerance: number) {
    this.#operator = operator;
    this.#limit = limit;
    this.#tolerance = tolerance;
  }

  /** Vectors kept at most: what to reserve memory for (twice, while a run is being added). */
  static vectors(limit: number): number {
    return 2 * limit;
  }

  add(run: LanczosRun): void {
    this.#scale = Math.max(this.#scale, run.scale);
    this.#asymmetry = Math.max(this.#asymmetry, run.asymmetry);
    const pool: Source[] = this.#candidates.map(({ value, residual }, index) => ({
      value,
      residual,
      probe: kept,
      index,
    }));
    const eigen = run.tridiagonals.map((t, probe) => {
      const { values, last, vectors } = tridiagonalEigen(t.diagonal, t.coupling, { vectors: true });
      values.forEach((value, index) => {
        pool.push({ value, residual: Math.abs(last[index] as number) * t.next, probe, index });
      });
      return vectors as Float64Array;
    });
    const chosen = this.#choose(pool, run.steps);
    const vectors = this.#operator.device.block(this.#operator.dtype, this.#operator.rows, chosen.length);
    let from = 0;
    while (from < chosen.length) {
      const { probe } = chosen[from] as Candidate;
      let to = from;
      while (chosen[to]?.probe === probe) to += 1;
      this.#fill(vectors, from, chosen.slice(from, to), run, eigen[probe]);
      from = to;
    }
    this.#vectors?.dispose();
    this.#vectors = vectors;
    this.#candidates = chosen;
  }

  /** Rayleigh quotients and true residuals of what was kept: one product per vector, `products` in all. */
  async finish(signal: AbortSignal | undefined): Promise<Extremes & { products: number; converged: boolean }> {
    const vectors = this.#vectors as Block;
    const image = await this.#operator.apply(vectors, undefined, { signal });
    try {
      const [squares, forms] = await Promise.all([vectors.dots(vectors), vectors.dots(image)]);
      const values = forms.map((f, i) => f / (squares[i] as number));
      image.addScaled(
        values.map((v) => -v),
        vectors,
      );
      const norms = await image.norms();
      const pairs = Array.from(values, (value, i) => ({
        value,
        residual: (norms[i] as number) / Math.sqrt(squares[i] as number),
      }));
      if (!pairs.every((pair) => Number.isFinite(pair.residual))) {
        throw new ComputationError('the product with an eigenvector is not finite: NaN or overflow in the operator');
      }
      const largest = this.#list(pairs, 'top');
      const smallest = this.#list(pairs, 'bottom');
      const ends = [largest[0], smallest[0]] as Eigenvalue[];
      return {
        largest,
        smallest,
        products: vectors.count,
        converged: ends.every((end) => end.residual <= this.#tolerance * this.#scale),
      };
    } finally {
      image.dispose();
    }
  }

  dispose(): void {
    this.#vectors?.dispose();
  }

  /** Rows from … of `vectors` ← the chosen Ritz vectors of one probe, or the rows kept from before. */
  #fill(
    vectors: Block,
    from: number,
    chosen: readonly Candidate[],
    run: LanczosRun,
    eigenvectors: Float64Array | undefined,
  ): void {
    const target = vectors.rows(from, from + chosen.length);
    if (eigenvectors === undefined) {
      chosen.forEach(({ index }, i) => {
        const source = (this.#vectors as Block).rows(index, index + 1);
        const row = target.rows(i, i + 1);
        row.copyFrom(source);
        source.dispose();
        row.dispose();
      });
    } else {
      const m = run.steps;
      const c = new Float64Array(chosen.length * m);
      for (const [i, { index }] of chosen.entries()) c.set(eigenvectors.subarray(index * m, (index + 1) * m), i * m);
      const basis = run.basis((chosen[0] as Candidate).probe);
      target.combine(c, basis);
      basis.dispose();
    }
    target.dispose();
  }

  /** The extremes of the pool, ordered by source, each once. */
  #choose(pool: readonly Source[], steps: number): Candidate[] {
    const { largest, smallest } = selectExtremes(pool, this.#limit, this.#noise(steps));
    const chosen = new Map<string, Candidate>();
    const key = (s: Source): string => `${s.probe} ${s.index}`;
    for (const s of largest) chosen.set(key(s), { ...s, top: true, bottom: false });
    for (const s of smallest) chosen.set(key(s), { ...s, top: chosen.has(key(s)), bottom: true });
    return [...chosen.values()].sort((a, b) => a.probe - b.probe || a.index - b.index);
  }

  /** One end's values from the end inwards: still different, and still resolved, by their true residuals. */
  #list(pairs: readonly Eigenvalue[], end: 'top' | 'bottom'): Eigenvalue[] {
    const own = this.#candidates.flatMap((c, i) => (c[end] ? [{ ...(pairs[i] as Eigenvalue), gap: c.gap }] : []));
    const inwards = distinctValues(own, this.#noise(1));
    if (end === 'top') inwards.reverse();
    return inwards
      .slice(0, Math.max(1, leading(inwards, this.#limit)))
      .map(({ value, residual }) => ({ value, residual }));
  }

  /** Rounding errors of values found in `steps` steps. */
  #noise(steps: number): number {
    const rounding = 8 * Math.sqrt(steps) * unitRoundoff(this.#operator.dtype);
    return Math.max(rounding, this.#asymmetry) * this.#scale;
  }
}
