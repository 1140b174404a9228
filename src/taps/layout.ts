/** How a weight matrix lies in the stored tensor of a parameter. */
import { evaluate } from '../graph/evaluate.js';
import { isOp, type Node, sizeOf } from '../graph/index.js';
import {
  broadcasted,
  contiguousStrides,
  reshaped,
  reversed,
  sliced,
  transposed,
  type Window,
} from '../transform/views.js';

/** Where the elements of W[g,o,i] lie in the stored tensor. */
export interface Layout {
  /** W[g,o,i] is element offset + g·strides[0] + o·strides[1] + i·strides[2] of the stored tensor; null: see `indices` */
  readonly affine: { readonly offset: number; readonly strides: readonly [number, number, number] } | null;
  /** The stored element of each W[g,o,i], row-major; −1 where W has an element that is not the parameter's. */
  indices(): Int32Array;
}

export function layoutOf(selection: Node, source: Node): Layout {
  const window = windowOf(selection, source);
  const [g = 0, o = 0, i = 0] = window?.strides ?? [];
  let known: Int32Array | undefined;
  return {
    affine: window && { offset: window.offset, strides: [g, o, i] },
    indices() {
      if (!known) {
        const numbers = Float64Array.from({ length: sizeOf(source.shape) }, (_, at) => at + 1);
        const [found = []] = evaluate([selection], new Map([[source, numbers]]));
        known = Int32Array.from(found, (v) => v - 1);
      }
      return known;
    },
  };
}

/** the selection as a strided window of the stored tensor, if it is one */
function windowOf(node: Node, source: Node): Window | null {
  if (node === source)
    return {
      storage: { id: 0, bytes: 0, binding: 0 },
      dtype: node.dtype,
      offset: 0,
      shape: node.shape,
      strides: contiguousStrides(node.shape),
    };
  const [x] = node.inputs;
  const w = x && windowOf(x, source);
  if (!w) return null;
  if (isOp(node, 'reshape')) return reshaped(w, node.shape);
  if (isOp(node, 'transpose')) return transposed(w, node.attributes.permutation);
  if (isOp(node, 'broadcast')) return broadcasted(w, node.attributes.shape, node.attributes.dims);
  if (isOp(node, 'slice')) return sliced(w, node.attributes.starts, node.attributes.sizes, node.attributes.strides);
  if (isOp(node, 'reverse')) return reversed(w, node.attributes.axes);
  return isOp(node, 'cast') ? w : null;
}
