/** Reading and writing the ONNX file format. Knows nothing of what operators mean. */
export * from './types.js';
export { type OnnxDataType, dataTypeCode, onnxDataTypes } from './datatypes.js';
export { type DecodeOptions, decodeModel } from './decode.js';
export { type OnnxFile, readOnnxFile } from './read-file.js';
export { checkTensor, tensorArray, tensorNumbers, tensorStrings } from './tensor-values.js';
export { encodeModel, encodeTensor, makeTensor } from './encode.js';
export { type Replacement, replaceRanges } from './replace.js';
