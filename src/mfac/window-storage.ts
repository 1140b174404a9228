/**
 * Three ways to keep the rows of a window (m × d), the arithmetic being the same:
 *
 *   in the vectors' dtype     4 (or 8) bytes an element, two passes over them a step: 8dm bytes in float32
 *   bfloat16                  half of it; rows are rounded (relative error 2⁻⁹) before anything is computed from them
 *   sparse                    of each block the k largest elements, 6 bytes each; what is left out is fed back
 *
 * Sparse rows (Modoranu et al. 2024): e ← e + g; the k largest of e in each block become the row and 0 in e.
 * So what was inserted so far and e add up to the gradients so far. Memory beside the rows: 2d, for e.
 */
import { InputError } from '../base/errors.js';
import type { Block, FloatArray } from '../device/block.js';
import type { Device } from '../device/device.js';
import type { NativeBuffer, Rows, SparseRows } from '../device/native.js';
import { bytesPerElement, type FloatDType } from '../program/format.js';
import { denseGradients, type SavedGradients, type WindowStorage, withSquare } from './gradients-store.js';

export interface Layout {
  readonly device: Device;
  readonly dtype: FloatDType;
  /** d */
  readonly dimension: number;
  /** m */
  readonly capacity: number;
}

const wrongState = (): InputError => new InputError('what was given is not the saved state of a gradient window');

export function denseStorage({ device, dtype, dimension, capacity }: Layout): WindowStorage {
  const all = device.block(dtype, dimension, capacity);
  let staged: Block | null = null;
  return {
    stage(row, count) {
      staged = row;
      if (count === 0) return withSquare(null, row);
      const filled = all.rows(0, count);
      const products = row.gram(filled);
      filled.dispose();
      return withSquare(products, row);
    },
    commit(slot) {
      const target = all.rows(slot, slot + 1);
      target.copyFrom(staged as Block);
      target.dispose();
    },
    rows: (count) => denseGradients(all.rows(0, count)),
    async save(count) {
      const filled = all.rows(0, count);
      const gradients = count === 0 ? new Float64Array(0) : await filled.read();
      filled.dispose();
      return { gradients };
    },
    restore({ gradients }, count) {
      if (gradients.length !== count * dimension || gradients instanceof Uint16Array) throw wrongState();
      const filled = all.rows(0, count);
      filled.write(gradients);
      filled.dispose();
    },
    dispose: () => all.dispose(),
  };
}

/** Throws InputError for vectors that are not float32. */
export function bfloat16Storage({ device, dtype, dimension, capacity }: Layout): WindowStorage {
  if (dtype !== 'float32') throw new InputError(`bfloat16 gradients go with float32 vectors, not ${dtype}`);
  const { native } = device;
  const buffer = device.allocate(2 * dimension * (capacity + 1)); // and one that is staged
  const rows = (first: number, count: number): Rows => ({
    buffer,
    offset: first * dimension,
    rows: count,
    stride: dimension,
  });
  const round = (from: Block, slot: number): void =>
    device.guard(() => native.roundBFloat16(dimension, from.native, rows(slot, 1)));
  const gram = (x: Block, count: number): Promise<Float64Array> =>
    device.guardAsync(() => native.gram('bfloat16', dimension, x.native, rows(0, count)));
  const combine = (c: Float64Array, stored: Rows, output: Block, beta: number): void =>
    device.guard(() => native.combine('bfloat16', dimension, c, stored, beta, output.native));
  let staged: Block | null = null;
  return {
    stage(row, count) {
      staged = row;
      round(row, capacity);
      combine(Float64Array.of(1), rows(capacity, 1), row, 0);
      return withSquare(count === 0 ? null : gram(row, count), row);
    },
    commit: (slot) => round(staged as Block, slot), // already rounded: exact
    rows: (count) => ({
      count,
      gram: (x) => gram(x, count),
      combine: (c, output, beta) => combine(c, rows(0, count), output, beta),
      dispose: () => undefined,
    }),
    async save(count) {
      const gradients = new Uint16Array(count * dimension);
      if (count > 0) await device.guardAsync(() => native.read(buffer, 0, gradients));
      return { gradients };
    },
    restore({ gradients }, count) {
      if (gradients.length !== count * dimension || !(gradients instanceof Uint16Array)) throw wrongState();
      if (count > 0) device.guard(() => native.write(buffer, 0, gradients));
    },
    dispose: () => buffer.dispose(),
  };
}

export interface SparseLayout extends Layout {
  /** share of a block's elements that is left out, in [0, 1) */
  readonly sparsity: number;
  /** elements of a block, at most 65536 */
  readonly blockSize: number;
}

/** Throws InputError for a sparsity or block size out of range. */
export function sparseStorage(layout: SparseLayout): WindowStorage {
  const { device, dtype, dimension, capacity, sparsity, blockSize } = layout;
  if (!(sparsity >= 0 && sparsity < 1))
    throw new InputError(`the sparsity must be at least 0 and below 1, not ${sparsity}`);
  if (!(Number.isInteger(blockSize) && blockSize >= 1 && blockSize <= 65536))
    throw new InputError(`the block size must be a whole number from 1 to 65536, not ${blockSize}`);
  const { native } = device;
  const keep = Math.max(1, Math.round((1 - sparsity) * blockSize));
  const entries = Math.floor(dimension / blockSize) * keep + Math.min(keep, dimension % blockSize);
  const everything = entries * (capacity + 1); // one more is staged
  const allocated: NativeBuffer[] = [];
  const allocate = (bytes: number): NativeBuffer => {
    allocated.push(device.allocate(bytes));
    return allocated.at(-1) as NativeBuffer;
  };
  const indices = allocate(2 * everything);
  const values = allocate(bytesPerElement[dtype] * everything);
  const stored: SparseRows = { indices, values, rows: capacity + 1, block: blockSize, keep };
  let [error, next] = [device.block(dtype, dimension, 1), device.block(dtype, dimension, 1)];
  error.zero();
  const gram = (x: Block, first: number, count: number): Promise<Float64Array> =>
    device.guardAsync(() => native.sparseGram(dtype, dimension, x.native, stored, first, count));
  const combine = (c: Float64Array, first: number, count: number, beta: number, output: Block): void =>
    device.guard(() => native.sparseCombine(dtype, dimension, c, stored, first, count, beta, output.native));
  return {
    stage(row, count) {
      next.copyFrom(error);
      next.addScaled(1, row);
      device.guard(() => native.sparseSelect(dtype, dimension, next.native, stored, capacity));
      combine(Float64Array.of(1), capacity, 1, 0, row);
      return withSquare(count === 0 ? null : gram(row, 0, count), row);
    },
    commit(slot) {
      device.guard(() => native.sparseCopy(dtype, dimension, stored, capacity, slot));
      [error, next] = [next, error];
    },
    rows: (count) => ({
      count,
      gram: (x) => gram(x, 0, count),
      combine: (c, output, beta) => combine(c, 0, count, beta, output),
      dispose: () => undefined,
    }),
    async save(count): Promise<SavedGradients> {
      // What was never written is not worth keeping.
      const total = count === 0 ? 0 : everything;
      const gradients = dtype === 'float32' ? new Float32Array(total) : new Float64Array(total);
      const positions = new Uint16Array(total);
      const [left] = await Promise.all([
        error.read(),
        device.guardAsync(() => native.read(values, 0, gradients)),
        device.guardAsync(() => native.read(indices, 0, positions)),
      ]);
      return { gradients, sparse: { indices: positions, error: left } };
    },
    restore({ gradients, sparse }, count) {
      const total = count === 0 ? 0 : everything;
      const sameType = dtype === 'float32' ? gradients instanceof Float32Array : gradients instanceof Float64Array;
      if (!sparse || !sameType || gradients.length !== total || sparse.indices.length !== total) throw wrongState();
      device.guard(() => {
        native.write(values, 0, gradients as FloatArray);
        native.write(indices, 0, sparse.indices);
      });
      error.write(sparse.error);
    },
    dispose() {
      for (const each of [...allocated, error, next]) each.dispose();
    },
  };
}
