/**
 * A Cholesky factor A = L·Lᵀ in float64 whose rows can be deleted and appended.
 *
 * L is lower triangular, `size` × `size`, row r starting at r · capacity. Sources: Golub and Van Loan, "Matrix
 * Computations", §4.2 and §6.5 (modifying matrix factorisations).
 * Cost (multiply-adds): factor n³/6; solve n²; delete row p: 2(n−p)², by Givens rotations, which only ever add and so
 * cannot break down; append n²/2, which can: the new pivot is a difference.
 */
import { InternalError } from '../base/errors.js';

export class Cholesky {
  readonly capacity: number;
  /** row-major, capacity × capacity; what is above the diagonal or outside size × size is never read */
  readonly entries: Float64Array;
  #size = 0;

  constructor(capacity: number, entries = new Float64Array(capacity * capacity), size = 0) {
    if (entries.length !== capacity * capacity || size > capacity) throw new InternalError('a factor of another size');
    this.capacity = capacity;
    this.entries = entries;
    this.#size = size;
  }

  get size(): number {
    return this.#size;
  }

  /** l_rr: the square roots of the pivots of A = (unit lower) · diag(l²) · (unit lower)ᵀ. */
  diagonal(): Float64Array {
    return Float64Array.from({ length: this.#size }, (_, r) => this.entries[r * (this.capacity + 1)] as number);
  }

  /**
   * Factors the symmetric matrix of which `at(i, j)`, j ≤ i, are the entries. False where a pivot is not above `floor`
   * (NaN included); the factor then holds the rows before it.
   */
  factor(size: number, at: (i: number, j: number) => number, floor: number): boolean {
    this.#size = 0;
    const row = new Float64Array(size);
    for (let i = 0; i < size; i++) {
      for (let j = 0; j <= i; j++) row[j] = at(i, j);
      if (!this.append(row, floor)) return false;
    }
    return true;
  }

  /** Adds a last row and column to A: `column` holds its entries, the one on the diagonal last. False as in `factor`. */
  append(column: Float64Array, floor: number): boolean {
    const { capacity, entries } = this;
    const n = this.#size;
    if (n >= capacity) throw new InternalError(`a factor of capacity ${capacity} is full`);
    const start = n * capacity;
    for (let j = 0; j < n; j++) entries[start + j] = column[j] as number;
    this.forward(entries.subarray(start, start + n));
    let pivot = column[n] as number;
    for (let j = 0; j < n; j++) pivot -= (entries[start + j] as number) ** 2;
    if (!(pivot > floor && pivot < Number.POSITIVE_INFINITY)) return false;
    entries[start + n] = Math.sqrt(pivot);
    this.#size = n + 1;
    return true;
  }

  /** Removes row and column p of A. What followed moves up by one. */
  remove(p: number): void {
    const { capacity, entries } = this;
    const n = this.#size;
    if (!(p >= 0 && p < n)) throw new InternalError(`row ${p} of a factor of ${n}`);
    // The trailing factor must take in the deleted column: L′L′ᵀ = LLᵀ + x xᵀ.
    const x = new Float64Array(n - p - 1);
    for (let i = p + 1; i < n; i++) {
      x[i - p - 1] = entries[i * capacity + p] as number;
      const from = i * capacity;
      entries.copyWithin(from - capacity, from, from + p);
      entries.copyWithin(from - capacity + p, from + p + 1, from + i + 1);
    }
    this.#size = n - 1;
    // Row by row, so that memory is read in order: each row takes the rotations of those before it, then makes its own.
    // A row's rotations wait for one another; four rows at once do not.
    const [c, s] = [new Float64Array(n), new Float64Array(n)];
    for (let i = p; i < n - 1; i += 4) {
      const rows = Math.min(4, n - 1 - i);
      if (rows === 4) rotateFour(entries, i * capacity, capacity, x.subarray(i - p, i - p + 4), c, s, p, i);
      for (let r = i; r < i + rows; r++) {
        const start = r * capacity;
        let rest = x[r - p] as number;
        for (let k = rows === 4 ? i : p; k < r; k++) {
          const a = entries[start + k] as number;
          entries[start + k] = (c[k] as number) * a + (s[k] as number) * rest;
          rest = (c[k] as number) * rest - (s[k] as number) * a;
        }
        const l = entries[start + r] as number;
        const length = Math.sqrt(l * l + rest * rest);
        entries[start + r] = length;
        c[r] = l / length;
        s[r] = rest / length;
      }
    }
  }

  /** x ← A⁻¹·x, in place. */
  solve(x: Float64Array): void {
    this.forward(x);
    const { capacity, entries } = this;
    for (let i = this.#size - 1; i >= 0; i--) {
      const start = i * capacity;
      const xi = (x[i] as number) / (entries[start + i] as number);
      x[i] = xi;
      for (let j = 0; j < i; j++) x[j] = (x[j] as number) - xi * (entries[start + j] as number);
    }
  }

  /** L⁻¹, row-major size × size, zero above the diagonal: n³/6. */
  inverseFactor(): Float64Array {
    const { capacity, entries } = this;
    const n = this.#size;
    const out = new Float64Array(n * n);
    for (let i = 0; i < n; i++) {
      const own = out.subarray(i * n, i * n + i + 1);
      const l = entries[i * capacity + i] as number;
      for (let k = 0; k < i; k++) {
        const factor = (entries[i * capacity + k] as number) / l;
        for (let j = 0; j <= k; j++) own[j] = (own[j] as number) - factor * (out[k * n + j] as number);
      }
      own[i] = 1 / l;
    }
    return out;
  }

  /** x ← L⁻¹·x for as many leading rows as x has. */
  forward(x: Float64Array): void {
    const { capacity, entries } = this;
    for (let i = 0; i < x.length; i++) {
      const start = i * capacity;
      let sum = x[i] as number;
      for (let j = 0; j < i; j++) sum -= (entries[start + j] as number) * (x[j] as number);
      x[i] = sum / (entries[start + i] as number);
    }
  }
}

/** Rotations from … to−1 of four rows from `start` on; x holds what is left of each. */
function rotateFour(
  entries: Float64Array,
  start: number,
  stride: number,
  x: Float64Array,
  c: Float64Array,
  s: Float64Array,
  from: number,
  to: number,
): void {
  let [x0, x1, x2, x3] = x as unknown as [number, number, number, number];
  const [r0, r1, r2, r3] = [start, start + stride, start + 2 * stride, start + 3 * stride];
  for (let k = from; k < to; k++) {
    const ck = c[k] as number;
    const sk = s[k] as number;
    const a0 = entries[r0 + k] as number;
    const a1 = entries[r1 + k] as number;
    const a2 = entries[r2 + k] as number;
    const a3 = entries[r3 + k] as number;
    entries[r0 + k] = ck * a0 + sk * x0;
    entries[r1 + k] = ck * a1 + sk * x1;
    entries[r2 + k] = ck * a2 + sk * x2;
    entries[r3 + k] = ck * a3 + sk * x3;
    x0 = ck * x0 - sk * a0;
    x1 = ck * x1 - sk * a1;
    x2 = ck * x2 - sk * a2;
    x3 = ck * x3 - sk * a3;
  }
  x[0] = x0;
  x[1] = x1;
  x[2] = x2;
  x[3] = x3;
}
