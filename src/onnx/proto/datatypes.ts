/** TensorProto.DataType: ONNX's numbers for element types, and how each is stored. */

/** In the order of ONNX's numbering, from 0. */
export const onnxDataTypes = [
  'undefined',
  'float32',
  'uint8',
  'int8',
  'uint16',
  'int16',
  'int32',
  'int64',
  'string',
  'bool',
  'float16',
  'float64',
  'uint32',
  'uint64',
  'complex64',
  'complex128',
  'bfloat16',
  'float8e4m3fn',
  'float8e4m3fnuz',
  'float8e5m2',
  'float8e5m2fnuz',
  'uint4',
  'int4',
  'float4e2m1',
  'float8e8m0',
  'uint2',
  'int2',
] as const;
export type OnnxDataType = (typeof onnxDataTypes)[number];

/** Bits per element in raw data; sub-byte types are packed, first element in the lowest bits. */
export const bitsPerElement: Record<Exclude<OnnxDataType, 'undefined' | 'string'>, number> = {
  float32: 32,
  uint8: 8,
  int8: 8,
  uint16: 16,
  int16: 16,
  int32: 32,
  int64: 64,
  bool: 8,
  float16: 16,
  float64: 64,
  uint32: 32,
  uint64: 64,
  complex64: 64,
  complex128: 128,
  bfloat16: 16,
  float8e4m3fn: 8,
  float8e4m3fnuz: 8,
  float8e5m2: 8,
  float8e5m2fnuz: 8,
  uint4: 4,
  int4: 4,
  float4e2m1: 4,
  float8e8m0: 8,
  uint2: 2,
  int2: 2,
};

/** The number ONNX writes for a data type. */
export function dataTypeCode(type: OnnxDataType): number {
  return onnxDataTypes.indexOf(type);
}
