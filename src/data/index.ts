/** Data files and arrays in, batches out. */
export type { ArrayData, ArrayDType, ArrayStorage, NdArray } from '../base/ndarray.js';
export type { ArraySpec, Batch, DataDType, Dataset } from './dataset.js';
export {
  type ArrayInput,
  type ArraysInput,
  datasetFromArrays,
  type FromArraysOptions,
  toNdArray,
} from './from-arrays.js';
export { datasetFromIterable, type FromIterableOptions } from './from-iterable.js';
export { readNpy, writeNpy } from './npy.js';
export { type NpzReadOptions, readNpz } from './npz-read.js';
export { type NamedArrays, type NpzWriteOptions, writeNpz } from './npz-write.js';
export { type DatasetOptions, openDataset } from './open.js';
export { readSafetensors, writeSafetensors } from './safetensors.js';
export { fitSampleShape } from './sample-shape.js';
export { shuffled } from './shuffle.js';
export type { StandardizeOptions } from './standardize.js';
export { dataFingerprint } from './survey.js';
