/** Orders to train in. */
import { RandomStream } from '../base/philox.js';

/** Philox streams of epochs, apart from those of probes and labels */
const epochStream = 2 ** 41;

/** 0 … count−1 in an order that seed and epoch determine alone (Fisher–Yates, with Philox uniform numbers). */
export function shuffled(count: number, seed = 0, epoch = 0): Int32Array {
  const order = Int32Array.from({ length: count }, (_, i) => i);
  const random = new RandomStream(seed, epochStream + epoch);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random.uniform(i) * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
