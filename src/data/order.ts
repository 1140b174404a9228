/** Fortran (first axis fastest) to row-major order. */
import { arrayStorage, type NdArray } from '../base/ndarray.js';

/** The same array in row-major order, given data whose first axis varies fastest. */
export function fromFortranOrder(array: NdArray): NdArray {
  const { dtype, shape } = array;
  if (shape.length < 2) return array;
  const source = array.data;
  const target = new arrayStorage[dtype](source.length);
  // Position of each axis in the source; the last axis of the target runs fastest.
  const strides = shape.map((_, axis) => shape.slice(0, axis).reduce((product, extent) => product * extent, 1));
  const index = shape.map(() => 0);
  let from = 0;
  for (let to = 0; to < source.length; to++) {
    target[to] = source[from]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      from -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return { dtype, shape, data: target } as NdArray;
}
