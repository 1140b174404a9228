/**
 * Gradient descent and two relatives of it without moments of second order. θ parameters, g gradient, η rate.
 */
import {
  type CommonOptions,
  define,
  fraction,
  globalNorm,
  nonNegative,
  type Optimizer,
  positive,
} from './optimizer.js';

/** Options of `sgd`. */
export interface SgdOptions extends CommonOptions {
  /** μ. Default 0 */
  readonly momentum?: number | undefined;
  readonly nesterov?: boolean | undefined;
  /** λ_w, added to the gradient as λ_w·θ. Default 0 */
  readonly weightDecay?: number | undefined;
}

/** g←g+λ_wθ; b←μb+g; θ←θ−η·(nesterov: g+μb, else b). PyTorch's convention: η multiplies the whole buffer. Default η 0.01. */
export function sgd(options: SgdOptions = {}): Optimizer {
  const { momentum = 0, nesterov = false, weightDecay = 0 } = options;
  fraction('sgd', { momentum });
  nonNegative('sgd', { weightDecay });
  return define({
    ...options,
    name: 'sgd',
    rate: 0.01,
    vectors: momentum > 0 ? ['b'] : [],
    move({ eta, g, theta, vectors: { b } }) {
      for (let i = 0; i < g.length; i++) {
        const gi = (g[i] as number) + weightDecay * (theta[i] as number);
        let d = gi;
        if (b) {
          b[i] = momentum * (b[i] as number) + gi;
          d = nesterov ? gi + momentum * (b[i] as number) : (b[i] as number);
        }
        theta[i] = (theta[i] as number) - eta * d;
      }
    },
  });
}

/** Options of `deltaClip`. */
export interface DeltaClipOptions extends CommonOptions {
  /** Default 0.1 */
  readonly gamma?: number | undefined;
  /** Default 0.001; 0 is plain clipping, 1 gradient descent */
  readonly delta?: number | undefined;
  readonly weightDecay?: number | undefined;
}

/** δ-GClip: θ←θ−η·min{1, max{δ, γ/‖g‖}}·(g+λ_wθ), ‖g‖ the global norm without the decay. Default η 0.1. */
export function deltaClip(options: DeltaClipOptions = {}): Optimizer {
  const { gamma = 0.1, delta = 0.001, weightDecay = 0 } = options;
  positive('delta-gclip', { gamma });
  nonNegative('delta-gclip', { delta, weightDecay });
  return define({
    ...options,
    name: 'delta-gclip',
    rate: 0.1,
    move({ eta, g, theta }) {
      const norm = globalNorm(g);
      const h = norm === 0 ? 0 : eta * Math.min(1, Math.max(delta, gamma / norm));
      for (let i = 0; i < g.length; i++)
        theta[i] = (theta[i] as number) - h * ((g[i] as number) + weightDecay * (theta[i] as number));
    },
  });
}

/** Options of `exponentiatedGradient`. */
export interface ExponentiatedOptions extends CommonOptions {
  /** λ_w, added as λ_w·sign(θ) */
  readonly weightDecay?: number | undefined;
}

/** Exponentiated gradient: θ←θ·exp(−η·sign(θ)·(g+λ_w·sign(θ))). Signs never change, zeros stay. Default η 0.1. */
export function exponentiatedGradient(options: ExponentiatedOptions = {}): Optimizer {
  const { weightDecay = 0 } = options;
  nonNegative('exponentiated-gradient', { weightDecay });
  return define({
    ...options,
    name: 'exponentiated-gradient',
    rate: 0.1,
    move({ eta, g, theta }) {
      for (let i = 0; i < g.length; i++) {
        const sign = Math.sign(theta[i] as number);
        theta[i] = (theta[i] as number) * Math.exp(-eta * sign * ((g[i] as number) + weightDecay * sign));
      }
    },
  });
}
