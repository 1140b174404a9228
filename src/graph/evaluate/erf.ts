/** The error function to float64 accuracy. */
export function erf(x: number): number {
  if (Number.isNaN(x)) return NaN;
  const a = Math.abs(x);
  const y = a < 2.5 ? series(a) : a > 6 ? 1 : 1 - tail(a);
  return x < 0 ? -y : y;
}

/** 2/√π · e^(−a²) · Σ 2ⁿ a²ⁿ⁺¹ / (1·3·…·(2n+1)): all terms are positive, so nothing cancels */
function series(a: number): number {
  let term = a,
    sum = a;
  for (let n = 1; term > sum * 1e-17; n++) {
    term *= (2 * a * a) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-a * a) * sum;
}

/** 1 − erf by its continued fraction, evaluated from the inside: 60 levels converge for a ≥ 2.5 */
function tail(a: number): number {
  let fraction = a;
  for (let n = 60; n >= 1; n--) fraction = a + n / 2 / fraction;
  return Math.exp(-a * a) / (Math.sqrt(Math.PI) * fraction);
}
