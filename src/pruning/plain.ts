/** Methods that know nothing of the loss: the size of a weight, or chance. Nothing makes up for what goes. */
import { philoxUniform } from '../base/philox.js';
import type { Groups, PruningMethod, PruningPoint, Scorer } from './method.js';

/** Philox streams apart from those of probes, labels and epochs */
const stream = 2 ** 42;

function plain(name: string, score: (groups: Groups, point: PruningPoint) => Float64Array): PruningMethod {
  return {
    name,
    oneStep: true,
    open: async (point): Promise<Scorer> => ({
      score: async (groups) => score(groups, point),
      update: async (kept) => ({ weights: point.weights.map((w, j) => (kept[j] ? w : 0)), increase: null }),
      [Symbol.asyncDispose]: async () => undefined,
    }),
  };
}

/** Σ w² over a group. */
export const magnitude = (): PruningMethod =>
  plain('magnitude', ({ count, starts, members }, { weights }) =>
    Float64Array.from({ length: count }, (_, g) => {
      let sum = 0;
      for (let i = starts[g] as number; i < (starts[g + 1] as number); i++)
        sum += (weights[members[i] as number] as number) ** 2;
      return sum;
    }),
  );

/** Uniform numbers, drawn from the run's seed and anew at each step. */
export const random = (): PruningMethod =>
  plain('random', ({ count }, { seed, step }) => philoxUniform(seed, stream + step, 0, count));
