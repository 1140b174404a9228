export { type ImportedModel, type OnnxBuildOptions, loadOnnx, modelFromOnnx } from './import.js';
export { supportedOperators } from './table.js';
