/**
 * The native device's vector calls in plain TypeScript: the reference the native ones are compared with,
 * and what solver tests run on where the native core is not built. An ordered queue, like the real one:
 * work runs later, in order; failures poison what they were to write. Programs are not supported.
 */
import { Device } from '../../src/device/device.js';
import type { Distribution, NativeBuffer, NativeDevice, NativeToken, Rows } from '../../src/device/native.js';
import type { FloatDType } from '../../src/program/format.js';

class HostBuffer implements NativeBuffer {
  readonly bytes: Uint8Array;
  poison: Error | undefined;
  disposed = false;
  readonly #freed: (bytes: number) => void;

  constructor(size: number, freed: (bytes: number) => void) {
    this.bytes = new Uint8Array(size).fill(0xff); // NaN: reading what was never written shows
    this.#freed = freed;
  }

  get byteLength(): number {
    return this.bytes.byteLength;
  }

  dispose(): void {
    if (!this.disposed) this.#freed(this.byteLength);
    this.disposed = true;
  }
}

type Floats = Float32Array | Float64Array;

/** Row r as a window of the buffer. */
function row(dtype: FloatDType, length: number, rows: Rows, r: number): Floats {
  const { bytes } = rows.buffer as HostBuffer;
  const size = dtype === 'float32' ? 4 : 8;
  const start = (rows.offset + r * rows.stride) * size;
  if (r >= rows.rows || start + length * size > bytes.byteLength)
    throw coded('INVALID_ARGUMENT', 'row outside its buffer');
  return dtype === 'float32'
    ? new Float32Array(bytes.buffer, start, length)
    : new Float64Array(bytes.buffer, start, length);
}

const coded = (code: string, message: string): Error => Object.assign(new Error(message), { code });

function dot(a: Floats, b: Floats): number {
  let sum = 0;
  for (let i = 0; i < a.length; i += 1) sum += (a[i] as number) * (b[i] as number);
  return sum;
}

export class HostNativeDevice implements NativeDevice {
  /** largest single allocation; lower it to see OUT_OF_MEMORY */
  limit = 2 ** 33;
  #queue: (() => void)[] = [];
  #running = false;
  #waiters: { limit: number; resolve: () => void }[] = [];
  #bytes = 0;

  allocate(bytes: number): NativeBuffer {
    if (bytes > this.limit) throw coded('OUT_OF_MEMORY', `out of memory: ${bytes} bytes asked for`);
    this.#bytes += bytes;
    return new HostBuffer(bytes, (n) => {
      this.#bytes -= n;
    });
  }

  write(buffer: NativeBuffer, byteOffset: number, source: ArrayBufferView): void {
    const copy = new Uint8Array(source.buffer, source.byteOffset, source.byteLength).slice();
    this.#put([], [buffer], () => (buffer as HostBuffer).bytes.set(copy, byteOffset));
  }

  read(buffer: NativeBuffer, byteOffset: number, target: ArrayBufferView): Promise<void> {
    return this.#ask([buffer], () => {
      const view = new Uint8Array(target.buffer, target.byteOffset, target.byteLength);
      view.set((buffer as HostBuffer).bytes.subarray(byteOffset, byteOffset + target.byteLength));
    });
  }

  load(): never {
    throw coded('INVALID_ARGUMENT', 'the reference device runs no programs');
  }

  run(): never {
    throw coded('INVALID_ARGUMENT', 'the reference device runs no programs');
  }

  profile(): never {
    throw coded('INVALID_ARGUMENT', 'the reference device runs no programs');
  }

  gram(dtype: FloatDType, length: number, a: Rows, b: Rows): Promise<Float64Array> {
    return this.#ask([a.buffer, b.buffer], () => {
      const out = new Float64Array(a.rows * b.rows);
      for (let i = 0; i < a.rows; i += 1) {
        for (let j = 0; j < b.rows; j += 1)
          out[i * b.rows + j] = dot(row(dtype, length, a, i), row(dtype, length, b, j));
      }
      return out;
    });
  }

  combine(dtype: FloatDType, length: number, c: Float64Array, a: Rows, beta: number, b: Rows): void {
    const coefficients = c.slice();
    if (coefficients.length !== a.rows * b.rows) throw coded('INVALID_ARGUMENT', 'combine: coefficients do not fit');
    this.#put(a.rows === 0 ? [] : [a.buffer], [b.buffer], () => {
      for (let i = 0; i < b.rows; i += 1) {
        const target = row(dtype, length, b, i);
        const sources = Array.from({ length: a.rows }, (_, j) => row(dtype, length, a, j));
        for (let e = 0; e < length; e += 1) {
          let sum = beta === 0 ? 0 : beta * (target[e] as number);
          for (let j = 0; j < a.rows; j += 1) {
            const factor = coefficients[i * a.rows + j] as number;
            if (factor !== 0) sum += factor * (sources[j]?.[e] as number);
          }
          target[e] = sum;
        }
      }
    });
  }

  orthogonalize(dtype: FloatDType, length: number, basis: Rows, w: Rows): Promise<Float64Array> {
    return this.#ask([basis.buffer, w.buffer], () => {
      const target = row(dtype, length, w, 0);
      const m = basis.rows;
      const out = new Float64Array(m + 2);
      out[m] = Math.sqrt(dot(target, target));
      for (let pass = 0; pass < 2; pass += 1) {
        const c = Float64Array.from({ length: m }, (_, j) => dot(row(dtype, length, basis, j), target));
        const sum = Float64Array.from(target);
        for (let j = 0; j < m; j += 1) {
          const v = row(dtype, length, basis, j);
          const factor = c[j] as number;
          for (let e = 0; e < length; e += 1) sum[e] = (sum[e] as number) - factor * (v[e] as number);
          out[j] = (out[j] as number) + factor;
        }
        target.set(sum);
      }
      out[m + 1] = Math.sqrt(dot(target, target));
      return out;
    });
  }

  // Rows other than plain ones are tested on the real device.
  roundBFloat16(): never {
    throw coded('INVALID_ARGUMENT', 'the reference device has no bfloat16');
  }
  sparseSelect(): never {
    throw coded('INVALID_ARGUMENT', 'the reference device has no sparse rows');
  }
  sparseCopy(): never {
    return this.sparseSelect();
  }
  sparseGram(): never {
    return this.sparseSelect();
  }
  sparseCombine(): never {
    return this.sparseSelect();
  }

  invert(): never {
    throw coded('INVALID_ARGUMENT', 'the reference device has no layers');
  }
  eliminate(): never {
    return this.invert();
  }
  sweep(): never {
    return this.invert();
  }

  random(
    dtype: FloatDType,
    length: number,
    target: Rows,
    distribution: Distribution,
    seed: number,
    stream: number,
  ): void {
    this.#put([], [target.buffer], () => {
      for (let r = 0; r < target.rows; r += 1) {
        const out = row(dtype, length, target, r);
        const next = generator(seed, stream + r);
        for (let e = 0; e < length; e += 1) out[e] = draw(distribution, next);
      }
    });
  }

  pending(): number {
    return this.#queue.length;
  }

  drained(limit: number): Promise<void> {
    return new Promise((resolve) => {
      this.#waiters.push({ limit, resolve });
      this.#kick();
    });
  }

  token(): NativeToken {
    return { cancel: () => {} };
  }

  allocatedBytes(): number {
    return this.#bytes;
  }

  dispose(): void {
    this.#queue = [];
  }

  #put(reads: NativeBuffer[], writes: NativeBuffer[], work: () => void): void {
    const touched = [...reads, ...writes] as HostBuffer[];
    if (touched.some((b) => b.disposed)) throw coded('INVALID_ARGUMENT', 'a disposed buffer');
    this.#queue.push(() => {
      const cause = (reads as HostBuffer[]).find((b) => b.poison !== undefined)?.poison;
      try {
        if (cause !== undefined) throw cause;
        work();
      } catch (error) {
        for (const b of writes as HostBuffer[]) b.poison = error as Error;
      }
    });
    this.#kick();
  }

  #ask<T>(reads: NativeBuffer[], work: () => T): Promise<T> {
    if ((reads as HostBuffer[]).some((b) => b.disposed)) throw coded('INVALID_ARGUMENT', 'a disposed buffer');
    return new Promise<T>((resolve, reject) => {
      this.#queue.push(() => {
        const cause = (reads as HostBuffer[]).find((b) => b.poison !== undefined)?.poison;
        try {
          if (cause !== undefined) throw cause;
          resolve(work());
        } catch (error) {
          reject(error as Error);
        }
      });
      this.#kick();
    });
  }

  #kick(): void {
    if (this.#running) return;
    this.#running = true;
    queueMicrotask(() => {
      for (let job = this.#queue.shift(); job !== undefined; job = this.#queue.shift()) job();
      this.#running = false;
      for (const waiter of this.#waiters.splice(0)) waiter.resolve();
    });
  }
}

/** splitmix32, seeded by hashing (seed, stream): good enough to test with, not the device's Philox. */
function generator(seed: number, stream: number): () => number {
  let state = (Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(stream + 1, 0x85ebca6b)) >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32;
  };
}

function draw(distribution: Distribution, next: () => number): number {
  switch (distribution) {
    case 'uniform':
      return next();
    case 'rademacher':
      return next() < 0.5 ? -1 : 1;
    case 'normal':
      return Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
  }
}

/** A Device on the reference implementation. */
export function hostDevice(): Device {
  return new Device(new HostNativeDevice(), { kind: 'cpu', threads: 1, name: 'host reference' });
}
