/** For models that compute their own loss: they take the targets as an input. */
import type { ArraySpec, Batch, Dataset } from './dataset.js';

/** The same data with the target as one more input, named 'target'. Closing it closes the original. */
export function targetAsInput(data: Dataset): Dataset {
  const inputs = new Map(data.inputs).set('target', data.target as ArraySpec);
  return {
    samples: data.samples,
    inputs,
    async batch(start, count): Promise<Batch> {
      const { inputs: arrays, target } = await data.batch(start, count);
      return { inputs: target ? new Map(arrays).set('target', target) : arrays };
    },
    fingerprint: () => data.fingerprint(),
    dispose: () => data.dispose(),
    [Symbol.asyncDispose]: () => data.dispose(),
  };
}
