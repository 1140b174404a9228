/** Everything a traced function is written with, under one name: primitives, activations, layers' functions, derivatives. */

export {
  affine,
  celu,
  clip,
  elu,
  gelu,
  geluTanh,
  hardSigmoid,
  hardSwish,
  leakyRelu,
  logSumExp,
  mean,
  mish,
  norm1,
  norm2,
  normalise,
  oneHot,
  relu,
  relu6,
  rmsNorm,
  selu,
  shrink,
  silu,
  softsign,
  square,
  thresholdedRelu,
  trunc,
  variance,
} from '../graph/functions.js';
export * from '../graph/ops.js';
export * from './derivatives.js';
export * from './functions.js';
