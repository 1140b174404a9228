/**
 * The M-FAC optimizer (Frantar, Kurtic and Alistarh 2021, in the released implementation's order), on device blocks:
 *
 *   g←∇L+λ_wθ;  insert g into the window;  s=F⁻¹g (g's own row included, push-through);  v←μv+(1−μ)s;  θ←θ−ηv
 *
 * Two passes over the window a step: 4dm flops, 2dm elements read. Memory (m + 2, with momentum m + 3)·d elements.
 */
import { ComputationError, ShapeError } from '../base/errors.js';
import type { Block, FloatArray } from '../device/block.js';
import { GradientWindow, type WindowOptions, type WindowState } from '../mfac/window.js';
import { fraction, nonNegative, positive } from './optimizer.js';
import { constant, type Schedule } from './schedule.js';

/** Options of `MfacOptimizer`. */
export interface MfacOptimizerOptions
  extends Pick<WindowOptions, 'capacity' | 'damping' | 'divisor' | 'storage' | 'sparsity' | 'blockSize'> {
  /** η. Default 1e-3 */
  readonly learningRate?: number | undefined;
  readonly schedule?: Schedule | undefined;
  /** μ. Default 0 */
  readonly momentum?: number | undefined;
  /** λ_w, added to the gradient before it enters the window. Default 0 */
  readonly weightDecay?: number | undefined;
}

/** Plain data; with the same options, restoring it continues in the same bits. */
export interface MfacState {
  readonly step: number;
  /** v; absent without momentum */
  readonly momentum?: FloatArray | undefined;
  readonly window: WindowState;
}

/** M-FAC on the device: θ←θ−ηF⁻¹g, F of the last m gradients, momentum on the preconditioned steps. */
export class MfacOptimizer {
  readonly name = 'mfac';
  readonly window: GradientWindow;
  readonly #rate: number;
  readonly #schedule: Schedule;
  readonly #momentum: number;
  readonly #decay: number;
  readonly #gradient: Block;
  readonly #direction: Block;
  readonly #velocity: Block | null;
  #step = 0;

  /** For parameters (one vector) like these, in the same dtype and on the same device. */
  constructor(parameters: Block, options: MfacOptimizerOptions = {}, saved?: MfacState) {
    const { learningRate = 1e-3, schedule = constant(), momentum = 0, weightDecay = 0 } = options;
    positive('mfac', { learningRate });
    fraction('mfac', { momentum });
    nonNegative('mfac', { weightDecay });
    const { device, dtype, dimension } = parameters;
    if (parameters.count !== 1) throw new ShapeError(`${parameters.count} vectors of parameters where one is trained`);
    if (saved && (saved.window.dimension !== dimension || saved.window.dtype !== dtype))
      throw new ShapeError(`the saved state is one for ${saved.window.dimension} parameters in ${saved.window.dtype}`);
    if (saved && (saved.momentum !== undefined) !== momentum > 0)
      throw new ShapeError('the saved state and the options differ about momentum');
    this.#rate = learningRate;
    this.#schedule = schedule;
    this.#momentum = momentum;
    this.#decay = weightDecay;
    this.window = saved
      ? GradientWindow.restore(saved.window, device)
      : new GradientWindow({ ...options, dimension, dtype, device });
    this.#gradient = device.block(dtype, dimension, 1);
    this.#direction = device.block(dtype, dimension, 1);
    this.#velocity = momentum > 0 ? device.block(dtype, dimension, 1) : null;
    if (saved?.momentum) this.#velocity?.write(saved.momentum);
    else this.#velocity?.zero();
    this.#step = saved?.step ?? 0;
  }

  /** Updates done. */
  get step(): number {
    return this.#step;
  }

  /**
   * One step: `parameters` are changed in place, `gradient` is left as it is. A gradient that is not finite is refused
   * with ComputationError, naming the step; nothing has changed then.
   */
  async update(gradient: Block, parameters: Block): Promise<void> {
    let inserted = gradient;
    if (this.#decay > 0) {
      this.#gradient.copyFrom(gradient);
      this.#gradient.addScaled(this.#decay, parameters);
      inserted = this.#gradient;
    }
    try {
      await this.window.precondition(inserted, this.#direction);
    } catch (error) {
      if (!(error instanceof ComputationError)) throw error;
      throw new ComputationError(`step ${this.#step + 1} of mfac: ${error.message}`, { cause: error });
    }
    this.#velocity?.addScaled(1 - this.#momentum, this.#direction, this.#momentum);
    parameters.addScaled(-this.#rate * this.#schedule(this.#step), this.#velocity ?? this.#direction);
    this.#step += 1;
  }

  /** Plain data, from which a new optimizer continues in the same bits. */
  async save(): Promise<MfacState> {
    const momentum = await this.#velocity?.read();
    return { step: this.#step, ...(momentum ? { momentum } : {}), window: await this.window.save() };
  }

  /** Frees the window and the work vectors. */
  dispose(): void {
    this.window.dispose();
    for (const block of [this.#gradient, this.#direction, this.#velocity]) block?.dispose();
  }
  /** `dispose`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose();
  }
}
