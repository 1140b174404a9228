export { type ImportedModel, loadOnnx, modelFromOnnx, type OnnxBuildOptions } from './import.js';
export { type ParameterValues, writeOnnx } from './save.js';
export { supportedOperators } from './table.js';
