/**
 * Eigenvalues and eigenvectors of a real symmetric tridiagonal matrix, in float64: implicitly shifted QR with
 * Wilkinson's shift (Golub & Van Loan, Matrix Computations, 4th ed., §8.3).
 */
import { ComputationError, InternalError } from '../base/errors.js';

/** Eigenvalues of a symmetric tridiagonal matrix, and of its vectors what was asked for. */
export interface TridiagonalEigen {
  /** ascending */
  readonly values: Float64Array;
  /** first component of each unit eigenvector; their squares are quadrature weights */
  readonly first: Float64Array;
  /** last component of each; times the next coupling, they bound Lanczos residuals */
  readonly last: Float64Array;
  /** eigenvector i at i·n … (i+1)·n; only if asked for */
  readonly vectors: Float64Array | undefined;
}

/** Sweeps allowed per eigenvalue, on average. Two or three are usual. */
const sweepLimit = 30;

/**
 * `diagonal` has n ≥ 1 entries, `coupling` n − 1 (entry i joins i and i + 1). Without `vectors` the cost is
 * O(n²), with them O(n³). Throws ComputationError for entries that are not finite.
 */
export function tridiagonalEigen(
  diagonal: ArrayLike<number>,
  coupling: ArrayLike<number>,
  options: { vectors?: boolean } = {},
): TridiagonalEigen {
  const n = diagonal.length;
  if (n < 1 || coupling.length !== n - 1) {
    throw new InternalError(`a tridiagonal matrix with ${n} diagonal entries and ${coupling.length} couplings`);
  }
  const d = Float64Array.from(diagonal);
  const e = Float64Array.from(coupling);
  const scale = normalise(d, e);

  // Row i of `rows` follows eigenvector i: all of it, or only its first and last components.
  const width = options.vectors === true ? n : 2;
  const rows = new Float64Array(n * width);
  if (width === n && options.vectors === true) {
    for (let i = 0; i < n; i += 1) rows[i * n + i] = 1;
  } else {
    rows[0] = 1;
    rows[(n - 1) * 2 + 1] = 1;
  }
  iterate(d, e, rows, width);

  const order = Uint32Array.from({ length: n }, (_, i) => i).sort((a, b) => at(d, a) - at(d, b));
  const sorted = new Float64Array(n * width);
  order.forEach((from, to) => {
    sorted.set(rows.subarray(from * width, (from + 1) * width), to * width);
  });
  const values = Float64Array.from(order, (i) => at(d, i) * scale);
  const component = (j: number): Float64Array => Float64Array.from(values, (_, i) => at(sorted, i * width + j));
  return {
    values,
    first: component(0),
    last: component(width - 1),
    vectors: options.vectors === true ? sorted : undefined,
  };
}

/** Divides by the largest entry, a power of two apart, so that squares neither overflow nor vanish. */
function normalise(d: Float64Array, e: Float64Array): number {
  let largest = 0;
  for (const list of [d, e]) {
    for (const value of list) {
      if (!Number.isFinite(value)) throw new ComputationError(`a tridiagonal matrix contains ${value}`);
      largest = Math.max(largest, Math.abs(value));
    }
  }
  if (largest === 0) return 1;
  const scale = 2 ** Math.max(-1000, Math.floor(Math.log2(largest)));
  for (const list of [d, e]) for (let i = 0; i < list.length; i += 1) list[i] = at(list, i) / scale;
  return scale;
}

function iterate(d: Float64Array, e: Float64Array, rows: Float64Array, width: number): void {
  let high = d.length - 1;
  let sweeps = 0;
  while (high > 0) {
    if (negligible(d, e, high - 1)) {
      high -= 1;
      continue;
    }
    let low = high - 1;
    while (low > 0 && !negligible(d, e, low - 1)) low -= 1;
    if (sweeps >= sweepLimit * d.length)
      throw new ComputationError('the tridiagonal eigenvalue iteration did not converge');
    sweeps += 1;
    sweep(d, e, rows, width, low, high);
  }
}

/** Can coupling i be called zero? Sets it to zero if so. */
function negligible(d: Float64Array, e: Float64Array, i: number): boolean {
  const small = Math.abs(at(e, i)) <= (Number.EPSILON / 2) * (Math.abs(at(d, i)) + Math.abs(at(d, i + 1)));
  if (small || Math.abs(at(e, i)) < Number.MIN_VALUE / Number.EPSILON) e[i] = 0;
  return at(e, i) === 0;
}

/** One implicit QR step on the block low … high, with the eigenvalue of its last 2 × 2 nearer to the last entry. */
function sweep(d: Float64Array, e: Float64Array, rows: Float64Array, width: number, low: number, high: number): void {
  const tail = at(e, high - 1);
  const half = (at(d, high - 1) - at(d, high)) / 2;
  const shift = at(d, high) - (tail * tail) / (half + (half < 0 ? -1 : 1) * Math.hypot(half, tail));

  let x = at(d, low) - shift;
  let bulge = at(e, low);
  for (let i = low; i < high; i += 1) {
    const length = Math.hypot(x, bulge);
    const c = length === 0 ? 1 : x / length;
    const s = length === 0 ? 0 : bulge / length;
    if (i > low) e[i - 1] = length;

    const coupling = at(e, i);
    const mixed = 2 * c * coupling + s * (at(d, i + 1) - at(d, i));
    d[i] = at(d, i) + s * mixed;
    d[i + 1] = at(d, i + 1) - s * mixed;
    x = c * mixed - coupling;
    e[i] = x;
    if (i + 1 < high) {
      const beyond = at(e, i + 1);
      bulge = s * beyond;
      e[i + 1] = c * beyond;
    }
    rotate(rows, i * width, (i + 1) * width, width, c, s);
  }
}

function rotate(rows: Float64Array, p: number, q: number, width: number, c: number, s: number): void {
  for (let j = 0; j < width; j += 1) {
    const a = at(rows, p + j);
    const b = at(rows, q + j);
    rows[p + j] = c * a + s * b;
    rows[q + j] = c * b - s * a;
  }
}

/** An element known to exist. */
function at(list: Float64Array | Uint32Array, i: number): number {
  return list[i] as number;
}
