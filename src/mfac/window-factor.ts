/**
 * The host's side of a gradient window: the Gram matrix GGᵀ (slot by slot, float64) and the Cholesky factor of
 * A = nλI + GGᵀ, whose rows are in order of arrival, because rows are appended at the end. No device, no gradients.
 */
import { InputError } from '../base/errors.js';
import { Cholesky } from './cholesky.js';
import { type Damping, dampingOf, factorDamped, pivotFloor } from './damping.js';

export interface WindowFactorOptions {
  readonly capacity: number;
  readonly dimension: number;
  readonly damping: Damping;
  readonly divisor: 'capacity' | 'filled';
}

/** Plain data; `gram` and `entries` are capacity × capacity. */
export interface WindowFactorState {
  readonly count: number;
  readonly gram: Float64Array;
  readonly entries: Float64Array;
  /** slots in the order of the factor's rows; empty where the factor is to be built anew */
  readonly order: readonly number[];
  /** replacements since the factor was built */
  readonly age: number;
  readonly jitter: number;
  readonly lambda: number;
}

export class WindowFactor {
  readonly #options: WindowFactorOptions;
  readonly #gram: Float64Array;
  readonly #factor: Cholesky;
  #count: number;
  #order: number[];
  #age: number;
  #jitter: number;
  #lambda: number;
  /** factor rows ↔ slots, for solves */
  readonly #scratch: Float64Array;

  constructor(options: WindowFactorOptions, saved?: WindowFactorState) {
    const { capacity, damping } = options;
    this.#options = options;
    if (saved && (saved.gram.length !== capacity ** 2 || saved.entries.length !== capacity ** 2))
      throw new InputError(`the saved factor is not one of a window of ${capacity}`);
    this.#gram = saved?.gram.slice() ?? new Float64Array(capacity ** 2);
    this.#factor = new Cholesky(capacity, saved?.entries.slice(), saved?.order.length);
    this.#count = saved?.count ?? 0;
    this.#order = [...(saved?.order ?? [])];
    this.#age = saved?.age ?? 0;
    this.#jitter = saved?.jitter ?? 0;
    this.#lambda = saved?.lambda ?? (typeof damping === 'number' ? damping : damping.relative);
    this.#scratch = new Float64Array(capacity);
  }

  get count(): number {
    return this.#count;
  }
  get divisor(): number {
    return this.#options.divisor === 'capacity' ? this.#options.capacity : Math.max(1, this.#count);
  }
  get lambda(): number {
    return this.#lambda;
  }
  get jitter(): number {
    this.#ensure();
    return this.#jitter;
  }

  /** Slot `slot` holds a new gradient with these inner products, slot by slot, itself included. */
  replace(slot: number, products: Float64Array): void {
    const { capacity, dimension, damping } = this.#options;
    const shift = this.divisor * this.#lambda;
    this.#count = Math.max(this.#count, slot + 1);
    products.forEach((value, other) => {
      this.#gram[slot * capacity + other] = value;
      this.#gram[other * capacity + slot] = value;
    });
    let squares = 0;
    for (let i = 0; i < this.#count; i++) squares += this.#gram[i * (capacity + 1)] as number;
    // While every gradient so far is zero, relative damping has no scale: F = λI with whatever λ was before.
    if (squares > 0 || typeof damping === 'number') this.#lambda = dampingOf(damping, squares, this.divisor, dimension);
    const moved = shift !== this.divisor * this.#lambda;
    if (moved || this.#jitter > 0 || this.#age >= capacity || !this.#exchange(slot)) this.#order = [];
  }

  /** x ← A⁻¹·x, x ordered by slots. */
  solve(x: Float64Array): void {
    this.#ensure();
    const y = this.#scratch.subarray(0, this.#count);
    this.#order.forEach((slot, row) => {
      y[row] = x[slot] as number;
    });
    this.#factor.solve(y);
    this.#order.forEach((slot, row) => {
      x[slot] = y[row] as number;
    });
  }

  save(): WindowFactorState {
    return {
      count: this.#count,
      gram: this.#gram.slice(),
      entries: this.#factor.entries.slice(),
      order: [...this.#order],
      age: this.#age,
      jitter: this.#jitter,
      lambda: this.#lambda,
    };
  }

  /** The factor without the slot's old row and with its new one: O(m²). False where it must be built anew. */
  #exchange(slot: number): boolean {
    const { capacity } = this.#options;
    const old = this.#order.indexOf(slot);
    if (this.#order.length !== (old < 0 ? this.#count - 1 : this.#count)) return false;
    if (old >= 0) {
      this.#factor.remove(old);
      this.#order.splice(old, 1);
    }
    const shift = this.divisor * this.#lambda;
    const column = new Float64Array(this.#order.length + 1);
    this.#order.forEach((other, row) => {
      column[row] = this.#gram[slot * capacity + other] as number;
    });
    column[this.#order.length] = (this.#gram[slot * (capacity + 1)] as number) + shift;
    this.#order.push(slot);
    this.#age += 1;
    return this.#factor.append(column, pivotFloor(shift));
  }

  #ensure(): void {
    if (this.#order.length === this.#count) return;
    const { capacity } = this.#options;
    const shift = this.divisor * this.#lambda;
    const at = (i: number, j: number): number => this.#gram[i * capacity + j] as number;
    this.#jitter = factorDamped(this.#factor, this.#count, at, shift);
    this.#order = Array.from({ length: this.#count }, (_, slot) => slot);
    this.#age = 0;
  }
}
