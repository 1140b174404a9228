/**
 * AdaBelief (Zhuang et al. 2020), in the order of the authors' implementation:
 *
 *   θ←θ(1−ηλ_w);  m←β₁m+(1−β₁)g;  s←β₂s+(1−β₂)(g−m)²+ε  (the new m; ε stays in the state)
 *   θ←θ−η·[m/(1−β₁ᵗ)]/[√s/√(1−β₂ᵗ)+ε]
 *
 * Rectified: with ρ∞=2/(1−β₂)−1 and ρ=ρ∞−2tβ₂ᵗ/(1−β₂ᵗ), where ρ≥5 the step is η·r·√(1−β₂ᵗ)/(1−β₁ᵗ)·m/(√s+ε),
 * r²=(ρ−4)(ρ−2)ρ∞/[(ρ∞−4)(ρ∞−2)ρ]; before that η·m/(1−β₁ᵗ). State: 2 vectors.
 */
import { type CommonOptions, define, fraction, nonNegative, type Optimizer } from './optimizer.js';

/** Options of `adabelief`. */
export interface AdabeliefOptions extends CommonOptions {
  /** default 0.9 and 0.999 */
  readonly beta1?: number | undefined;
  readonly beta2?: number | undefined;
  /** default 1e-16; the authors take 1e-8 for image networks */
  readonly epsilon?: number | undefined;
  /** decoupled. Default 0 */
  readonly weightDecay?: number | undefined;
  /** default true */
  readonly rectify?: boolean | undefined;
}

/** Default η 1e-3. */
export function adabelief(options: AdabeliefOptions = {}): Optimizer {
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-16, weightDecay = 0, rectify = true } = options;
  fraction('adabelief', { beta1, beta2 });
  nonNegative('adabelief', { epsilon, weightDecay });
  return define({
    ...options,
    name: 'adabelief',
    rate: 1e-3,
    vectors: ['m', 's'],
    move({ t, eta, g, theta, vectors }) {
      const [m, s] = [vectors.m, vectors.s] as [Float64Array, Float64Array];
      const first = 1 - beta1 ** t;
      const second = Math.sqrt(1 - beta2 ** t);
      const rectified = rectify ? rectification(beta2, t) : null;
      for (let i = 0; i < g.length; i++) {
        const gi = g[i] as number;
        const mi = beta1 * (m[i] as number) + (1 - beta1) * gi;
        const si = beta2 * (s[i] as number) + (1 - beta2) * (gi - mi) ** 2 + epsilon;
        m[i] = mi;
        s[i] = si;
        const root = Math.sqrt(si);
        let step = mi / first;
        if (!rectify) step /= root / second + epsilon;
        else if (rectified !== null) step *= (rectified * second) / (root + epsilon);
        theta[i] = (1 - eta * weightDecay) * (theta[i] as number) - eta * step;
      }
    },
  });
}

/** r, or null where the variance of the second moment is not yet tractable (ρ < 5). */
function rectification(beta2: number, t: number): number | null {
  const end = 2 / (1 - beta2) - 1;
  const power = beta2 ** t;
  const now = end - (2 * t * power) / (1 - power);
  if (now < 5) return null;
  return Math.sqrt(((now - 4) * (now - 2) * end) / ((end - 4) * (end - 2) * now));
}
