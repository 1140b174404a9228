/** AdaGrad (Duchi, Hazan and Singer 2011), its norm version (Ward, Wu and Bottou 2019) and RMSprop (Hinton 2012). */
import {
  type CommonOptions,
  define,
  fraction,
  globalNorm,
  nonNegative,
  type Optimizer,
  positive,
} from './optimizer.js';

/** Options of `adagrad`. */
export interface AdagradOptions extends CommonOptions {
  /** default 1e-10 */
  readonly epsilon?: number | undefined;
}

/** A←A+g²; θ←θ−ηg/(√A+ε). Default η 0.01. */
export function adagrad(options: AdagradOptions = {}): Optimizer {
  const { epsilon = 1e-10 } = options;
  nonNegative('adagrad', { epsilon });
  return define({
    ...options,
    name: 'adagrad',
    rate: 0.01,
    vectors: ['sum'],
    move({ eta, g, theta, vectors }) {
      const sum = vectors.sum as Float64Array;
      for (let i = 0; i < g.length; i++) {
        const gi = g[i] as number;
        const a = (sum[i] as number) + gi * gi;
        sum[i] = a;
        if (gi !== 0) theta[i] = (theta[i] as number) - (eta * gi) / (Math.sqrt(a) + epsilon);
      }
    },
  });
}

/** Options of `adagradNorm`. */
export interface AdagradNormOptions extends CommonOptions {
  /** b₀². Default 0.01 */
  readonly initial?: number | undefined;
}

/** b²←b²+‖g‖² over all parameters; θ←θ−ηg/b. Default η 0.01. */
export function adagradNorm(options: AdagradNormOptions = {}): Optimizer {
  const { initial = 0.01 } = options;
  positive('adagrad-norm', { initial });
  return define({
    ...options,
    name: 'adagrad-norm',
    rate: 0.01,
    scalars: { square: initial },
    move({ eta, g, theta, scalars }) {
      scalars.square = (scalars.square as number) + globalNorm(g) ** 2;
      const rate = eta / Math.sqrt(scalars.square);
      for (let i = 0; i < g.length; i++) theta[i] = (theta[i] as number) - rate * (g[i] as number);
    },
  });
}

/** Options of `rmsprop`. */
export interface RmspropOptions extends CommonOptions {
  /** default 0.99 */
  readonly alpha?: number | undefined;
  /** default 1e-8 */
  readonly epsilon?: number | undefined;
}

/** v←αv+(1−α)g²; θ←θ−ηg/(√v+ε), without bias correction. Default η 0.01. */
export function rmsprop(options: RmspropOptions = {}): Optimizer {
  const { alpha = 0.99, epsilon = 1e-8 } = options;
  fraction('rmsprop', { alpha });
  nonNegative('rmsprop', { epsilon });
  return define({
    ...options,
    name: 'rmsprop',
    rate: 0.01,
    vectors: ['v'],
    move({ eta, g, theta, vectors }) {
      const v = vectors.v as Float64Array;
      for (let i = 0; i < g.length; i++) {
        const gi = g[i] as number;
        const vi = alpha * (v[i] as number) + (1 - alpha) * gi * gi;
        v[i] = vi;
        if (gi !== 0) theta[i] = (theta[i] as number) - (eta * gi) / (Math.sqrt(vi) + epsilon);
      }
    },
  });
}
