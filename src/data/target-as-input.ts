/** For models that compute their own loss: they take the targets as an input. */
import type { ArraySpec, Batch, Dataset } from './dataset.js';

/** The same data with the target as one more input, named 'target'. Closing it closes the original. */
export function targetAsInput(data: Dataset): Dataset {
  const inputs = new Map(data.inputs).set('target', data.target as ArraySpec);
  const moved = ({ inputs: arrays, target }: Batch): Batch => ({
    inputs: target ? new Map(arrays).set('target', target) : arrays,
  });
  const take = data.take?.bind(data);
  return {
    samples: data.samples,
    inputs,
    batch: async (start, count) => moved(await data.batch(start, count)),
    ...(take && { take: async (samples: ArrayLike<number>) => moved(await take(samples)) }),
    dispose: () => data.dispose(),
    [Symbol.asyncDispose]: () => data.dispose(),
  };
}
