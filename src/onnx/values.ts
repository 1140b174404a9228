/** What a name of the file stands for while the model is written into a graph. */

import { toFloat32 } from '../base/convert.js';
import { InputError, UnsupportedError } from '../base/errors.js';
import type { NdArray } from '../base/ndarray.js';
import { quoted } from '../base/quote.js';
import type { DType, FloatDType, Graph, Node, Shape } from '../graph/index.js';
import { isFloat, sizeOf } from '../graph/index.js';
import {
  type OnnxDataType,
  type OnnxSparseTensor,
  type OnnxTensor,
  tensorArray,
  tensorNumbers,
} from './proto/index.js';

/**
 * Values known at import. Integers are exact up to 2^53 (beyond, as INT64_MAX, they are rounded, which only "to the
 * end" markers meet); floating-point values are exactly those of the file.
 */
export class Known {
  constructor(
    readonly shape: Shape,
    readonly dtype: DType,
    readonly data: Float32Array | Float64Array | Int32Array | Uint8Array,
  ) {}

  static integers(values: readonly number[], shape: Shape = [values.length]): Known {
    return new Known(shape, 'int32', Float64Array.from(values));
  }
}

/** A tensor: a node of the graph, or known values that become one when asked. */
export interface Tensor {
  readonly kind: 'tensor';
  readonly shape: Shape;
  node(): Node;
  /** the values, where the file gives them */
  readonly known: (() => Known) | undefined;
  /** whether operations on it may be carried out at import; false for what may be a parameter */
  readonly folds: boolean;
}
export interface Sequence {
  readonly kind: 'sequence';
  readonly elements: readonly Tensor[];
}
export type Value = Tensor | Sequence;

export const computed = (node: Node): Tensor => ({
  kind: 'tensor',
  shape: node.shape,
  node: () => node,
  known: undefined,
  folds: false,
});

/** computes a value when it is first asked for */
export function once<T extends object>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

/** known values in `graph`, whose floating-point values are of type `float` */
export function constantTensor(known: Known, graph: Graph, float: FloatDType, what: string): Tensor {
  const node = once(() => constantNode(known, graph, float, what));
  return { kind: 'tensor', shape: known.shape, folds: true, known: () => known, node };
}

/** the same, with the values read from the file only when needed */
export function fileTensor(tensor: OnnxTensor, graph: Graph, float: FloatDType): Tensor {
  const known = once(() => knownOf(tensor));
  const node = once(() => constantNode(known(), graph, float, quoted(tensor.name)));
  return { kind: 'tensor', shape: tensor.dims, folds: true, known, node };
}

/** a parameter: an input of the graph, whose stored values may still be looked at where a constant is needed */
export function parameterTensor(tensor: OnnxTensor, node: Node): Tensor {
  return { kind: 'tensor', shape: tensor.dims, node: () => node, known: once(() => knownOf(tensor)), folds: false };
}

function constantNode(known: Known, graph: Graph, float: FloatDType, what: string): Node {
  const { shape, data } = known;
  if (isFloat(known.dtype)) {
    const values =
      float === 'float64'
        ? data instanceof Float64Array
          ? data
          : Float64Array.from(data)
        : data instanceof Float32Array
          ? data
          : Float32Array.from(data);
    return graph.constant(values, shape, float);
  }
  if (known.dtype === 'bool')
    return graph.constant(data instanceof Uint8Array ? data : Uint8Array.from(data), shape, 'bool');
  const wrong = data.find((v) => v > 0x7fffffff || v < -0x80000000);
  if (wrong !== undefined)
    throw new UnsupportedError(`${what} holds ${wrong}, and integers that reach the computation must fit 32 bits`);
  return graph.constant(data instanceof Int32Array ? data : Int32Array.from(data), shape, 'int32');
}

export function knownOf(tensor: OnnxTensor): Known {
  return knownOfArray(tensorArray(tensor));
}
/** dense tensors larger than this must be filled to a thousandth at least, or a few bytes could ask for any memory */
const sparseLimit = 1 << 24;

/** a sparse tensor with its zeros */
export function knownOfSparse({ values, indices, dims }: OnnxSparseTensor): Known {
  checkShape(dims, 'a sparse tensor');
  const { data: given, dtype } = knownOf(values),
    places = tensorNumbers(indices),
    count = sizeOf(dims);
  const depth = indices.dims.length === 2 ? dims.length : 1;
  if (places.length !== given.length * depth || (depth > 1 && indices.dims[1] !== depth))
    throw new InputError(`a sparse tensor [${dims}] of ${given.length} values has indices [${indices.dims}]`);
  if (count > sparseLimit && count > 1024 * given.length)
    throw new UnsupportedError(`a sparse tensor [${dims}] of ${given.length} values is too large to be written out`);
  const data = dtype === 'float32' ? new Float32Array(count) : new Float64Array(count);
  given.forEach((value, i) => {
    const flat =
      indices.dims.length === 2
        ? dims.reduce((at, extent, axis) => at * extent + within(places[i * depth + axis] as number, extent), 0)
        : within(places[i] as number, count);
    data[flat] = value;
  });
  return new Known(dims, dtype, data);
}
function within(index: number, extent: number): number {
  if (!(index >= 0 && index < extent)) throw new InputError(`a sparse tensor has the impossible index ${index}`);
  return index;
}
/** a sparse initializer, written out when it is needed; it is no parameter, since its zeros are meant */
export function sparseTensor(sparse: OnnxSparseTensor, graph: Graph, float: FloatDType): Tensor {
  const known = once(() => knownOfSparse(sparse));
  const node = once(() => constantNode(known(), graph, float, quoted(sparse.values.name)));
  return { kind: 'tensor', shape: sparse.dims, folds: true, known, node };
}

function knownOfArray(array: NdArray): Known {
  const { shape } = array;
  switch (array.dtype) {
    case 'float16':
    case 'bfloat16':
      return new Known(shape, 'float32', toFloat32(array));
    case 'float32':
      return new Known(shape, 'float32', array.data);
    case 'float64':
      return new Known(shape, 'float64', array.data);
    case 'bool':
      return new Known(
        shape,
        'bool',
        array.data.map((v) => Number(v !== 0)),
      );
    case 'int32':
      return new Known(shape, 'int32', array.data);
    case 'int64':
    case 'uint64':
      return new Known(shape, 'int32', Float64Array.from(array.data, Number));
    default:
      return new Known(shape, 'int32', Float64Array.from(array.data));
  }
}

/** The graph type that stands for a type of the file; `float` for the types that are computed in. */
export function dtypeOf(type: OnnxDataType, float: FloatDType): DType {
  switch (type) {
    case 'float16':
    case 'bfloat16':
    case 'float32':
    case 'float64':
      return float;
    case 'bool':
      return 'bool';
    case 'int8':
    case 'int16':
    case 'int32':
    case 'int64':
    case 'uint8':
    case 'uint16':
    case 'uint32':
    case 'uint64':
    case 'int4':
    case 'uint4':
    case 'int2':
    case 'uint2':
      return 'int32';
    default:
      throw new UnsupportedError(`values of type ${type} are not supported`);
  }
}
export const isFloatType = (type: OnnxDataType): boolean =>
  type === 'float32' || type === 'float64' || type === 'float16' || type === 'bfloat16';

/** what an operator lists number by number at import (places of padding, weights of resizing) has bounds, too */
const tableLimit = 1 << 22;
export function checkTable(entries: number, what: string): void {
  if (!(entries <= tableLimit))
    throw new UnsupportedError(`${what} would be a table of ${entries} entries; at most ${tableLimit} are supported`);
}

/** shapes come from files: refuse what nothing could hold */
export function checkShape(shape: Shape, what: string): void {
  if (shape.length > 32 || shape.some((d) => !Number.isSafeInteger(d) || d < 0) || sizeOf(shape) > 2 ** 42)
    throw new InputError(`${what} would have the impossible shape [${shape.slice(0, 33).join(', ')}]`);
}
