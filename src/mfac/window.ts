/**
 * M-FAC on a sliding window: F = λI + (1/n) Σ gᵢgᵢᵀ over the last m gradients (Frantar, Kurtic and Alistarh 2021, the
 * dynamic algorithm), which are kept on a device (m × d; window-storage.ts), the Gram matrix and its damped factor in
 * float64 on the host.
 *
 * Inserting a gradient: its inner products with the window (one pass, 2dm flops), then deletion and append of a row of
 * the Cholesky factor (O(m²)) instead of the paper's O(m³) recursion; the order of the slots does not matter. The factor
 * is built anew (m³/6) once in m insertions, where rounding breaks an append, and at every insertion that changes λ or n
 * (relative damping; divisor 'filled' while the window fills).
 * F⁻¹ of a stored gradient is push-through, one more pass (2dm flops): two passes over the window per step.
 *
 * Insertions take effect in the order of the calls, awaited or not; each waits once, for the m inner products.
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
import type { SavedGradients, WindowStorage } from './gradients-store.js';
import { FisherOperator, type FisherParts, type FisherSource, storedProduct } from './products.js';
import { WindowFactor, type WindowFactorState } from './window-factor.js';
import { bfloat16Storage, denseStorage, type Layout, sparseStorage } from './window-storage.js';

/** Options of `GradientWindow`. */
export interface WindowOptions {
  /** m, at least 1. Default 1024 */
  readonly capacity?: number | undefined;
  /** d */
  readonly dimension: number;
  /** λ, or a multiple of tr/d. Default 1e-5, absolute */
  readonly damping?: Damping | undefined;
  /** n: m, or the number of gradients there. Default 'capacity' */
  readonly divisor?: 'capacity' | 'filled' | undefined;
  /** of the vectors, and of the stored gradients unless `storage` says otherwise. Default float32 */
  readonly dtype?: FloatDType | undefined;
  /** 'bfloat16' (with float32 vectors) halves memory and traffic and rounds gradients to 8 bits. Default: dtype */
  readonly storage?: 'bfloat16' | undefined;
  /** share of each block's elements that is not stored but fed back into later gradients, such as 0.99. Default: dense */
  readonly sparsity?: number | undefined;
  /** elements of a block for `sparsity`, at most 65536. Default 4096 */
  readonly blockSize?: number | undefined;
  readonly device?: Device | undefined;
}

/** All of a window: plain data, from which `GradientWindow.restore` continues in the same bits. */
export interface WindowState extends SavedGradients {
  readonly version: 1;
  readonly capacity: number;
  readonly dimension: number;
  readonly damping: Damping;
  readonly divisor: 'capacity' | 'filled';
  readonly dtype: FloatDType;
  readonly storage?: 'bfloat16' | undefined;
  readonly sparsity?: number | undefined;
  readonly blockSize?: number | undefined;
  /** the slot that the next insertion takes */
  readonly next: number;
  readonly factor: WindowFactorState;
}

/**
 * F = λI + (1/n) Σ gᵢgᵢᵀ over the last m gradients, each insertion O(dm + m²); `inverse` and `forward` are its
 * operators.
 */
export class GradientWindow implements FisherSource {
  readonly capacity: number;
  readonly dimension: number;
  readonly scaling: string;
  readonly template: { readonly device: Device; readonly dtype: FloatDType };
  readonly #options: Pick<WindowState, 'damping' | 'divisor' | 'dtype' | 'storage' | 'sparsity' | 'blockSize'>;
  readonly #storage: WindowStorage;
  readonly #factor: WindowFactor;
  /** rows for gradients on their way into the window */
  readonly #spare: Block[] = [];
  #next = 0;
  #inserted = 0;
  /** the last insertion, whatever became of it */
  #last: Promise<unknown> = Promise.resolve();

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
    const { storage, sparsity, blockSize } = options;
    this.#options = { damping, divisor, dtype, storage, sparsity, blockSize };
    this.#factor = new WindowFactor({ capacity, dimension, damping, divisor }, saved);
    const device = options.device ?? sharedDevice();
    this.template = { device, dtype };
    this.#storage = openStorage({ device, dtype, dimension, capacity }, options);
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
  get fingerprint(): string {
    return `window ${this.#inserted}|${this.scaling}`;
  }

  /**
   * Puts a gradient (one vector, as it is now) in place of the oldest; resolves to its slot. One that is not finite is
   * refused with ComputationError and leaves the window as it was.
   */
  insert(gradient: Block | FloatArray): Promise<number> {
    return this.#inTurn(gradient, (row) => this.#insert(row));
  }

  /** Puts a gradient into a slot of choice: one that is filled, or the first empty one. */
  replace(slot: number, gradient: Block | FloatArray): Promise<void> {
    return this.#inTurn(gradient, (row) => this.#replace(slot, row));
  }

  /**
   * Inserts a gradient and queues writing F⁻¹ of it (F with it in the window) to `output`: the optimizer's step, two
   * passes. Where gradients are sparse it is F⁻¹ of the row that was stored. Await it before using `output`.
   */
  precondition(gradient: Block | FloatArray, output: Block): Promise<void> {
    return this.#inTurn(gradient, async (row) => {
      const slot = await this.#insert(row);
      const coefficients = new Float64Array(this.count);
      coefficients[slot] = 1;
      this.inverseOfStored(coefficients, output);
    });
  }

  /** output (k × d) ← F⁻¹ of combinations (k × count, row-major) of the stored gradients, in the order of their slots. */
  inverseOfStored(coefficients: Float64Array, output: Block): void {
    if (coefficients.length !== output.count * this.count)
      throw new ShapeError(`${coefficients.length} coefficients for ${output.count} combinations of ${this.count}`);
    const parts = this.parts();
    try {
      void storedProduct(parts, coefficients, output); // a window's storages only queue
    } finally {
      parts.gradients?.dispose();
    }
  }

  /** @internal */
  parts(): FisherParts {
    const { lambda, divisor } = this.#factor;
    const gradients = this.count === 0 ? null : this.#storage.rows(this.count);
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
  /** F, likewise. */
  forward(): FisherOperator {
    return new FisherOperator(this, 'forward');
  }

  /** Waits for the insertions so far. */
  async save(): Promise<WindowState> {
    await this.#last;
    const { capacity, dimension } = this;
    const factor = this.#factor.save();
    const next = this.#next;
    const stored = await this.#storage.save(factor.count);
    return { version: 1, capacity, dimension, ...this.#options, next, ...stored, factor };
  }

  /** The window that was saved. Throws InputError for data that are none. */
  static restore(state: WindowState, device?: Device): GradientWindow {
    if (state.version !== 1 || !(state.next < state.capacity))
      throw new InputError('what was given is not the saved state of a gradient window');
    const window = new GradientWindow({ ...state, device }, state.factor);
    window.#next = state.next;
    try {
      window.#storage.restore(state, state.factor.count);
    } catch (error) {
      window.dispose();
      throw error;
    }
    return window;
  }

  /** Frees the stored gradients. */
  dispose(): void {
    this.#storage.dispose();
    for (const row of this.#spare) row.dispose();
  }
  /** `dispose`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose();
  }

  /** `work` on a copy of the gradient as it is now, after all insertions before. */
  async #inTurn<T>(gradient: Block | FloatArray, work: (row: Block) => Promise<T>): Promise<T> {
    const { device, dtype } = this.template;
    if (gradient instanceof Block && gradient.count !== 1)
      throw new ShapeError(`${gradient.count} gradients where one is inserted at a time`);
    const row = this.#spare.pop() ?? device.block(dtype, this.dimension, 1);
    try {
      if (gradient instanceof Block) row.copyFrom(gradient);
      else row.write(gradient);
      const done = this.#last.then(() => work(row));
      this.#last = done.catch(() => undefined);
      return await done;
    } finally {
      this.#spare.push(row);
    }
  }

  async #insert(row: Block): Promise<number> {
    const slot = this.#next;
    await this.#replace(slot, row);
    this.#next = (slot + 1) % this.capacity;
    return slot;
  }

  async #replace(slot: number, row: Block): Promise<void> {
    const { count } = this;
    if (!(Number.isInteger(slot) && slot >= 0 && slot < this.capacity && slot <= count))
      throw new InputError(`slot ${slot} of a window with ${count} of ${this.capacity} filled`);
    const products = await this.#storage.stage(row, count);
    if (!products.every(Number.isFinite)) throw notFinite();
    products[slot] = products[count] as number;
    this.#storage.commit(slot);
    this.#factor.replace(slot, products.subarray(0, Math.max(count, slot + 1)));
    this.#inserted += 1;
  }
}

function openStorage(layout: Layout, { storage, sparsity, blockSize = 4096 }: WindowOptions): WindowStorage {
  if (storage !== undefined && storage !== 'bfloat16')
    throw new InputError(`a window stores gradients in its dtype or as 'bfloat16', not '${storage}'`);
  if (sparsity === undefined) return storage ? bfloat16Storage(layout) : denseStorage(layout);
  if (storage) throw new InputError('sparse windows keep their values in the dtype; leave out storage or sparsity');
  return sparseStorage({ ...layout, sparsity, blockSize });
}
