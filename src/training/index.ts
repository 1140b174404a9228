export { type Algorithm, type AlgorithmFactory, onDevice, onHost } from './algorithm.js';
export { type FreshStart, withFreshParameters } from './fresh.js';
export {
  type EpochMetrics,
  stepsPerEpoch,
  type TrainingProgress,
  type TrainingResult,
  type TrainOptions,
  train,
} from './train.js';
