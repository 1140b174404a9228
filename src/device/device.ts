/**
 * A device: an ordered queue of work with its own memory. Calls put work on the queue and return; only
 * reading waits. `Device` adds to the native boundary what every caller needs: typed errors, blocks of
 * vectors and a bound on how far the queue runs ahead.
 */
import { fromNative, InputError } from '../base/errors.js';
import type { FloatDType } from '../program/format.js';
import { Block } from './block.js';
import type { NativeBuffer, NativeDevice, NativeToken } from './native.js';

export interface DeviceDescription {
  readonly kind: 'cpu' | 'cuda';
  /** threads that compute; 0 where the question makes no sense */
  readonly threads: number;
  /** for people, such as "cpu (avx512, 16 threads, oneDNN 2.6.0)" */
  readonly name: string;
}

/** More waiting jobs than this and `throttle` waits: enough to keep the device busy, too few to pile up memory. */
const queueLimit = 64;

/** An ordered queue of work with its own memory; made by `openDevice`. */
export class Device {
  /** @internal */
  readonly native: NativeDevice;
  readonly kind: 'cpu' | 'cuda';
  readonly threads: number;
  readonly name: string;
  /** One per signal: a listener for each of a long computation's many products would pile up on its signal. */
  readonly #tokens = new WeakMap<AbortSignal, NativeToken>();

  /** @internal */
  constructor(native: NativeDevice, description: DeviceDescription) {
    this.native = native;
    this.kind = description.kind;
    this.threads = description.threads;
    this.name = description.name;
  }

  /** `count` vectors of `dimension` elements, uninitialised. Throws OutOfMemoryError. */
  block(dtype: FloatDType, dimension: number, count: number): Block {
    if (!Number.isSafeInteger(dimension) || dimension < 1 || !Number.isSafeInteger(count) || count < 1) {
      throw new InputError(`a block needs at least one vector of at least one element, not ${count} × ${dimension}`);
    }
    return Block.allocate(this, dtype, dimension, count);
  }

  /** Uninitialised memory. Throws OutOfMemoryError. @internal */
  allocate(bytes: number): NativeBuffer {
    return this.guard(() => this.native.allocate(bytes));
  }

  /** Waits until the queue is short again. Call it once per step of any loop that does not read results. */
  async throttle(limit = queueLimit): Promise<void> {
    if (this.native.pending() > limit) await this.native.drained(limit);
  }

  /** Waits until all work so far is done. Failures stay in the results they belong to. */
  async finish(): Promise<void> {
    await this.native.drained(0);
  }

  /**
   * Runs `work` with a token that `signal` cancels: what is queued with that token then stops between two
   * instructions, and reading its results rejects with InterruptedError.
   *
   * @internal
   */
  withToken<T>(signal: AbortSignal | undefined, work: (token: NativeToken | undefined) => T): T {
    if (signal === undefined) return work(undefined);
    let token = this.#tokens.get(signal);
    if (token === undefined) {
      const made = this.guard(() => this.native.token());
      if (signal.aborted) made.cancel();
      else signal.addEventListener('abort', () => made.cancel(), { once: true });
      this.#tokens.set(signal, made);
      token = made;
    }
    return work(token);
  }

  /** A native call whose errors become ours. @internal */
  guard<T>(call: () => T): T {
    try {
      return call();
    } catch (error) {
      throw fromNative(error);
    }
  }

  /** A native promise whose errors become ours. @internal */
  async guardAsync<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      throw fromNative(error);
    }
  }

  /** Bytes held by live buffers. */
  get allocatedBytes(): number {
    return this.native.allocatedBytes();
  }

  /** Stops the queue and frees the device. Blocks on it cannot be used afterwards. */
  dispose(): void {
    this.native.dispose();
  }

  /** `dispose`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.finish();
    this.dispose();
  }
}
