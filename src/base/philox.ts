/**
 * Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011): a block
 * cipher of a counter, so that number i of a stream is computed without those before it and is the same for any
 * thread count, rank count or device.
 *
 * Convention, shared with native/kernels/random: the key is the seed (low 32 bits, high 32 bits); the counter is
 * (block low, block high, stream low, stream high). Block b gives elements 4b … 4b+3, one word each:
 *   uniform     (word + ½) / 2³², in (0, 1)
 *   rademacher  1 or −1 by the word's top bit
 *   normal      Box–Muller of words (0, 1) and of words (2, 3): radius √(−2 ln u), angle 2πv, cosine first
 * Words, uniform and rademacher numbers equal the native ones bit for bit; normal ones to a few units in the last
 * place of float64, because the two take logarithm and sine from different libraries.
 */
import { InputError } from './errors.js';

const multiplier0 = 0xd2511f53;
const multiplier1 = 0xcd9e8d57;
const weyl0 = 0x9e3779b9;
const weyl1 = 0xbb67ae85;

/** Applies the ten rounds to the counter, in place. All words are uint32. */
export function philoxRounds(counter: Uint32Array, key0: number, key1: number): void {
  let [c0, c1, c2, c3] = counter as unknown as [number, number, number, number];
  let k0 = key0;
  let k1 = key1;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(multiplier0, c0);
    const low0 = Math.imul(multiplier0, c0) >>> 0;
    const high1 = multiplyHigh(multiplier1, c2);
    const low1 = Math.imul(multiplier1, c2) >>> 0;
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0;
    k0 = (k0 + weyl0) >>> 0;
    k1 = (k1 + weyl1) >>> 0;
  }
  counter[0] = c0;
  counter[1] = c1;
  counter[2] = c2;
  counter[3] = c3;
}

/** The upper 32 bits of the 64-bit product of two uint32. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  // Every term stays below 2^34, where doubles are exact.
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = (middle % 0x10000) + aLow * bHigh;
  return aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(carry / 0x10000);
}

/** The numbers of one stream under one seed, from any position. Both are whole numbers from 0 to 2^53 − 1. */
export class RandomStream {
  private readonly key: readonly [number, number];
  private readonly stream: readonly [number, number];
  private readonly block = new Uint32Array(4);
  private loaded = -1;

  constructor(seed: number, stream = 0) {
    this.key = halves(seed, 'seed');
    this.stream = halves(stream, 'stream');
  }

  /** The uint32 behind element `index`. */
  word(index: number): number {
    this.load(Math.floor(index / 4));
    return this.block[index % 4]!;
  }

  /** In the open interval (0, 1). */
  uniform(index: number): number {
    return unitInterval(this.word(index));
  }

  /** −1 or 1. */
  rademacher(index: number): number {
    return this.word(index) >>> 31 ? 1 : -1;
  }

  /** Standard normal. Elements 2i and 2i + 1 come from the same two words. */
  normal(index: number): number {
    const first = index - (index % 2);
    const radius = Math.sqrt(-2 * Math.log(this.uniform(first)));
    const angle = 2 * Math.PI * this.uniform(first + 1);
    return radius * (index % 2 === 0 ? Math.cos(angle) : Math.sin(angle));
  }

  private load(block: number): void {
    if (block === this.loaded) return;
    this.block.set([block, Math.floor(block / 0x1_0000_0000), ...this.stream]); // a Uint32Array keeps the low 32 bits
    philoxRounds(this.block, ...this.key);
    this.loaded = block;
  }
}

function unitInterval(word: number): number {
  return (word + 0.5) / 0x1_0000_0000;
}

function halves(value: number, what: string): readonly [number, number] {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new InputError(`${what} must be a whole number from 0 to 2^53 - 1, not ${value}`);
  }
  return [value % 0x1_0000_0000, Math.floor(value / 0x1_0000_0000)];
}

/** Elements [from, from + count) of a stream in (0, 1), as the native core's 'uniform'. */
export function philoxUniform(seed: number, stream: number, from: number, count: number): Float64Array {
  const source = new RandomStream(seed, stream);
  return Float64Array.from({ length: count }, (_, i) => source.uniform(from + i));
}

/** The same, standard normal, as the native core's 'normal' up to rounding of log and cos. */
export function philoxNormal(seed: number, stream: number, from: number, count: number): Float64Array {
  const source = new RandomStream(seed, stream);
  return Float64Array.from({ length: count }, (_, i) => source.normal(from + i));
}
