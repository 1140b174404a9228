/** Samples for a model: named arrays that share their first axis, read batch by batch. */
import { toFloat32, toInt32 } from '../base/convert.js';
import { InputError } from '../base/errors.js';
import { elementCount, isFloat, type NdArray } from '../base/ndarray.js';
import { type ArraySource, takeSamples } from './source.js';
import { checkChannels, type Standardization, standardize } from './standardize.js';

/**
 * What batches hold. Integers of any width arrive as int32, float16 as float32, and bytes as float32 where they
 * are images (IDX, or standardised).
 */
export type DataDType = 'float32' | 'float64' | 'int32' | 'bool';

/** Type and shape of one array of a dataset. */
export interface ArraySpec {
  readonly dtype: DataDType;
  /** without the leading axis of samples */
  readonly sampleShape: readonly number[];
}

/** Some samples, by the names of the dataset's arrays. */
export interface Batch {
  /** shapes are [count, ...sampleShape] */
  readonly inputs: Map<string, NdArray<DataDType>>;
  readonly target?: NdArray<DataDType>;
}

/** Samples by index: in memory, in files, or streamed. Files stay open until it is disposed. */
export interface Dataset extends AsyncDisposable {
  /** at least 1 */
  readonly samples: number;
  readonly inputs: ReadonlyMap<string, ArraySpec>;
  readonly target?: ArraySpec;
  /**
   * Samples [start, start + count), in the data's order. Treat the arrays as read-only: they may share memory
   * with the data. Throws InputError for a range outside the data, and for damaged files, NaN, infinities and
   * integers beyond 32 bits, naming array and sample.
   */
  batch(start: number, count: number): Promise<Batch>;
  /**
   * These samples in this order, repetitions allowed; errors as of `batch`. Absent where data can only be read as they
   * stand, such as streams.
   */
  take?(samples: ArrayLike<number>): Promise<Batch>;
  /** Closes files. Batches asked for afterwards are refused. */
  dispose(): Promise<void>;
}

export interface DatasetParts {
  readonly inputs: ReadonlyMap<string, ArraySource>;
  readonly target: ArraySource | undefined;
  /** First samples to use; default: all. */
  readonly samples: number | undefined;
  readonly standardization: Standardization | undefined;
  /** Inputs that are images whatever their dtype, so that bytes become float32. */
  readonly images: ReadonlySet<string>;
  close(): Promise<void>;
}

/** Joins arrays into a data set. Throws InputError where they do not fit together. */
export function makeDataset(parts: DatasetParts): Dataset {
  const samples = countSamples(parts);
  const inputs = new Map<string, Column>();
  for (const [name, source] of parts.inputs) {
    inputs.set(name, new Column(source, parts.standardization, parts.images.has(name)));
  }
  if (parts.standardization && ![...inputs.values()].some((column) => column.standardized)) {
    throw new InputError('scale, mean and std are given, but no input holds floats or bytes that they could apply to');
  }
  const target = parts.target && new Column(parts.target, undefined, false);
  return new ArrayDataset(samples, inputs, target, parts.close);
}

function countSamples({ inputs, target, samples }: DatasetParts): number {
  const sources = [...inputs.values(), ...(target ? [target] : [])];
  const [first] = sources;
  if (!first || inputs.size === 0) throw new InputError('the data hold no input arrays');
  for (const { what, shape } of sources) {
    if (shape.length === 0)
      throw new InputError(`${what} is a single number; it needs a first axis that counts samples`);
    if (shape[0] !== first.shape[0]) {
      throw new InputError(`${first.what} has ${first.shape[0]!} samples, ${what} has ${shape[0]!}; they must agree`);
    }
    if (elementCount(shape) === 0) throw new InputError(`${what} is empty: its shape is [${shape.join(', ')}]`);
  }
  const present = first.shape[0]!;
  if (samples === undefined) return present;
  if (!Number.isSafeInteger(samples) || samples < 1)
    throw new InputError(`samples must be a whole number above 0, not ${samples}`);
  if (samples > present) throw new InputError(`${samples} samples are asked for, ${first.what} has ${present}`);
  return samples;
}

/** the sample that stands in a row of what was read, for messages */
type SampleOf = (row: number) => number;

/** One array and how its stored values become those of a batch. */
class Column {
  readonly spec: ArraySpec;
  readonly standardized: boolean;

  constructor(
    private readonly source: ArraySource,
    private readonly standardization: Standardization | undefined,
    isImage: boolean,
  ) {
    const { dtype, shape, what } = source;
    const bytes = dtype === 'uint8' || dtype === 'int8';
    this.standardized = standardization !== undefined && (isFloat(dtype) || bytes);
    const asFloat = isFloat(dtype) || (bytes && (isImage || this.standardized));
    this.spec = {
      dtype: dtype === 'float64' || dtype === 'bool' ? dtype : asFloat ? 'float32' : 'int32',
      sampleShape: shape.slice(1),
    };
    if (standardization && this.standardized) checkChannels(standardization, this.spec.sampleShape, what);
  }

  async rows(start: number, count: number): Promise<NdArray<DataDType>> {
    return this.convert(await this.source.rows(start, count), (row) => start + row);
  }
  async take(samples: ArrayLike<number>): Promise<NdArray<DataDType>> {
    return this.convert(await takeSamples(this.source, samples), (row) => samples[row]!);
  }

  private convert(raw: NdArray, sampleOf: SampleOf): NdArray<DataDType> {
    const { shape } = raw;
    switch (this.spec.dtype) {
      case 'bool':
        // Other bytes than 0 and 1 would mean different things to different kernels.
        return { dtype: 'bool', shape, data: (raw as NdArray<'bool'>).data.map((byte) => (byte === 0 ? 0 : 1)) };
      case 'int32':
        return { dtype: 'int32', shape, data: toInt32(raw, (position) => this.where(position, sampleOf)) };
      case 'float32':
        return { dtype: 'float32', shape, data: this.finish(toFloat32(raw), raw, sampleOf) };
      case 'float64':
        return { dtype: 'float64', shape, data: this.finish((raw as NdArray<'float64'>).data, raw, sampleOf) };
    }
  }

  private finish<T extends Float32Array | Float64Array>(values: T, raw: NdArray, sampleOf: SampleOf): T {
    let data = values;
    if (this.standardization && this.standardized) {
      // toFloat32 may have returned the source's own memory, which is read again for the next product.
      if (data.buffer === raw.data.buffer) data = data.slice() as T;
      standardize(data, this.spec.sampleShape, this.standardization);
    }
    const bad = data.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) {
      throw new InputError(`${this.where(bad, sampleOf)} is ${data[bad]!}; every value must be finite`);
    }
    return data;
  }

  private where(position: number, sampleOf: SampleOf): string {
    const perSample = elementCount(this.spec.sampleShape);
    return `${this.source.what}: element ${position % perSample} of sample ${sampleOf(Math.floor(position / perSample))}`;
  }
}

class ArrayDataset implements Dataset {
  readonly inputs: ReadonlyMap<string, ArraySpec>;
  readonly target?: ArraySpec;
  private disposed = false;

  constructor(
    readonly samples: number,
    private readonly inputColumns: ReadonlyMap<string, Column>,
    private readonly targetColumn: Column | undefined,
    private readonly close: () => Promise<void>,
  ) {
    this.inputs = new Map([...inputColumns].map(([name, { spec }]) => [name, spec]));
    if (targetColumn) this.target = targetColumn.spec;
  }

  async batch(start: number, count: number): Promise<Batch> {
    if (this.disposed) throw new InputError('the data set has been disposed of');
    if (
      !Number.isSafeInteger(start) ||
      !Number.isSafeInteger(count) ||
      start < 0 ||
      count < 1 ||
      start + count > this.samples
    ) {
      throw new InputError(`samples ${start} to ${start + count} are asked for, the data set has ${this.samples}`);
    }
    const inputs = new Map<string, NdArray<DataDType>>();
    for (const [name, column] of this.inputColumns) inputs.set(name, await column.rows(start, count));
    return { inputs, ...(this.targetColumn ? { target: await this.targetColumn.rows(start, count) } : {}) };
  }

  async take(samples: ArrayLike<number>): Promise<Batch> {
    if (this.disposed) throw new InputError('the data set has been disposed of');
    checkSamples(samples, this.samples);
    const inputs = new Map<string, NdArray<DataDType>>();
    for (const [name, column] of this.inputColumns) inputs.set(name, await column.take(samples));
    return { inputs, ...(this.targetColumn ? { target: await this.targetColumn.take(samples) } : {}) };
  }

  async dispose(): Promise<void> {
    if (this.disposed) return;
    this.disposed = true;
    await this.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}

/** Throws InputError for the first of `samples` that is not one of `count`, or where there are none. */
export function checkSamples(samples: ArrayLike<number>, count: number): void {
  if (samples.length === 0) throw new InputError('no samples were asked for');
  for (let i = 0; i < samples.length; i++) {
    const s = samples[i]!;
    if (!(Number.isSafeInteger(s) && s >= 0 && s < count))
      throw new InputError(`sample ${s} is asked for, the data set has ${count}`);
  }
}
