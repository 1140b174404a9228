/**
 * An objective on a device: parameters and batches in device memory, and programs run over every batch.
 *
 * Each batch adds its share to the results, so whatever the batch size, the sum is the same mean. Data that fit stay
 * on the device; otherwise they are read again for every pass.
 */
import { cached } from '../base/cached.js';
import { InputError } from '../base/errors.js';
import { philoxNormal, philoxUniform } from '../base/philox.js';
import type { Block } from '../device/block.js';
import type { Device } from '../device/device.js';
import type { NativeBuffer } from '../device/native.js';
import type { Attachment } from '../device/program.js';
import { LoadedProgram } from '../device/program.js';
import type { FloatDType, Node } from '../graph/index.js';
import { ops, sizeOf } from '../graph/index.js';
import type { CompiledProgram, OutputPlacement, Placement } from '../transform/compile.js';
import { compile } from '../transform/compile.js';
import { bytesOf } from '../transform/views.js';
import type { BatchGraph } from './batch-graph.js';
import { batchGraph } from './batch-graph.js';
import { fillNoise } from './noise.js';
import type { Objective, Survey } from './objective.js';
import { packBatch } from './pack-batch.js';

/** Random numbers that a Fisher's labels are drawn with. */
export interface LabelDraws {
  readonly draws: number;
  readonly seed: number;
}

export interface ExecutionOptions {
  readonly device: Device;
  readonly dtype: FloatDType;
  readonly labels?: LabelDraws | undefined;
  /** where the parameters are instead of at the model's values; stays the caller's */
  readonly parameters?: Block | undefined;
  /** of dropout in training mode. Default 0 */
  readonly seed?: number | undefined;
  /** stops the first pass over the data */
  readonly signal?: AbortSignal | undefined;
  /** bytes of batches to keep on the device; the rest is read again for each pass */
  readonly dataBudget?: number | undefined;
}

/** Philox streams set apart from those of probes, which count from 0. */
const labelStream = 2 ** 40;

export class Execution {
  readonly objective: Objective;
  readonly device: Device;
  readonly dtype: FloatDType;
  /** one vector; read anew by every run, so that writing to it moves the point of evaluation */
  readonly parameters: Block;
  readonly #ownsParameters: boolean;
  readonly #labels: LabelDraws | undefined;
  readonly seed: number;
  readonly #dataBudget: number;
  readonly #graphs = new Map<number, BatchGraph>();
  readonly #resident = new Map<number, NativeBuffer>();
  readonly #programs: LoadedProgram[] = [];
  #scratch: NativeBuffer | undefined;
  #disposed = false;
  readonly #survey: Survey;
  /** loss terms of all samples */
  readonly #total: number;
  #ahead: { readonly batch: number; readonly bytes: Promise<Uint8Array> } | undefined;
  #latest = -1;
  #coupled: Promise<boolean> | undefined;

  private constructor(objective: Objective, options: ExecutionOptions, survey: Survey, parameters: Block) {
    this.objective = objective;
    this.device = options.device;
    this.dtype = options.dtype;
    this.#labels = options.labels;
    this.seed = options.seed ?? 0;
    this.#dataBudget = options.dataBudget ?? Number.POSITIVE_INFINITY;
    this.#survey = survey;
    this.#total = survey.counts.reduce((a, b) => a + b, 0);
    this.#ownsParameters = options.parameters === undefined;
    this.parameters = parameters;
  }

  static async create(objective: Objective, options: ExecutionOptions): Promise<Execution> {
    const survey = await objective.survey(options.signal);
    const parameters = options.parameters ?? (await uploaded(objective, options.device, options.dtype));
    const execution = new Execution(objective, options, survey, parameters);
    try {
      await execution.#refuseCoupled();
    } catch (error) {
      execution.dispose();
      throw error;
    }
    return execution;
  }

  /**
   * Where a sample's output depends on the others of its batch, several batches or padding would change the function,
   * so they are refused unless the objective says that each batch counts on its own.
   */
  async #refuseCoupled(): Promise<void> {
    const { objective } = this;
    const alone = objective.batches === 1 && objective.samplesOf(0) === this.extent(0);
    if (alone || objective.perBatch || !(await this.coupled())) return;
    throw new InputError(
      `in ${objective.model.source} the samples of a batch influence one another, so that the batches would change the result; ${
        objective.model.mode === 'train' ? 'load it in mode eval' : 'export it in evaluation mode (model.eval())'
      }, take all samples as one batch, or let each batch count on its own (--batch-coupled per-batch)`,
    );
  }
  /** Refuses what needs a loss of each sample alone where there is none. */
  async refusePerSample(what: string): Promise<void> {
    if (await this.coupled())
      throw new InputError(
        `${what} needs the gradient of each sample alone, but in ${this.objective.model.source} the samples of a batch influence one another; ` +
          (this.objective.model.mode === 'train'
            ? 'load it in mode eval'
            : 'export it in evaluation mode (model.eval())'),
      );
  }

  /** Whether samples of a batch influence one another. */
  coupled(): Promise<boolean> {
    this.#coupled ??= this.#findCoupling();
    return this.#coupled;
  }
  /**
   * Batch statistics say so themselves. Otherwise the output of sample 0 must be the same among the first batch and
   * among copies of itself.
   */
  async #findCoupling(): Promise<boolean> {
    const { objective, device, dtype } = this;
    const graph = this.graph(0);
    if (graph.updates.length > 0) return true;
    if (objective.loss.target === null || graph.samples === 1) return false;
    const { shape } = graph.output;
    const node = ops.slice(
      graph.output,
      shape.map(() => 0),
      [1, ...shape.slice(1)],
    );
    const program = this.load(graph, new Map(), [{ node, binding: 'first' }]);
    const buffer = device.allocate(bytesOf(node.shape, dtype));
    const first = async (count: number): Promise<Float64Array> => {
      const data = this.#upload(0, await this.#read(0, count), count);
      const attached = this.attachments(program, data);
      attached.set('first', { buffer, byteOffset: 0 });
      program.run(attached, undefined);
      data.dispose();
      const values = dtype === 'float32' ? new Float32Array(sizeOf(node.shape)) : new Float64Array(sizeOf(node.shape));
      await device.guardAsync(() => device.native.read(buffer, 0, values));
      return Float64Array.from(values);
    };
    try {
      const [among, copies] = [await first(objective.samplesOf(0)), await first(1)];
      const largest = (values: Float64Array): number => values.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      const moved = largest(among.map((x, i) => x - (copies[i] as number)));
      // the same instructions on the same numbers: what rounding may do is far below
      return moved > (dtype === 'float32' ? 1e-4 : 1e-9) * largest(among);
    } finally {
      buffer.dispose();
    }
  }

  /** Equal where the function, the data, the type and the drawn labels are. Made anew each time: it reads all weights. */
  fingerprint(): string {
    const { draws, seed } = this.#labels ?? { draws: 0, seed: 0 };
    const noise = this.graph(0).noise.length > 0 ? [`noise ${this.seed}`] : [];
    return [this.objective.fingerprint(this.#survey), this.dtype, `${draws} draws`, `seed ${seed}`, ...noise].join('|');
  }

  /** samples that the program for this batch takes, padding included */
  extent(batch: number): number {
    return this.objective.pads ? this.objective.batchSize : this.objective.samplesOf(batch);
  }

  /** The graph of a batch; shared by all batches of its extent. */
  graph(batch: number): BatchGraph {
    return this.graphOf(this.extent(batch));
  }
  /** The graph of a batch of `samples`, padding included. */
  graphOf(samples: number): BatchGraph {
    return cached(this.#graphs, samples, () =>
      batchGraph(this.objective, samples, this.dtype, this.#labels?.draws ?? 0),
    );
  }

  /** Compiles and loads a program over leaves of `graph` and the further placed nodes. */
  load(graph: BatchGraph, inputs: ReadonlyMap<Node, Placement>, outputs: readonly OutputPlacement[]): LoadedProgram {
    return this.loadCompiled(compile({ inputs: new Map([...graph.places, ...inputs]), outputs }));
  }
  loadCompiled(compiled: CompiledProgram): LoadedProgram {
    const program = new LoadedProgram(this.device, compiled);
    this.#programs.push(program);
    return program;
  }

  /** Bytes of data on the device at the most: those kept there, and if not all are, those on their way. */
  get dataBytes(): number {
    const each = this.graph(0).dataBytes;
    const kept = Math.floor(this.#dataBudget / each);
    // one batch in use, one being written, which the queue holds a copy of, and one read ahead
    return each * Math.min(this.objective.batches, kept + 4);
  }

  /**
   * Queues work on a batch's data, which stay on the device while the budget allows. Resolves when the queue is short;
   * where data are not kept, when that work is the last in it, so that no more than two batches wait there. Where
   * batches are asked for in order, the next one is read meanwhile; what fails in that is told by the call that asks for it.
   */
  async withData<T>(batch: number, work: (data: NativeBuffer) => T | Promise<T>): Promise<T> {
    const data = this.#resident.get(batch) ?? (await this.#bring(batch));
    try {
      if (this.#disposed) throw new InputError('the operator has been disposed');
      this.#readAhead(batch);
      return await work(data);
    } finally {
      const kept = this.#resident.get(batch) === data;
      // the device frees it once queued work that uses it is done
      if (!kept) data.dispose();
      await this.device.throttle(kept ? undefined : 1);
    }
  }

  /** Starts to read the batch after this one, if a pass is on its way to it. */
  #readAhead(batch: number): void {
    const inOrder = batch === 0 || batch === this.#latest + 1;
    this.#latest = batch;
    const next = batch + 1;
    if (!inOrder || next === this.objective.batches || this.#resident.has(next) || this.#ahead?.batch === next) return;
    const bytes = this.#read(next);
    bytes.catch(() => undefined);
    this.#ahead = { batch: next, bytes };
  }

  /** The first `count` samples of a batch, padded, as the device takes them. */
  async #read(batch: number, count = this.objective.samplesOf(batch)): Promise<Uint8Array> {
    const { objective } = this;
    const graph = this.graph(batch);
    const start = batch * objective.batchSize;
    const arrays = await objective.data.batch(start, count);
    this.#survey.data.check(arrays, start);
    return packBatch(graph, {
      batch: arrays,
      count,
      sampleOf: (row) => start + row,
      counts: this.#survey.counts.subarray(start, start + count),
      weight: 1 / this.#total,
      share: count / objective.samples,
      random: graph.random && this.#labels ? this.#randomNumbers(graph, start, count) : null,
    });
  }

  /** To the device, where random numbers of training mode join them. */
  #upload(batch: number, bytes: Uint8Array, count = this.objective.samplesOf(batch)): NativeBuffer {
    const buffer = this.device.allocate(bytes.byteLength);
    try {
      this.device.guard(() => {
        this.device.native.write(buffer, 0, bytes);
      });
      const samples = [[batch * this.objective.batchSize, count]] as const;
      fillNoise(this.device, this.graph(batch), buffer, { seed: this.seed, step: 0, samples });
    } catch (error) {
      buffer.dispose();
      throw error;
    }
    return buffer;
  }

  async #bring(batch: number): Promise<NativeBuffer> {
    const ahead = this.#ahead?.batch === batch ? this.#ahead.bytes : undefined;
    if (ahead) this.#ahead = undefined;
    const buffer = this.#upload(batch, await (ahead ?? this.#read(batch)));
    // while the data were read, another product may have brought them too, or the operator may have been disposed
    const fits = (this.#resident.size + 1) * buffer.byteLength <= this.#dataBudget;
    if (fits && !this.#disposed && !this.#resident.has(batch)) this.#resident.set(batch, buffer);
    return buffer;
  }

  /** Number (sample, position, draw) depends on nothing but those three and the seed, so batches may fall anyhow. */
  #randomNumbers(graph: BatchGraph, start: number, count: number): Float64Array {
    const { draws, seed } = this.#labels as LabelDraws;
    const random = graph.random as Node;
    const perSample = sizeOf(random.shape) / draws / graph.samples;
    const out = new Float64Array(sizeOf(random.shape)).fill(0.5);
    const generate = graph.bound.likelihood?.distribution === 'normal' ? philoxNormal : philoxUniform;
    for (let d = 0; d < draws; d++) {
      const values = generate(seed, labelStream + d, start * perSample, count * perSample);
      out.set(values, d * graph.samples * perSample);
    }
    return out;
  }

  /** The attachments every program of this execution has, with scratch enough for `program`. */
  attachments(program: LoadedProgram, data: NativeBuffer): Map<string, Attachment> {
    const whole = (buffer: NativeBuffer): Attachment => ({ buffer, byteOffset: 0 });
    return new Map([
      ['parameters', this.parameters],
      ['data', whole(data)],
      ['scratch', whole(this.scratch(program.source.scratchBytes))],
    ]);
  }
  /** One scratch serves all programs: the queue runs them one after another. */
  scratch(bytes: number): NativeBuffer {
    if (!this.#scratch || this.#scratch.byteLength < bytes) {
      this.#scratch?.dispose();
      this.#scratch = undefined;
      this.#scratch = this.device.allocate(Math.max(bytes, 64));
    }
    return this.#scratch;
  }

  dispose(): void {
    this.#disposed = true;
    this.#ahead = undefined;
    for (const p of this.#programs) p.dispose();
    for (const b of this.#resident.values()) b.dispose();
    this.#resident.clear();
    this.#scratch?.dispose();
    if (this.#ownsParameters) this.parameters.dispose();
  }
}

/** Elements that go to the device at a time: the queue holds copies of a few such pieces, not of the weights. */
const uploadPiece = 1 << 20;

/** The model's values of an objective's parameters, as one vector on the device. Refuses NaN and infinity. */
async function uploaded(
  { model, parameters, offsets, dimension }: Objective,
  device: Device,
  dtype: FloatDType,
): Promise<Block> {
  const block = device.block(dtype, dimension, 1);
  try {
    for (const [i, p] of parameters.entries()) {
      let at = offsets[i] as number;
      for (const whole of p.values.pieces?.(uploadPiece) ?? [p.values()]) {
        for (let from = 0; from < whole.length; from += uploadPiece) {
          const values = whole.subarray(from, from + uploadPiece);
          if (!allFinite(values))
            throw new InputError(`parameter '${p.name}' of ${model.source} holds NaN or infinity`);
          const part = block.elements(at, at + values.length);
          part.write(values);
          part.dispose();
          at += values.length;
          await device.throttle(4);
        }
      }
    }
  } catch (error) {
    block.dispose();
    throw error;
  }
  return block;
}

/** 0·x is 0 but for NaN and infinity; a loop, since `every` takes ten times as long */
function allFinite(values: Float32Array | Float64Array): boolean {
  let zero = 0;
  for (let i = 0; i < values.length; i++) zero += 0 * (values[i] as number);
  return zero === 0;
}
