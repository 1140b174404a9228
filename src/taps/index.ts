export {
  type LayerTapOptions,
  LayerTaps,
  openLayerTaps,
  type TapBatch,
  type TapChoice,
  type TapMoments,
} from './evaluator.js';
export { type ListTapsOptions, layerTaps } from './layer-taps.js';
export type { Layout } from './layout.js';
export type { LayerTap, TapKind } from './list.js';
export { type PerSampleGradientsOptions, perSampleGradients, type SampleGradientBlock } from './per-sample.js';
export { type GradientStatistics, type GradientStatisticsOptions, gradientStatistics } from './statistics.js';
