export { requireBatchNorm } from './batch-norm.js';
export { type ImportedModel, type LoadOptions, loadOnnx, modelFromOnnx, type OnnxBuildOptions } from './import.js';
export { type WeightsInFewBits, writeQuantizedOnnx } from './quantized.js';
export { type ParameterValues, writeOnnx } from './save.js';
export { supportedOperators } from './table.js';
