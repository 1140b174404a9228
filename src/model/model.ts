/**
 * A model: named parameters and inputs, and a recipe that writes its outputs into a graph.
 *
 * The recipe is run anew for every batch size and floating-point type, so shapes in a graph are always numbers.
 */
import type { DType, FloatDType, Graph, Node, Shape } from '../graph/index.js';

/** A tensor that may be differentiated. */
export interface Parameter {
  readonly name: string;
  readonly shape: Shape;
  /** the nodes of the file that read it, as "OpType name" */
  readonly consumers: readonly string[];
  readonly values: StoredValues;
}
/** Values as stored (float16 and bfloat16 widened); row-major. */
export interface StoredValues {
  (): Float32Array | Float64Array;
  /** the same in pieces of at most `count` elements, where that takes less memory: of a file with external data */
  readonly pieces?: (count: number) => Iterable<Float32Array | Float64Array>;
}

/** What a model reads, by name. */
export interface ModelInput {
  readonly name: string;
  readonly dtype: DType;
  /** axis 0 counts samples; null where the file leaves an extent open */
  readonly shape: readonly (number | null)[];
}
/** What a model gives, by name. */
export interface ModelOutput {
  readonly name: string;
}

/** Where a model writes itself, and what it reads there. */
export interface BuildOptions {
  readonly graph: Graph;
  readonly dtype: FloatDType;
  /** by input name; floating-point ones have `dtype`, integer ones int32, truth values bool */
  readonly inputs: ReadonlyMap<string, Node>;
  /** by parameter name, in `dtype`; parameters not listed here become constants */
  readonly parameters: ReadonlyMap<string, Node>;
  /** further values to return, by their names in the file */
  readonly also?: readonly string[];
}

/** 'train': BatchNormalization with the batch's own statistics, and dropout. */
export type Mode = 'eval' | 'train';

/** Named parameters and inputs, and a recipe that writes the outputs into a graph. From `loadModel` or `trace`. */
export interface Model {
  /** where it came from, for messages and fingerprints */
  readonly source: string;
  readonly inputs: readonly ModelInput[];
  readonly outputs: readonly ModelOutput[];
  /** every parameter in file order (see contract: Parameters) */
  readonly parameters: readonly Parameter[];
  /** tensors that are used but are not parameters (running statistics, masks, constants), and why they are none */
  readonly buffers: readonly { readonly name: string; readonly shape: Shape; readonly why?: string }[];
  /** how often each operator type occurs */
  readonly operators: ReadonlyMap<string, number>;
  /** operators this version cannot import; `build` throws when there are any */
  readonly unsupported: readonly string[];
  /** the batch size the file was exported with, if it cannot take another */
  readonly fixedBatch: number | null;
  /** things the user should know, one line each */
  readonly warnings: readonly string[];
  /** stable over runs: hash of the file's bytes */
  readonly fingerprint: string;
  /** default 'eval' */
  readonly mode?: Mode | undefined;
  /** Writes the model into the graph; returns its outputs by name. In mode 'train' the graph is put into training mode. */
  build(options: BuildOptions): ReadonlyMap<string, Node>;
}
