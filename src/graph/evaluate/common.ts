import { ComputationError } from '../../base/errors.js';
import type { DType, Node, PrimitiveName, Shape } from '../node.js';

/** Values of a node, row-major. Truth values are bytes 0 and 1. */
export type Value = Float64Array | Float32Array | Int32Array | Uint8Array;
export type Allocate = (dtype: DType, count: number) => Value;
/** the values of a node given those of its inputs */
export type Evaluator<P extends PrimitiveName = PrimitiveName> = (
  node: Node<P>,
  inputs: readonly Value[],
  allocate: Allocate,
) => Value;

export const product = (extents: readonly number[]): number => extents.reduce((n, d) => n * d, 1);

/** row-major strides */
export function stridesOf(shape: Shape): number[] {
  const out = new Array<number>(shape.length);
  for (let i = shape.length - 1, step = 1; i >= 0; i--) {
    out[i] = step;
    step *= shape[i] as number;
  }
  return out;
}

/** The address of every element of a strided window, in row-major order. */
export function addresses(shape: Shape, strides: readonly number[], offset = 0): Int32Array {
  const out = new Int32Array(product(shape));
  if (out.length === 0) return out;
  out[0] = offset;
  // from the last axis on: what is filled so far repeats along the next axis outwards
  for (let axis = shape.length - 1, filled = 1; axis >= 0; axis--) {
    const extent = shape[axis] as number,
      stride = strides[axis] as number;
    for (let i = filled; i < filled * extent; i++) out[i] = (out[i - filled] as number) + stride;
    filled *= extent;
  }
  return out;
}

/** out[i] = x[at[i]] */
export function gather(x: Value, at: Int32Array, out: Value): Value {
  for (let i = 0; i < at.length; i++) out[i] = x[at[i] as number] as number;
  return out;
}
/** out[at[i]] = x[i] */
export function scatter(x: Value, at: Int32Array, out: Value): Value {
  for (let i = 0; i < at.length; i++) out[at[i] as number] = x[i] as number;
  return out;
}

/** a shape seen as [outer, size, inner] around one axis */
export function around(shape: Shape, axis: number): { outer: number; size: number; inner: number } {
  return { outer: product(shape.slice(0, axis)), size: shape[axis] as number, inner: product(shape.slice(axis + 1)) };
}

export function input(inputs: readonly Value[], i: number): Value {
  const value = inputs[i];
  if (!value) throw new ComputationError(`evaluate: operand ${i} has no value`);
  return value;
}
export const shapeOf = (node: Node, i: number): Shape => (node.inputs[i] as Node).shape;
