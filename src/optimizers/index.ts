export { type AdabeliefOptions, adabelief } from './adabelief.js';
export {
  type AdagradNormOptions,
  type AdagradOptions,
  adagrad,
  adagradNorm,
  type RmspropOptions,
  rmsprop,
} from './adagrad.js';
export { type AdamOptions, adam, adamw } from './adam.js';
export { type AdanOptions, adan, type DiffgradOptions, diffgrad } from './adan.js';
export { MfacOptimizer, type MfacOptimizerOptions, type MfacState } from './mfac.js';
export { type CommonOptions, clipByNorm, globalNorm, type Optimizer, type OptimizerState } from './optimizer.js';
export { constant, cosine, linear, type Schedule, stepDecay, warmUp } from './schedule.js';
export {
  type DeltaClipOptions,
  deltaClip,
  type ExponentiatedOptions,
  exponentiatedGradient,
  type SgdOptions,
  sgd,
} from './sgd.js';
