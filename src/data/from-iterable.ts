/** Data sets from functions that produce them: read in order, a little at a time, and anew for every pass. */
import { InputError, ShapeError } from '../base/errors.js';
import { describeArray, type NdArray } from '../base/ndarray.js';
import { quoted } from '../base/quote.js';
import { type Dataset, makeDataset } from './dataset.js';
import { type ArrayInput, toNdArray } from './from-arrays.js';
import { type ArraySource, concatenate } from './source.js';
import { parseStandardization, type StandardizeOptions } from './standardize.js';

/** Options of `datasetFromIterable`. */
export interface FromIterableOptions extends StandardizeOptions {
  /** What is yielded: batches of any sizes, whose first axis counts samples (default), or single samples without it. */
  readonly of?: 'batches' | 'samples';
  /** The first N samples. Where it is absent a pass counts them. */
  readonly samples?: number;
}

type Named = Readonly<Record<string, ArrayInput>>;

/**
 * Data that a function yields: arrays by input name, and `target`. It is called again for every pass and must yield the
 * same each time (products check that). What is held in memory is what is yielded at once, and one batch.
 * Best read in order: to go back means to start again. Throws InputError for arrays that do not fit together.
 */
export async function datasetFromIterable(
  start: () => AsyncIterable<Named> | Iterable<Named>,
  options: FromIterableOptions = {},
): Promise<Dataset> {
  const standardization = parseStandardization(options);
  const { samples } = options;
  const stream = new Stream(start, options.of ?? 'batches');
  try {
    const first = await stream.first();
    const count = samples ?? (await stream.count());
    const source = (name: string, { dtype, shape }: NdArray): ArraySource => ({
      what: `array ${quoted(name)}`,
      dtype,
      shape: [count, ...shape.slice(1)],
      rows: async (from, n) => (await stream.window(from, n)).get(name) as NdArray,
    });
    const sources = new Map([...first].map(([name, array]) => [name, source(name, array)]));
    const target = sources.get('target');
    sources.delete('target');
    const close = (): Promise<void> => stream.close();
    return makeDataset({ inputs: sources, target, samples, standardization, images: new Set(), close });
  } catch (error) {
    await stream.close();
    throw error;
  }
}

type Arrays = ReadonlyMap<string, NdArray>;

class Stream {
  private iterator: AsyncIterator<Named> | Iterator<Named> | undefined;
  /** what was yielded last, and the number of its first sample */
  private chunk: Arrays = new Map();
  private at = 0;
  private kinds: ReadonlyMap<string, string> | undefined;
  private latest: { readonly key: string; readonly arrays: Promise<Arrays> } | undefined;
  /** requests wait for each other: there is one iterator */
  private queue: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly start: () => AsyncIterable<Named> | Iterable<Named>,
    private readonly of: 'batches' | 'samples',
  ) {}

  async first(): Promise<Arrays> {
    if (!(await this.advance())) throw new InputError('the iterable yields nothing');
    return this.chunk;
  }

  /** Runs to the end. */
  async count(): Promise<number> {
    while (await this.advance());
    return this.at;
  }

  /** Samples [start, start + count) of every array; the latest are remembered, because each array asks for its own. */
  window(start: number, count: number): Promise<Arrays> {
    const key = `${start} ${count}`;
    if (this.latest?.key !== key) {
      const arrays = this.queue.then(() => this.read(start, count));
      this.queue = arrays.catch(() => undefined);
      this.latest = { key, arrays };
    }
    return this.latest.arrays;
  }

  async close(): Promise<void> {
    const { iterator } = this;
    this.iterator = undefined;
    this.chunk = new Map();
    this.at = 0;
    await iterator?.return?.();
  }

  private async read(start: number, count: number): Promise<Arrays> {
    if (start < this.at) await this.close();
    const parts: Arrays[] = [];
    for (let next = start; next < start + count; ) {
      const size = sizeOf(this.chunk);
      if (next < this.at + size) {
        const from = next - this.at;
        const to = Math.min(size, start + count - this.at);
        parts.push(new Map([...this.chunk].map(([name, array]) => [name, rowsOf(array, from, to)])));
        next = this.at + to;
      } else if (!(await this.advance())) {
        throw new InputError(
          `the iterable ends after ${this.at} samples, ${start + count} are needed; its function must start anew at every call`,
        );
      }
    }
    const [one] = parts as [Arrays];
    return new Map([...one.keys()].map((name) => [name, concatenate(parts.map((p) => p.get(name) as NdArray))]));
  }

  /** To the next chunk; false at the end. */
  private async advance(): Promise<boolean> {
    if (!this.iterator) {
      const iterable = this.start();
      this.iterator = Symbol.asyncIterator in iterable ? iterable[Symbol.asyncIterator]() : iterable[Symbol.iterator]();
    }
    const { done, value } = await this.iterator.next();
    this.at += sizeOf(this.chunk);
    this.chunk = done ? new Map() : this.checked(value);
    return !done;
  }

  private checked(given: Named): Arrays {
    const where = `the arrays from sample ${this.at} on`;
    const arrays = new Map<string, NdArray>();
    for (const [name, input] of Object.entries(given)) {
      const array = toNdArray(input, `array ${quoted(name)} at sample ${this.at}`);
      arrays.set(name, this.of === 'samples' ? { ...array, shape: [1, ...array.shape] } : array);
      if (array.shape.length === 0 && this.of === 'batches')
        throw new ShapeError(
          `array ${quoted(name)} at sample ${this.at} has no axis of samples; say { of: 'samples' }`,
        );
    }
    if (new Set([...arrays.values()].map(({ shape }) => shape[0])).size > 1)
      throw new ShapeError(`${where} disagree in their numbers of samples`);
    const kinds = new Map([...arrays].map(([name, { dtype, shape }]) => [name, describeArray(dtype, shape.slice(1))]));
    this.kinds ??= kinds;
    for (const name of new Set([...this.kinds.keys(), ...kinds.keys()])) {
      const [was, is] = [this.kinds.get(name), kinds.get(name)];
      if (was !== is)
        throw new ShapeError(
          `array ${quoted(name)}: samples were ${was ?? 'absent'} at first, from sample ${this.at} on they are ${is ?? 'absent'}`,
        );
    }
    return arrays;
  }
}

function sizeOf(chunk: Arrays): number {
  const [array] = chunk.values();
  return array?.shape[0] ?? 0;
}

/** Shares memory. */
function rowsOf({ dtype, shape, data }: NdArray, from: number, to: number): NdArray {
  const each = data.length / (shape[0] as number);
  return { dtype, shape: [to - from, ...shape.slice(1)], data: data.subarray(from * each, to * each) } as NdArray;
}
