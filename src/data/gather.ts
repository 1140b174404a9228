/** Samples in any order from any data set. */
import type { NdArray } from '../base/ndarray.js';
import { type Batch, checkSamples, type DataDType, type Dataset } from './dataset.js';
import { concatenate, runs } from './source.js';

/** These samples in this order; where the data set cannot `take` them itself, by a batch for each run of neighbours. */
export async function gather(data: Dataset, samples: ArrayLike<number>): Promise<Batch> {
  if (data.take) return data.take(samples);
  checkSamples(samples, data.samples);
  const parts: Batch[] = [];
  for (const [start, count] of runs(samples)) parts.push(await data.batch(start, count));
  const inputs = new Map<string, NdArray<DataDType>>();
  for (const name of data.inputs.keys())
    inputs.set(name, concatenate(parts.map((part) => part.inputs.get(name) as NdArray<DataDType>)));
  if (!data.target) return { inputs };
  return { inputs, target: concatenate(parts.map((part) => part.target as NdArray<DataDType>)) };
}
