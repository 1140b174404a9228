/**
 * Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019):
 *
 *   m←β₁m+(1−β₁)g;  v←β₂v+(1−β₂)g²;  θ←θ−η·[m/(1−β₁ᵗ)]/[√(v/(1−β₂ᵗ))+ε]
 *
 * Weight decay: Adam adds λ_wθ to g; AdamW shrinks θ by 1−ηλ_w first and leaves g alone. State: 2 vectors.
 */
import { type CommonOptions, define, fraction, nonNegative, type Optimizer } from './optimizer.js';

/** Options of `adam` and `adamw`. */
export interface AdamOptions extends CommonOptions {
  /** default 0.9 and 0.999 */
  readonly beta1?: number | undefined;
  readonly beta2?: number | undefined;
  /** default 1e-8 */
  readonly epsilon?: number | undefined;
  /** default 0 */
  readonly weightDecay?: number | undefined;
}

/** Default η 1e-3. */
export const adam = (options: AdamOptions = {}): Optimizer => build('adam', options, false);
/** Default η 1e-3, λ_w 0.01. */
export const adamw = (options: AdamOptions = {}): Optimizer => build('adamw', { weightDecay: 0.01, ...options }, true);

function build(name: string, options: AdamOptions, decoupled: boolean): Optimizer {
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0 } = options;
  fraction(name, { beta1, beta2 });
  nonNegative(name, { epsilon, weightDecay });
  return define({
    ...options,
    name,
    rate: 1e-3,
    vectors: ['m', 'v'],
    move({ t, eta, g, theta, vectors }) {
      const [m, v] = [vectors.m, vectors.v] as [Float64Array, Float64Array];
      const first = 1 - beta1 ** t;
      const second = 1 - beta2 ** t;
      const shrink = decoupled ? 1 - eta * weightDecay : 1;
      const added = decoupled ? 0 : weightDecay;
      for (let i = 0; i < g.length; i++) {
        const gi = (g[i] as number) + added * (theta[i] as number);
        const mi = beta1 * (m[i] as number) + (1 - beta1) * gi;
        const vi = beta2 * (v[i] as number) + (1 - beta2) * gi * gi;
        m[i] = mi;
        v[i] = vi;
        theta[i] = shrink * (theta[i] as number) - (eta * (mi / first)) / (Math.sqrt(vi / second) + epsilon);
      }
    },
  });
}
