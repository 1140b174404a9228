/** How the sparsity rises: over the events of a gradual run, and over the steps of one event. */
import { InputError } from '../base/errors.js';

/**
 * Sparsity after event k of K (1 … K) of a gradual run from s₀ to s: s + (s₀ − s)(1 − (k−1)/(K−1))³, a steep start and a
 * flat end (Zhu and Gupta 2017, with the first event at s₀). Of a single event: s.
 */
export function gradualSparsity(event: number, events: number, initial: number, final: number, power = 3): number {
  if (event >= events) return final;
  return final + (initial - final) * (1 - (event - 1) / (events - 1)) ** power;
}

/** Sparsity after step t of T from s₀ to s: what is kept shrinks by the same factor at each step (Frantar et al. 2021). */
export function geometricSparsity(step: number, steps: number, initial: number, final: number): number {
  if (step >= steps) return final;
  return 1 - (1 - initial) * ((1 - final) / (1 - initial)) ** (step / steps);
}

/** Throws InputError unless in [0, 1). */
export function checkSparsity(sparsity: number, what = 'the sparsity'): void {
  if (!(sparsity >= 0 && sparsity < 1)) throw new InputError(`${what} must be at least 0 and below 1, not ${sparsity}`);
}
