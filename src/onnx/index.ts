export { type ImportedModel, loadOnnx, modelFromOnnx, type OnnxBuildOptions } from './import.js';
export { supportedOperators } from './table.js';
