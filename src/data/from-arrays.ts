/** Data sets from arrays that are already in memory. */
import { InputError } from '../base/errors.js';
import { type ArrayData, type ArrayDType, checkedCount, type NdArray } from '../base/ndarray.js';
import { quoted } from '../base/quote.js';
import { type Dataset, makeDataset } from './dataset.js';
import { memorySource } from './source.js';
import { parseStandardization, type StandardizeOptions } from './standardize.js';

/** An array as callers have it: the dtype follows from the typed array unless it is given. */
export interface ArrayInput {
  readonly data: ArrayData;
  /** the first axis counts samples */
  readonly shape: readonly number[];
  /** Needed only for bool (in a Uint8Array) and float16 or bfloat16 (bits in a Uint16Array). */
  readonly dtype?: ArrayDType;
}

/** Arrays by the names of the model's inputs, and the targets; axis 0 of each counts samples. */
export interface ArraysInput {
  readonly inputs: Readonly<Record<string, ArrayInput>>;
  readonly target?: ArrayInput;
}

/** Options of `datasetFromArrays`. */
export interface FromArraysOptions extends StandardizeOptions {
  /** The first N samples. */
  readonly samples?: number;
}

/** Shares the arrays' memory: do not change them while the data set is in use. Throws InputError where they do not fit. */
export function datasetFromArrays(arrays: ArraysInput, options: FromArraysOptions = {}): Dataset {
  const source = (name: string, input: ArrayInput) => {
    const what = `array ${quoted(name)}`;
    return memorySource(toNdArray(input, what), what);
  };
  return makeDataset({
    inputs: new Map(Object.entries(arrays.inputs).map(([name, input]) => [name, source(name, input)])),
    target: arrays.target && source('target', arrays.target),
    samples: options.samples,
    standardization: parseStandardization(options),
    images: new Set(),
    close: async () => undefined,
  });
}

/** Typed array and shape → NdArray, checked. `what` starts the message. */
export function toNdArray(input: ArrayInput, what: string): NdArray {
  const { data, shape } = input;
  const natural = dtypesByStorage.get(data?.constructor);
  if (natural === undefined) throw new InputError(`${what} must be a typed array such as Float32Array`);
  const dtype = input.dtype ?? natural[0]!;
  if (!natural.includes(dtype))
    throw new InputError(`${what} is said to hold ${dtype}, but a ${data.constructor.name} cannot`);
  const count = checkedCount(shape, what);
  if (count !== data.length)
    throw new InputError(`${what} has ${data.length} values where its shape [${shape.join(', ')}] needs ${count}`);
  return { dtype, shape, data } as NdArray;
}

/** The first is what a typed array means when nothing else is said. */
const dtypesByStorage = new Map<unknown, readonly ArrayDType[]>([
  [Float32Array, ['float32']],
  [Float64Array, ['float64']],
  [Int8Array, ['int8']],
  [Int16Array, ['int16']],
  [Int32Array, ['int32']],
  [BigInt64Array, ['int64']],
  [Uint8Array, ['uint8', 'bool']],
  [Uint16Array, ['uint16', 'float16', 'bfloat16']],
  [Uint32Array, ['uint32']],
  [BigUint64Array, ['uint64']],
]);
