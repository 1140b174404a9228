/**
 * What one pass over data finds out: a fingerprint of all values, and a sum of each sample's bits, by which every later
 * pass is checked at the cost of reading memory (2.2 GiB/s on one core). A second pass that differs, as random augmentation
 * makes it, would otherwise give products of several functions at once.
 */
import { createHash, type Hash } from 'node:crypto';
import { checkInterrupted, InputError } from '../base/errors.js';
import { elementCount, type NdArray, toBytes } from '../base/ndarray.js';
import type { Batch, DataDType, Dataset } from './dataset.js';

export class DataSurvey {
  readonly #hashes: ReadonlyMap<string, Hash>;
  readonly #header: string;
  readonly #sums: Int32Array;
  #fingerprint: string | undefined;

  /** Of the first `samples`. */
  constructor(data: Dataset, samples = data.samples) {
    const specs = [...data.inputs, ...(data.target ? [['target', data.target] as const] : [])];
    this.#header = JSON.stringify([samples, specs]);
    // One hash for each array, so that the batches may be of any size.
    this.#hashes = new Map([...data.inputs.keys(), targetKey].map((name) => [name, createHash('sha256')]));
    this.#sums = new Int32Array(samples);
  }

  /** The next samples, from `start` on; a pass adds all of them in order. */
  add(batch: Batch, start: number): void {
    for (const [name, array] of arraysOf(batch)) this.#hashes.get(name)?.update(toBytes(array));
    this.#sums.set(sampleSums(batch), start);
  }

  /** SHA-256 of names, types, shapes and values as batches give them; the same for any file format. */
  get fingerprint(): string {
    this.#fingerprint ??= [...this.#hashes.values()]
      .reduce((all, hash) => all.update(hash.digest()), createHash('sha256').update(this.#header))
      .digest('hex');
    return this.#fingerprint;
  }

  /** Throws InputError that names the first sample of a batch whose values are not those of the pass. */
  check(batch: Batch, start: number): void {
    const sums = sampleSums(batch);
    const row = sums.findIndex((sum, i) => sum !== this.#sums[start + i]);
    if (row >= 0)
      throw new InputError(
        `the data differ between two readings, first at sample ${start + row}; products need the same values every time: read without shuffling and random augmentation`,
      );
  }
}

/** SHA-256 of names, types, shapes and values as batches give them; the same for any file format. Reads all data once. */
export async function dataFingerprint(data: Dataset, options: { signal?: AbortSignal } = {}): Promise<string> {
  const survey = new DataSurvey(data);
  const values = [...data.inputs.values()].reduce((sum, { sampleShape }) => sum + elementCount(sampleShape), 0);
  const size = Math.max(1, Math.floor(2 ** 20 / values));
  for await (const { batch, start } of batchesOf(data, data.samples, size)) {
    checkInterrupted(options.signal);
    survey.add(batch, start);
  }
  return survey.fingerprint;
}

/** The first `samples` in batches, each read while the one before it is used. */
export async function* batchesOf(
  data: Dataset,
  samples: number,
  size: number,
): AsyncGenerator<{ batch: Batch; start: number; count: number }> {
  const read = (start: number): Promise<Batch> | undefined => {
    if (start >= samples) return undefined;
    const reading = data.batch(start, Math.min(size, samples - start));
    reading.catch(() => undefined); // it is told when its turn comes
    return reading;
  };
  let next = read(0);
  try {
    for (let start = 0; next; start += size) {
      const batch = await next;
      next = read(start + size);
      yield { batch, start, count: Math.min(size, samples - start) };
    }
  } finally {
    await next?.catch(() => undefined); // nothing is being read any more when a pass has ended
  }
}

/** no input has it: names are not empty */
const targetKey = '';
function arraysOf({ inputs, target }: Batch): [string, NdArray<DataDType>][] {
  return [...inputs, ...(target ? [[targetKey, target] as [string, NdArray<DataDType>]] : [])];
}

/**
 * 32 bits for each sample that change with any one of its numbers: four interleaved chains
 * h ← (rotl(h, 13) ⊕ word) · odd, which the processor runs side by side. The rotation keeps pairs of flipped signs from
 * cancelling.
 */
function sampleSums(batch: Batch): Int32Array {
  let sums: Int32Array | undefined;
  for (const [, { shape, data }] of arraysOf(batch)) {
    const samples = shape[0] as number;
    const words = data instanceof Uint8Array ? data : new Int32Array(data.buffer, data.byteOffset, data.byteLength / 4);
    const each = words.length / samples;
    sums ??= new Int32Array(samples);
    let at = 0;
    for (let s = 0; s < samples; s++) {
      let a = sums[s] as number;
      let b = 1;
      let c = 2;
      let d = 3;
      const end = at + each;
      for (; at + 4 <= end; at += 4) {
        a = Math.imul(((a << 13) | (a >>> 19)) ^ (words[at] as number), 0x01000193);
        b = Math.imul(((b << 13) | (b >>> 19)) ^ (words[at + 1] as number), 0x85ebca6b);
        c = Math.imul(((c << 13) | (c >>> 19)) ^ (words[at + 2] as number), 0xc2b2ae35);
        d = Math.imul(((d << 13) | (d >>> 19)) ^ (words[at + 3] as number), 0x27d4eb2f);
      }
      for (; at < end; at++) a = Math.imul(((a << 13) | (a >>> 19)) ^ (words[at] as number), 0x01000193);
      a = Math.imul(((a << 13) | (a >>> 19)) ^ b, 0x01000193);
      a = Math.imul(((a << 13) | (a >>> 19)) ^ c, 0x01000193);
      sums[s] = Math.imul(((a << 13) | (a >>> 19)) ^ d, 0x01000193);
    }
  }
  return sums as Int32Array;
}
