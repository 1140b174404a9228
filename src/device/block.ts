/**
 * A block of vectors on a device: `count` rows of `dimension` elements each. What operators are applied to
 * and what solvers keep their bases in.
 *
 * Row r starts at element `offset + r * stride` of the buffer. A block made by `Device.block` and every
 * `rows` view of it is *contiguous* (stride = dimension); only `every` makes others. Operators take
 * contiguous blocks alone.
 *
 * Memory is shared between a block and its views and freed when the last of them is disposed (or garbage).
 */
import { InputError, InternalError, ShapeError } from '../base/errors.js';
import { bytesPerElement, type FloatDType } from '../program/format.js';
import type { Device } from './device.js';
import type { Distribution, NativeBuffer, Rows } from './native.js';

/** Numbers on the host, of either type of floating point. */
export type FloatArray = Float64Array | Float32Array;

/** One allocation and how many blocks look into it. */
interface Storage {
  readonly buffer: NativeBuffer;
  users: number;
}

/** Vectors that one diagonal combination takes: the kernels pass over memory once per this many. */
const diagonalPart = 8;

/** What Gram–Schmidt took from a vector w. */
export interface Orthogonalization {
  /** what was removed along each basis vector, both passes together */
  readonly coefficients: Float64Array;
  /** ‖w‖₂ before and after */
  readonly before: number;
  readonly after: number;
}

/**
 * `count` vectors of `dimension` elements on a device, or a view of some of them; dispose each. Made by
 * `Device.block`.
 */
export class Block {
  readonly device: Device;
  readonly dtype: FloatDType;
  readonly dimension: number;
  readonly count: number;
  readonly offset: number;
  readonly stride: number;
  readonly #storage: Storage;
  #disposed = false;

  private constructor(
    device: Device,
    dtype: FloatDType,
    dimension: number,
    storage: Storage,
    layout: { offset: number; count: number; stride: number },
  ) {
    this.device = device;
    this.dtype = dtype;
    this.dimension = dimension;
    this.count = layout.count;
    this.offset = layout.offset;
    this.stride = layout.stride;
    this.#storage = storage;
    storage.users += 1;
  }

  /** Use `Device.block`. @internal */
  static allocate(device: Device, dtype: FloatDType, dimension: number, count: number): Block {
    const buffer = device.allocate(dimension * count * bytesPerElement[dtype]);
    return new Block(device, dtype, dimension, { buffer, users: 0 }, { offset: 0, count, stride: dimension });
  }

  /** The memory, for native calls. Throws when this block has been disposed. @internal */
  get buffer(): NativeBuffer {
    if (this.#disposed) throw new InternalError('a block was used after it had been disposed');
    return this.#storage.buffer;
  }

  /** This block as the native calls want it. @internal */
  get native(): Rows {
    return { buffer: this.buffer, offset: this.offset, rows: this.count, stride: this.stride };
  }

  /** where the first vector starts in the buffer */
  get byteOffset(): number {
    return this.offset * bytesPerElement[this.dtype];
  }

  /** Are the vectors side by side? Operators take such blocks alone. */
  get contiguous(): boolean {
    return this.stride === this.dimension || this.count <= 1;
  }

  /** Vectors from … to−1, without a copy. */
  rows(from: number, to: number): Block {
    return this.every(from, 1, to - from);
  }

  /** Vectors start, start + step, …: `count` of them, without a copy. */
  every(start: number, step: number, count: number): Block {
    const last = start + (count - 1) * step;
    if (!(start >= 0 && step >= 1 && count >= 0 && (count === 0 || last < this.count))) {
      throw new InternalError(`vectors ${start}, ${start + step}, … (${count}) of a block of ${this.count}`);
    }
    void this.buffer; // a view of disposed memory is refused here, where the mistake is
    const layout = { offset: this.offset + start * this.stride, count, stride: this.stride * step };
    return new Block(this.device, this.dtype, this.dimension, this.#storage, layout);
  }

  /** Elements from … to−1 of every vector, without a copy. Not contiguous unless it is all of them. */
  elements(from: number, to: number): Block {
    if (!(from >= 0 && from < to && to <= this.dimension)) {
      throw new InternalError(`elements ${from}…${to} of vectors of ${this.dimension}`);
    }
    void this.buffer;
    const layout = { offset: this.offset + from, count: this.count, stride: this.stride };
    return new Block(this.device, this.dtype, to - from, this.#storage, layout);
  }

  /** All elements, vector after vector. Waits for the work that makes them; rejects with its failure. */
  async read(): Promise<FloatArray> {
    const { count, dimension, dtype } = this;
    const target = dtype === 'float32' ? new Float32Array(count * dimension) : new Float64Array(count * dimension);
    const { native } = this.device;
    if (this.contiguous) {
      if (count > 0) await this.device.guardAsync(() => native.read(this.buffer, this.byteOffset, target));
      return target;
    }
    const size = bytesPerElement[dtype];
    await this.device.guardAsync(() =>
      Promise.all(
        Array.from({ length: count }, (_, r) =>
          native.read(
            this.buffer,
            (this.offset + r * this.stride) * size,
            target.subarray(r * dimension, (r + 1) * dimension),
          ),
        ),
      ),
    );
    return target;
  }

  /** As `read`, in float64 whatever the block's dtype. */
  async readFloat64(): Promise<Float64Array> {
    const values = await this.read();
    return values instanceof Float64Array ? values : Float64Array.from(values);
  }

  /** Sets all elements, vector after vector, rounding to this block's dtype. The source may change afterwards. */
  write(source: ArrayLike<number>): void {
    const { count, dimension, dtype } = this;
    if (source.length !== count * dimension) {
      throw new ShapeError(`${source.length} values for ${count} vectors of ${dimension}`);
    }
    let values: FloatArray;
    if (dtype === 'float32') values = source instanceof Float32Array ? source : new Float32Array(source);
    else values = source instanceof Float64Array ? source : new Float64Array(source);
    const { native } = this.device;
    const size = bytesPerElement[dtype];
    this.device.guard(() => {
      if (this.contiguous) {
        if (count > 0) native.write(this.buffer, this.byteOffset, values);
        return;
      }
      for (let r = 0; r < count; r += 1) {
        const row = values.subarray(r * dimension, (r + 1) * dimension);
        native.write(this.buffer, (this.offset + r * this.stride) * size, row);
      }
    });
  }

  /** Vector r ← the numbers of stream `stream + r`; the same on every device and for any number of threads. */
  fillRandom(distribution: Distribution, seed: number, stream: number): void {
    const { native } = this.device;
    this.device.guard(() => native.random(this.dtype, this.dimension, this.native, distribution, seed, stream));
  }

  /** Every element ← 0, whatever was there (NaN and uninitialised memory too). */
  zero(): void {
    const nothing = this.rows(0, 0);
    this.combine(new Float64Array(0), nothing, 0);
    nothing.dispose();
  }

  /** this · otherᵀ: inner products of every vector here (row) with every vector there (column), row-major. */
  gram(other: Block): Promise<Float64Array> {
    this.#mustMatch(other);
    const { native } = this.device;
    return this.device.guardAsync(() => native.gram(this.dtype, this.dimension, this.native, other.native));
  }

  /** Inner product of vector r here with vector r there, for every r. */
  async dots(other: Block): Promise<Float64Array> {
    this.#mustMatch(other);
    this.#mustCount(other);
    const { native } = this.device;
    const one = (r: number): Promise<Float64Array> =>
      native.gram(this.dtype, this.dimension, this.#row(r), other.#row(r));
    const parts = await this.device.guardAsync(() => Promise.all(Array.from({ length: this.count }, (_, r) => one(r))));
    return Float64Array.from(parts, (p) => p[0] ?? Number.NaN);
  }

  /** ‖·‖₂ of each vector. */
  async norms(): Promise<Float64Array> {
    return (await this.dots(this)).map(Math.sqrt);
  }

  /** this ← beta · this + c · a, with c row-major, this.count × a.count. `a` must not overlap this block. */
  combine(c: Float64Array, a: Block, beta = 0): void {
    this.#mustMatch(a);
    if (c.length !== this.count * a.count) {
      throw new InternalError(`${c.length} coefficients to combine ${a.count} vectors into ${this.count}`);
    }
    const { native } = this.device;
    this.device.guard(() => native.combine(this.dtype, this.dimension, c, a.native, beta, this.native));
  }

  /** Vector r ← beta · vector r + alpha_r · (vector r of x). One number serves all vectors. `x` may be this block. */
  addScaled(alpha: number | Float64Array, x: Block, beta = 1): void {
    this.#mustMatch(x);
    this.#mustCount(x);
    const { native } = this.device;
    // Diagonal combinations. In parts, because the coefficients of n vectors at once would be n² numbers.
    this.device.guard(() => {
      for (let from = 0; from < this.count; from += diagonalPart) {
        const size = Math.min(diagonalPart, this.count - from);
        const c = new Float64Array(size * size);
        for (let r = 0; r < size; r += 1)
          c[r * size + r] = typeof alpha === 'number' ? alpha : (alpha[from + r] ?? Number.NaN);
        native.combine(this.dtype, this.dimension, c, x.#part(from, size), beta, this.#part(from, size));
      }
    });
  }

  /** Vector r ← factor_r · vector r. */
  scale(factors: number | Float64Array): void {
    this.addScaled(factors, this, 0);
  }

  /** this ← source, of the same shape. */
  copyFrom(source: Block): void {
    this.addScaled(1, source, 0);
  }

  /** Makes this single vector orthogonal to `basis` (orthonormal) by two classical Gram–Schmidt passes. */
  async orthogonalize(basis: Block): Promise<Orthogonalization> {
    this.#mustMatch(basis);
    const { native } = this.device;
    const result = await this.device.guardAsync(() =>
      native.orthogonalize(this.dtype, this.dimension, basis.native, this.native),
    );
    const m = basis.count;
    return { coefficients: result.subarray(0, m), before: result[m] ?? Number.NaN, after: result[m + 1] ?? Number.NaN };
  }

  /** Frees the memory once no other view of it is left. A second call does nothing. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#storage.users -= 1;
    if (this.#storage.users === 0) this.#storage.buffer.dispose();
  }

  /** `dispose`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** `dispose`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose();
  }

  #row(r: number): Rows {
    return { buffer: this.buffer, offset: this.offset + r * this.stride, rows: 1, stride: this.dimension };
  }

  #part(from: number, rows: number): Rows {
    return { buffer: this.buffer, offset: this.offset + from * this.stride, rows, stride: this.stride };
  }

  #mustMatch(other: Block): void {
    if (other.device !== this.device || other.dtype !== this.dtype) {
      throw new InputError(
        `blocks on different devices or of different dtypes do not mix: ${this.dtype} on ${this.device.name}, ` +
          `${other.dtype} on ${other.device.name}`,
      );
    }
    if (other.dimension !== this.dimension) {
      throw new ShapeError(`vectors of ${other.dimension} elements where ${this.dimension} are expected`);
    }
  }

  #mustCount(other: Block): void {
    if (other.count !== this.count) throw new ShapeError(`${other.count} vectors where ${this.count} are expected`);
  }
}
