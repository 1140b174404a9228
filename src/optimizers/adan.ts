/**
 * Two optimizers that look at the difference of successive gradients. Both store a copy of the last one.
 *
 * Adan (Xie et al. 2022): d=g−g₋₁ (0 at first); m←β₁m+(1−β₁)g; v←β₂v+(1−β₂)d; u=g+β₂d; n←β₃n+(1−β₃)u²;
 *   Δ=η[m/(1−β₁ᵗ)+β₂v/(1−β₂ᵗ)]/(√n/√(1−β₃ᵗ)+ε);  θ←(θ−Δ)/(1+ηλ_w), or θ(1−ηλ_w)−Δ.  4 vectors.
 * diffGrad (Dubey et al. 2020): ξ=sigmoid(|g₋₁−g|), g₀=0; m, v as Adam;
 *   θ←θ−η·√(1−β₂ᵗ)/(1−β₁ᵗ)·ξm/(√v+ε).  3 vectors.
 */
import { type CommonOptions, define, fraction, nonNegative, type Optimizer } from './optimizer.js';

/** Options of `adan`. */
export interface AdanOptions extends CommonOptions {
  /** defaults 0.98, 0.92, 0.99: the factors kept, as in the authors' code (the paper's are one minus these) */
  readonly beta1?: number | undefined;
  readonly beta2?: number | undefined;
  readonly beta3?: number | undefined;
  /** default 1e-8 */
  readonly epsilon?: number | undefined;
  /** default 0 */
  readonly weightDecay?: number | undefined;
  /** decay by division (default), or as AdamW does */
  readonly proximal?: boolean | undefined;
}

/** Default η 1e-3. `clip` applies before the difference is taken. */
export function adan(options: AdanOptions = {}): Optimizer {
  const { beta1 = 0.98, beta2 = 0.92, beta3 = 0.99, epsilon = 1e-8, weightDecay = 0, proximal = true } = options;
  fraction('adan', { beta1, beta2, beta3 });
  nonNegative('adan', { epsilon, weightDecay });
  return define({
    ...options,
    name: 'adan',
    rate: 1e-3,
    vectors: ['m', 'v', 'n', 'previous'],
    move({ t, eta, g, theta, vectors }) {
      const { m, v, n, previous } = vectors as Record<'m' | 'v' | 'n' | 'previous', Float64Array>;
      const [c1, c2, c3] = [1 - beta1 ** t, 1 - beta2 ** t, Math.sqrt(1 - beta3 ** t)];
      for (let i = 0; i < g.length; i++) {
        const gi = g[i] as number;
        const d = t === 1 ? 0 : gi - (previous[i] as number);
        const u = gi + beta2 * d;
        const mi = beta1 * (m[i] as number) + (1 - beta1) * gi;
        const vi = beta2 * (v[i] as number) + (1 - beta2) * d;
        const ni = beta3 * (n[i] as number) + (1 - beta3) * u * u;
        m[i] = mi;
        v[i] = vi;
        n[i] = ni;
        previous[i] = gi;
        const step = (eta * (mi / c1 + (beta2 * vi) / c2)) / (Math.sqrt(ni) / c3 + epsilon);
        const x = theta[i] as number;
        theta[i] = proximal ? (x - step) / (1 + eta * weightDecay) : x * (1 - eta * weightDecay) - step;
      }
    },
  });
}

/** Options of `diffgrad`. */
export interface DiffgradOptions extends CommonOptions {
  /** default 0.9 and 0.999 */
  readonly beta1?: number | undefined;
  readonly beta2?: number | undefined;
  /** default 1e-8; added before the bias correction */
  readonly epsilon?: number | undefined;
  /** λ_w, added to the gradient as λ_wθ. Default 0 */
  readonly weightDecay?: number | undefined;
}

/** Default η 1e-3. */
export function diffgrad(options: DiffgradOptions = {}): Optimizer {
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0 } = options;
  fraction('diffgrad', { beta1, beta2 });
  nonNegative('diffgrad', { epsilon, weightDecay });
  return define({
    ...options,
    name: 'diffgrad',
    rate: 1e-3,
    vectors: ['m', 'v', 'previous'],
    move({ t, eta, g, theta, vectors }) {
      const { m, v, previous } = vectors as Record<'m' | 'v' | 'previous', Float64Array>;
      const rate = (eta * Math.sqrt(1 - beta2 ** t)) / (1 - beta1 ** t);
      for (let i = 0; i < g.length; i++) {
        const gi = (g[i] as number) + weightDecay * (theta[i] as number);
        const friction = 1 / (1 + Math.exp(-Math.abs((previous[i] as number) - gi)));
        const mi = beta1 * (m[i] as number) + (1 - beta1) * gi;
        const vi = beta2 * (v[i] as number) + (1 - beta2) * gi * gi;
        m[i] = mi;
        v[i] = vi;
        previous[i] = gi;
        theta[i] = (theta[i] as number) - (rate * friction * mi) / (Math.sqrt(vi) + epsilon);
      }
    },
  });
}
