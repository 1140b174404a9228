export { type PrunedLayer, prunedLayers, type WeightMatrix } from './layers.js';
export { exactObsPruning, type LayerwiseOptions, sparseGptPruning } from './layerwise/methods.js';
export { masked } from './mask.js';
export type { Groups, PruningMethod, PruningPoint, Scorer, Update } from './method.js';
export {
  type BlockOptions,
  type FisherOptions,
  mfacPruning,
  obsDiagonal,
  type PruningMethodName,
  pruningMethods,
  woodfisher,
} from './methods.js';
export { magnitude as magnitudePruning, random as randomPruning } from './plain.js';
export {
  type FineTuning,
  type PrunedLayerResult,
  type PruneOptions,
  type PruneProgress,
  type PruneResult,
  prune,
} from './prune.js';
export type { Scope } from './select.js';
