/**
 * M-FAC on a sliding window: F = λI + (1/n) Σ gᵢgᵢᵀ over the last m gradients (Frantar, Kurtic and Alistarh 2021, the
 * dynamic algorithm), which are kept on a device (m × d), the Gram matrix and its damped factor in float64 on the host.
 *
 * Inserting a gradient: its inner products with the window (one pass, 2dm flops), then deletion and append of a row of
 * the Cholesky factor (O(m²)) instead of the paper's O(m³) recursion; the order of the slots does not matter. The factor
 * is built anew (m³/6) once in m insertions, where rounding breaks an append, and at every insertion that changes λ or n
 * (relative damping; divisor 'filled' while the window fills).
 * F⁻¹ of a stored gradient is push-through, one more pass (2dm flops): two passes over the window per step.
 *
 * n is m by default even while fewer gradients are there, so that damping relative to them is λm/t at first.
 */
import { InputError, ShapeError } from '../base/errors.js';
import { Block, type FloatArray } from '../device/block.js';
import type { Device } from '../device/device.js';
import { sharedDevice } from '../device/open.js';
import type { FloatDType } from '../program/format.js';
import type { Damping } from './damping.js';
import { checkDamping, notFinite } from './damping.js';
import { FisherOperator, type FisherParts, type FisherSource, storedProduct } from './products.js';
import { WindowFactor, type WindowFactorState } from './window-factor.js';

export interface WindowOptions {
  /** m, at least 1. Default 1024 */
  readonly capacity?: number | undefined;
  /** d */
  readonly dimension: number;
  /** λ, or a multiple of tr/d. Default 1e-5, absolute */
  readonly damping?: Damping | undefined;
  /** n: m, or the number of gradients there. Default 'capacity' */
  readonly divisor?: 'capacity' | 'filled' | undefined;
  /** of the stored gradients. Default float32 */
  readonly dtype?: FloatDType | undefined;
  readonly device?: Device | undefined;
}

/** All of a window: plain data, from which `GradientWindow.restore` continues in the same bits. */
export interface WindowState {
  readonly version: 1;
  readonly capacity: number;
  readonly dimension: number;
  readonly damping: Damping;
  readonly divisor: 'capacity' | 'filled';
  readonly dtype: FloatDType;
  /** the slot that the next insertion takes */
  readonly next: number;
  /** count × d, slot after slot */
  readonly gradients: FloatArray;
  readonly factor: WindowFactorState;
}

export class GradientWindow implements FisherSource {
  readonly capacity: number;
  readonly dimension: number;
  readonly scaling: string;
  readonly #options: Pick<Required<WindowState>, 'damping' | 'divisor' | 'dtype'>;
  readonly #rows: Block;
  readonly #factor: WindowFactor;
  #next = 0;
  #inserted = 0;
  #busy = false;

  /** Throws InputError for sizes or a damping that make no sense, OutOfMemoryError where m × d does not fit. */
  constructor(options: WindowOptions, saved?: WindowFactorState) {
    const { capacity = 1024, dimension, damping = 1e-5, divisor = 'capacity', dtype = 'float32' } = options;
    checkDamping(damping);
    for (const size of [capacity, dimension])
      if (!Number.isSafeInteger(size) || size < 1)
        throw new InputError(`a window has at least one gradient of one element, not ${capacity} × ${dimension}`);
    this.capacity = capacity;
    this.dimension = dimension;
    this.scaling = `damping ${typeof damping === 'number' ? damping : `${damping.relative} of the mean eigenvalue`}, window of ${capacity} gradients, divisor ${divisor}`;
    this.#options = { damping, divisor, dtype };
    this.#factor = new WindowFactor({ capacity, dimension, damping, divisor }, saved);
    this.#rows = (options.device ?? sharedDevice()).block(dtype, dimension, capacity);
  }

  /** Gradients there: min(m, insertions). */
  get count(): number {
    return this.#factor.count;
  }
  /** λ as it stands. */
  get lambda(): number {
    return this.#factor.lambda;
  }
  /** What rounding forced onto the factor's diagonal; 0 almost always. */
  get jitter(): number {
    return this.#factor.jitter;
  }
  get template(): Block {
    return this.#rows;
  }
  get fingerprint(): string {
    return `window ${this.#inserted}|${this.scaling}`;
  }

  /**
   * Puts a gradient (one vector) in place of the oldest; resolves to its slot. One that is not finite is refused with
   * ComputationError and leaves the window as it was. Await each insertion before the next.
   */
  async insert(gradient: Block | FloatArray): Promise<number> {
    const slot = this.#next;
    await this.replace(slot, gradient);
    this.#next = (slot + 1) % this.capacity;
    return slot;
  }

  /** Puts a gradient into a slot of choice: one that is filled, or the first empty one. */
  async replace(slot: number, gradient: Block | FloatArray): Promise<void> {
    if (!(Number.isInteger(slot) && slot >= 0 && slot < this.capacity && slot <= this.count))
      throw new InputError(`slot ${slot} of a window with ${this.count} of ${this.capacity} filled`);
    if (this.#busy) throw new InputError('a gradient was inserted before the last insertion was done; await each');
    const row = this.#upload(gradient);
    this.#busy = true;
    try {
      const products = await this.#products(row, slot);
      if (!products.every(Number.isFinite)) throw notFinite();
      const target = this.#rows.rows(slot, slot + 1);
      target.copyFrom(row);
      target.dispose();
      this.#factor.replace(slot, products);
      this.#inserted += 1;
    } finally {
      row.dispose();
      this.#busy = false;
    }
  }

  /** Inserts a gradient and writes F⁻¹ of it (F with it in the window) to `output`: the optimizer's step, two passes. */
  async precondition(gradient: Block | FloatArray, output: Block): Promise<void> {
    const slot = await this.insert(gradient);
    const coefficients = new Float64Array(this.count);
    coefficients[slot] = 1;
    this.inverseOfStored(coefficients, output);
  }

  /** output (k × d) ← F⁻¹ of combinations (k × count, row-major) of the stored gradients, in the order of their slots. */
  inverseOfStored(coefficients: Float64Array, output: Block): void {
    if (coefficients.length !== output.count * this.count)
      throw new ShapeError(`${coefficients.length} coefficients for ${output.count} combinations of ${this.count}`);
    const parts = this.parts();
    try {
      storedProduct(parts, coefficients, output);
    } finally {
      parts.gradients?.dispose();
    }
  }

  parts(): FisherParts {
    const { lambda, divisor } = this.#factor;
    const gradients = this.count === 0 ? null : this.#rows.rows(0, this.count);
    const state = this.#inserted;
    const solve = (x: Float64Array): void => {
      if (this.#inserted !== state) throw new InputError('a gradient was inserted during a product; await the product');
      this.#factor.solve(x);
    };
    return { gradients, lambda, divisor, solve };
  }

  /** F⁻¹, or F, of the window as it is at each product. The window stays its owner's. */
  inverse(): FisherOperator {
    return new FisherOperator(this, 'inverse');
  }
  forward(): FisherOperator {
    return new FisherOperator(this, 'forward');
  }

  async save(): Promise<WindowState> {
    const { capacity, dimension } = this;
    const filled = this.count === 0 ? null : this.#rows.rows(0, this.count);
    try {
      const gradients = (await filled?.read()) ?? new Float64Array(0);
      return {
        version: 1,
        capacity,
        dimension,
        ...this.#options,
        next: this.#next,
        gradients,
        factor: this.#factor.save(),
      };
    } finally {
      filled?.dispose();
    }
  }

  /** The window that was saved. Throws InputError for data that are none. */
  static restore(state: WindowState, device?: Device): GradientWindow {
    const { count } = state.factor;
    if (state.version !== 1 || state.gradients.length !== count * state.dimension || !(state.next < state.capacity))
      throw new InputError('what was given is not the saved state of a gradient window');
    const window = new GradientWindow({ ...state, device }, state.factor);
    window.#next = state.next;
    if (count > 0) {
      const filled = window.#rows.rows(0, count);
      filled.write(state.gradients);
      filled.dispose();
    }
    return window;
  }

  dispose(): void {
    this.#rows.dispose();
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose();
  }

  #upload(gradient: Block | FloatArray): Block {
    if (gradient instanceof Block) {
      if (gradient.count !== 1) throw new ShapeError(`${gradient.count} gradients where one is inserted at a time`);
      return gradient.rows(0, 1);
    }
    const row = this.#rows.device.block(this.#options.dtype, this.dimension, 1);
    try {
      row.write(gradient);
    } catch (error) {
      row.dispose();
      throw error;
    }
    return row;
  }

  /** Inner products of `row`, to be in `slot`, with every slot up to the last filled, itself included. */
  async #products(row: Block, slot: number): Promise<Float64Array> {
    const size = Math.max(this.count, slot + 1);
    const out = new Float64Array(size);
    const own = row.dots(row);
    if (this.count > 0) {
      const filled = this.#rows.rows(0, this.count);
      try {
        out.set(await row.gram(filled));
      } finally {
        filled.dispose();
      }
    }
    out[slot] = (await own)[0] as number;
    return out;
  }
}
