/**
 * Strided windows before memory is assigned. Reshape, transpose, broadcast, slice and reverse are new windows onto
 * the same storage wherever strides can express them, so they cost nothing.
 */
import type { DType, Shape } from '../graph/index.js';
import { sizeOf } from '../graph/index.js';
import { bytesPerElement } from '../program/format.js';

/** A piece of memory: part of a binding given from outside, or scratch that the plan will place. */
export interface Storage {
  readonly id: number;
  readonly bytes: number;
  /** null: scratch */
  readonly binding: number | null;
}

export interface Window {
  readonly storage: Storage;
  readonly dtype: DType;
  /** elements, from the start of the storage (or of its binding) */
  readonly offset: number;
  readonly shape: Shape;
  readonly strides: readonly number[];
}

export function contiguousStrides(shape: Shape): number[] {
  const strides = shape.map(() => 1);
  for (let i = shape.length - 2; i >= 0; i--) strides[i] = (strides[i + 1] as number) * (shape[i + 1] as number);
  return strides;
}
export const bytesOf = (shape: Shape, dtype: DType): number => sizeOf(shape) * bytesPerElement[dtype];

/** whether axes from `from` on lie without gaps, in order */
export function isContiguous(w: Window, from = 0): boolean {
  const want = contiguousStrides(w.shape);
  return w.shape.every((d, i) => i < from || d === 1 || w.strides[i] === want[i]) || sizeOf(w.shape) === 0;
}

export const transposed = (w: Window, permutation: readonly number[]): Window => ({
  ...w,
  shape: permutation.map((p) => w.shape[p] as number),
  strides: permutation.map((p) => w.strides[p] as number),
});
export function broadcasted(w: Window, shape: Shape, dims: readonly number[]): Window {
  const strides = shape.map(() => 0);
  dims.forEach((d, i) => {
    strides[d] = w.shape[i] === 1 && shape[d] !== 1 ? 0 : (w.strides[i] as number);
  });
  return { ...w, shape, strides };
}
export const sliced = (
  w: Window,
  starts: readonly number[],
  sizes: readonly number[],
  steps: readonly number[],
): Window => ({
  ...w,
  offset: w.offset + starts.reduce((n, s, i) => n + s * (w.strides[i] as number), 0),
  shape: sizes,
  strides: w.strides.map((s, i) => s * (steps[i] as number)),
});
export const reversed = (w: Window, axes: readonly number[]): Window => ({
  ...w,
  offset: w.offset + axes.reduce((n, a) => n + Math.max(0, (w.shape[a] as number) - 1) * (w.strides[a] as number), 0),
  strides: w.strides.map((s, i) => (axes.includes(i) ? -s : s)),
});

/** The window in another shape, or null where strides cannot express it. */
export function reshaped(w: Window, shape: Shape): Window | null {
  if (sizeOf(shape) === 0) return { ...w, shape, strides: contiguousStrides(shape) };
  // Walk both shapes in blocks of equal extent; within a block the old axes must run on from one another.
  const old = w.shape.flatMap((d, i) => (d === 1 ? [] : [{ extent: d, stride: w.strides[i] as number }]));
  const strides: number[] = shape.map(() => 0);
  let o = 0;
  let n = 0;
  while (n < shape.length) {
    if (shape[n] === 1) {
      n++;
      continue;
    }
    const first = n;
    let wanted = shape[n++] as number;
    const block = [old[o++] as (typeof old)[number]];
    let have = (block[0] as (typeof old)[number]).extent;
    while (have !== wanted) {
      if (have < wanted) {
        const next = old[o++] as (typeof old)[number];
        block.push(next);
        have *= next.extent;
      } else wanted *= shape[n++] as number;
    }
    for (let i = 0; i + 1 < block.length; i++) {
      const a = block[i] as (typeof old)[number],
        b = block[i + 1] as (typeof old)[number];
      if (a.stride !== b.stride * b.extent) return null;
    }
    let stride = (block[block.length - 1] as (typeof old)[number]).stride;
    for (let i = n - 1; i >= first; i--) {
      strides[i] = stride;
      if (shape[i] !== 1) stride *= shape[i] as number;
    }
  }
  return { ...w, shape, strides };
}

/** whether both are the same elements in the same order; the stride of an axis of one element is nothing */
export const sameWindow = (a: Window, b: Window): boolean =>
  a.storage === b.storage &&
  a.offset === b.offset &&
  a.dtype === b.dtype &&
  a.shape.join() === b.shape.join() &&
  a.strides.every((s, i) => s === b.strides[i] || a.shape[i] === 1);
