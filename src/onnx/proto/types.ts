/**
 * An ONNX file as plain objects. Names follow onnx.proto in camel case; maps and lists are complete, in file
 * order. Nothing here is interpreted: an operator this package does not know is read like any other.
 */
import type { OnnxDataType } from './datatypes.js';

/** Offsets in the file (or in the bytes given), in bytes; `end` is exclusive. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

export interface OnnxModel {
  readonly irVersion: number;
  readonly producerName: string;
  readonly producerVersion: string;
  readonly domain: string;
  readonly modelVersion: number;
  readonly docString: string;
  /** Operator-set version by domain; '' is the standard domain (also written 'ai.onnx' in files). */
  readonly opsetImports: ReadonlyMap<string, number>;
  readonly graph: OnnxGraph;
  readonly functions: readonly OnnxFunction[];
  readonly metadata: ReadonlyMap<string, string>;
}

export interface OnnxGraph {
  readonly name: string;
  readonly docString: string;
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly OnnxTensor[];
  readonly sparseInitializers: readonly OnnxSparseTensor[];
  readonly inputs: readonly OnnxValueInfo[];
  readonly outputs: readonly OnnxValueInfo[];
  readonly valueInfos: readonly OnnxValueInfo[];
}

export interface OnnxNode {
  readonly name: string;
  readonly opType: string;
  /** '' is the standard domain (also written 'ai.onnx' in files). */
  readonly domain: string;
  readonly overload: string;
  readonly docString: string;
  /** '' stands for an optional input or output that is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, OnnxAttribute>;
  readonly metadata: ReadonlyMap<string, string>;
  /** Operator-set versions of the function that the node was taken from, where they take the place of the model's. */
  readonly opsets?: ReadonlyMap<string, number>;
}

/**
 * Integers are numbers: beyond 2^53 they are rounded, which touches only "to the very end" markers such as
 * INT64_MAX. `reference` (inside functions) stands for the attribute `to` of the calling node.
 */
export type OnnxAttribute = { readonly name: string } & (
  | { readonly type: 'float' | 'int'; readonly value: number }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'tensor'; readonly value: OnnxTensor }
  | { readonly type: 'graph'; readonly value: OnnxGraph }
  | { readonly type: 'sparseTensor'; readonly value: OnnxSparseTensor }
  | { readonly type: 'typeProto'; readonly value: OnnxType }
  | { readonly type: 'floats' | 'ints'; readonly value: readonly number[] }
  | { readonly type: 'strings'; readonly value: readonly string[] }
  | { readonly type: 'tensors'; readonly value: readonly OnnxTensor[] }
  | { readonly type: 'graphs'; readonly value: readonly OnnxGraph[] }
  | { readonly type: 'sparseTensors'; readonly value: readonly OnnxSparseTensor[] }
  | { readonly type: 'typeProtos'; readonly value: readonly OnnxType[] }
  | { readonly type: 'reference'; readonly to: string; readonly of: OnnxAttributeType | undefined }
);
/** The attribute types in the order of ONNX's numbering, from 1. */
export const onnxAttributeTypes = [
  'float',
  'int',
  'string',
  'tensor',
  'graph',
  'floats',
  'ints',
  'strings',
  'tensors',
  'graphs',
  'sparseTensor',
  'sparseTensors',
  'typeProto',
  'typeProtos',
] as const;
export type OnnxAttributeType = (typeof onnxAttributeTypes)[number];

export interface OnnxTensor {
  readonly name: string;
  readonly docString: string;
  readonly dataType: OnnxDataType;
  readonly dims: readonly number[];
  readonly payload: OnnxPayload;
  readonly metadata: ReadonlyMap<string, string>;
  /** Where the TensorProto stands in the file, without its tag and length. Absent if not read from a file. */
  readonly range?: ByteRange;
}

/** Where a tensor's numbers are. `tensorArray` and `tensorStrings` read them. */
export type OnnxPayload =
  /** Little-endian, packed. A view of the file's bytes; `range` is where it stands. */
  | { readonly kind: 'raw'; readonly bytes: Uint8Array; readonly range?: ByteRange }
  /** In typed fields (float_data, int32_data …) of this encoded TensorProto, read on demand. */
  | { readonly kind: 'fields'; readonly message: Uint8Array }
  | OnnxExternal;

export interface OnnxExternal {
  readonly kind: 'external';
  /** As written in the file: relative to the model's folder. */
  readonly location: string;
  /** bytes */
  readonly offset: number;
  /** bytes; absent: to the end of the file */
  readonly length?: number;
  /** The model file it belongs to; absent for a model given as bytes, whose external data cannot be found. */
  readonly model?: string;
}

/** COO: `values` has one element per non-zero; `indices` is [n] (flat) or [n, rank]. */
export interface OnnxSparseTensor {
  readonly values: OnnxTensor;
  readonly indices: OnnxTensor;
  readonly dims: readonly number[];
}

export interface OnnxValueInfo {
  readonly name: string;
  readonly docString: string;
  readonly type: OnnxType | undefined;
}

/** An extent: known, symbolic by name, or unknown. */
export type OnnxDim = number | string | undefined;

export type OnnxType =
  /** `shape` is absent where the file gives not even a rank. */
  | {
      readonly kind: 'tensor' | 'sparseTensor';
      readonly elementType: OnnxDataType;
      readonly shape: readonly OnnxDim[] | undefined;
    }
  | { readonly kind: 'sequence' | 'optional'; readonly element: OnnxType | undefined }
  | { readonly kind: 'map' }
  | { readonly kind: 'unknown' };

export interface OnnxFunction {
  readonly name: string;
  readonly domain: string;
  readonly overload: string;
  readonly docString: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Attributes that a call must give. */
  readonly attributes: readonly string[];
  /** Attributes with a default. */
  readonly attributeDefaults: ReadonlyMap<string, OnnxAttribute>;
  readonly nodes: readonly OnnxNode[];
  readonly valueInfos: readonly OnnxValueInfo[];
  readonly opsetImports: ReadonlyMap<string, number>;
}
