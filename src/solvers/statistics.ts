/** Means with their errors, as every estimator here reports them. */

/** A mean with its error. */
export interface Estimate {
  readonly estimate: number;
  /** standard deviation of `estimate`; null where one sample tells nothing about its spread */
  readonly standardError: number | null;
}

export function mean(samples: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < samples.length; i += 1) sum += samples[i] as number;
  return sum / samples.length;
}

/** Mean of independent samples and its standard error s/√n, s with n − 1. */
export function estimate(samples: ArrayLike<number>): Estimate {
  const n = samples.length;
  const average = mean(samples);
  if (n < 2) return { estimate: average, standardError: null };
  let squares = 0;
  for (let i = 0; i < n; i += 1) squares += ((samples[i] as number) - average) ** 2;
  return { estimate: average, standardError: Math.sqrt(squares / (n - 1) / n) };
}

/**
 * t with P(|T| ≤ t) = probability for Student's T with `freedom` ≥ 1 degrees of freedom.
 *
 * With T = √ν tan θ, that probability is a finite sum of powers of cos θ, one series for odd and one for
 * even ν (Abramowitz & Stegun 26.7.3–4); θ is found by bisection.
 */
export function tQuantile(probability: number, freedom: number): number {
  let [low, high] = [0, Math.PI / 2];
  for (let i = 0; i < 60; i += 1) {
    const middle = (low + high) / 2;
    if (centralProbability(middle, freedom) < probability) low = middle;
    else high = middle;
  }
  return Math.sqrt(freedom) * Math.tan((low + high) / 2);
}

function centralProbability(theta: number, freedom: number): number {
  const [sin, cos] = [Math.sin(theta), Math.cos(theta)];
  const odd = freedom % 2 === 1;
  let term = odd ? cos : 1;
  let series = freedom === 1 ? 0 : term;
  for (let power = odd ? 3 : 2; power <= freedom - 2; power += 2) {
    term *= (cos * cos * (power - 1)) / power;
    series += term;
  }
  return odd ? (2 / Math.PI) * (theta + sin * series) : sin * series;
}
