/** Seeded choices for tests: the same every time. */
import { random } from '../reference/matrices.js';

export class Chance {
  readonly #next: () => number;
  constructor(seed: number) {
    this.#next = random(seed);
  }
  /** in [0, 1) */
  uniform(): number {
    return this.#next();
  }
  /** a whole number in [low, high] */
  int(low: number, high: number): number {
    return low + Math.floor(this.#next() * (high - low + 1));
  }
  bool(probability = 0.5): boolean {
    return this.#next() < probability;
  }
  pick<T>(from: readonly T[]): T {
    if (from.length === 0) throw new Error('nothing to pick from');
    return from[this.int(0, from.length - 1)] as T;
  }
  shuffled<T>(from: readonly T[]): T[] {
    const left = [...from];
    return from.map(() => left.splice(this.int(0, left.length - 1), 1)[0] as T);
  }
  /** each with probability 1/2 */
  subset<T>(from: readonly T[]): T[] {
    return from.filter(() => this.bool());
  }
  /** values of both signs, none of them near zero or whole */
  reals(count: number, low = -2, high = 2): number[] {
    return Array.from({ length: count }, () => low + this.#next() * (high - low));
  }
}
