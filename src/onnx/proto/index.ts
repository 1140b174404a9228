/** Reading and writing the ONNX file format. Knows nothing of what operators mean. */

export { dataTypeCode, type OnnxDataType, onnxDataTypes } from './datatypes.js';
export { type DecodeOptions, decodeModel } from './decode.js';
export { encodeModel, encodeTensor, makeTensor } from './encode.js';
export { type OnnxFile, readOnnxFile } from './read-file.js';
export { type Replacement, replaceRanges } from './replace.js';
export { checkTensor, tensorArray, tensorNumbers, tensorPieces, tensorStrings } from './tensor-values.js';
export * from './types.js';
