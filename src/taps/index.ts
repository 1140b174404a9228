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
