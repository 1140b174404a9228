/**
 * Loss and gradient of one minibatch after another, at parameters that an optimizer moves on the device. With B the
 * samples of a step and |B| the loss terms in them,
 *
 *   L_B(θ) = (1/|B|) Σ over B of the terms + (λ/2)‖θ‖²,   g = ∇L_B(θ):   3 forward passes.
 *
 * Everything is compiled at the first step of a size; from then on a step gathers its samples, writes them to the device
 * and runs one program. Parameters and gradient stay where they are. A batch short of samples is filled up with weight 0.
 *
 * A model in mode 'train' is stepped by each batch's own statistics, at its own size, and its running statistics follow:
 * running ← momentum·running + (1 − momentum)·batch. Dropout draws anew at every step.
 */
import { cached } from '../base/cached.js';
import { ComputationError, checkInterrupted, InputError } from '../base/errors.js';
import type { Batch } from '../data/dataset.js';
import { gather } from '../data/gather.js';
import { runs } from '../data/source.js';
import type { Block } from '../device/block.js';
import type { NativeBuffer } from '../device/native.js';
import type { LoadedProgram } from '../device/program.js';
import { type BufferUpdate, sizeOf } from '../graph/index.js';
import type { BatchGraph } from '../model/batch-graph.js';
import type { Execution } from '../model/execution.js';
import type { MeanLoss } from '../model/mean-loss.js';
import { fillNoise } from '../model/noise.js';
import { packBatch } from '../model/pack-batch.js';
import { bytesPerElement } from '../program/format.js';
import type { OutputPlacement } from '../transform/compile.js';
import { gradient } from '../transform/jvp.js';
import { type CurvatureOptions, execute } from './create.js';

/** Options of one step. */
export interface StepOptions {
  /** the samples of the next step, read while this one computes; hand the same array to that step */
  readonly ahead?: ArrayLike<number> | undefined;
  /** which draws of dropout are used; by default counts the steps, from 0 */
  readonly step?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}
/** Loss and gradient of one minibatch. */
export interface StepResult {
  /** L_B at the parameters before any update */
  readonly loss: number;
  /** one vector, overwritten by the next step */
  readonly gradient: Block;
}

/** One buffer's share in the statistics that a step computes, and where it is kept. */
interface Kept {
  readonly keep: number;
  readonly batch: Block;
  readonly running: Block;
}

/** What one size of batch needs on the device, kept from step to step. */
interface Prepared {
  readonly graph: BatchGraph;
  readonly program: LoadedProgram;
  readonly data: NativeBuffer;
  /** where a batch is put together before it is written */
  readonly staging: ArrayBuffer;
  /** this batch's, one after another */
  readonly statistics: Block | undefined;
  readonly kept: readonly Kept[];
}

/**
 * L_B(θ) = (1/|B|) Σ over B of the terms + (λ/2)‖θ‖² and its gradient, of one minibatch B after another, compiled
 * once.
 */
export class TrainingStep {
  readonly execution: Execution;
  /** One vector on the device, at first the model's values. Optimizers write to it. */
  readonly parameters: Block;
  /** most samples of a step */
  readonly batchSize: number;
  readonly #counts: Float64Array;
  readonly #gradient: Block;
  readonly #loss: NativeBuffer;
  readonly #prepared = new Map<number, Prepared>();
  readonly #buffers = new Map<string, Block>();
  #step = 0;
  #ahead: { readonly samples: ArrayLike<number>; readonly batch: Promise<Batch> } | undefined;

  private constructor(execution: Execution, counts: Float64Array) {
    const { device, dtype, objective } = execution;
    this.execution = execution;
    this.parameters = execution.parameters;
    this.batchSize = objective.batchSize;
    this.#counts = counts;
    this.#gradient = device.block(dtype, objective.dimension, 1);
    // parameters without influence have no output to write
    this.#gradient.zero();
    this.#loss = device.allocate(bytesPerElement[dtype]);
  }

  /** For minibatches of at most `f.batchSize` of the data's samples. Throws InputError as operators do. */
  static async create(f: MeanLoss, options: CurvatureOptions = {}): Promise<TrainingStep> {
    // in training a batch is what it is, not a part of a mean over all data
    const stepped: MeanLoss = f.model.mode === 'train' ? { ...f, batchCoupled: 'per-batch' } : f;
    const execution = await execute(stepped, options);
    try {
      return new TrainingStep(execution, (await execution.objective.survey()).counts);
    } catch (error) {
      execution.dispose();
      throw error;
    }
  }

  /**
   * Loss and gradient on these samples of the data (numbers 0 … samples−1 in any order, repetitions allowed), in one run
   * on the device. Resolves when the loss is there; steps must not overlap. Throws InputError for samples that are not
   * there or more than `batchSize`, ComputationError for a loss that is not finite.
   */
  async step(samples: ArrayLike<number>, { ahead, step = this.#step, signal }: StepOptions = {}): Promise<StepResult> {
    checkInterrupted(signal);
    if (samples.length > this.batchSize)
      throw new InputError(`a step of ${samples.length} samples, where batchSize is ${this.batchSize}`);
    const { execution } = this;
    const { device, dtype, objective } = execution;
    const batch = await this.#read(samples);
    this.#ahead = ahead && { samples: ahead, batch: this.#start(ahead) };
    const { program, graph, data, staging, statistics, kept } = this.#prepare(samples.length);
    const counts = Float64Array.from(samples, (s) => this.#counts[s] as number);
    const terms = counts.reduce((a, b) => a + b, 0);
    const bytes = packBatch(
      graph,
      {
        batch,
        count: samples.length,
        sampleOf: (row) => samples[row] as number,
        counts,
        // where every target is ignored there is no loss
        weight: terms > 0 ? 1 / terms : 0,
        share: 1,
        random: null,
      },
      staging,
    );
    device.guard(() => {
      device.native.write(data, 0, bytes);
    });
    fillNoise(device, graph, data, { seed: execution.seed, step, samples: runs(samples) });
    const attached = execution.attachments(program, data);
    attached.set('loss', { buffer: this.#loss, byteOffset: 0 });
    attached.set('gradient', this.#gradient);
    if (statistics) attached.set('statistics', statistics);
    program.run(attached, signal);
    for (const { keep, batch: value, running } of kept) running.addScaled(1 - keep, value, keep);
    this.#step = step + 1;
    const value = dtype === 'float32' ? new Float32Array(1) : new Float64Array(1);
    await device.guardAsync(() => device.native.read(this.#loss, 0, value));
    const loss = value[0] as number;
    if (!Number.isFinite(loss))
      throw new ComputationError(
        `the loss of a batch of ${objective.model.source} is ${loss}; try a smaller learning rate, or --dtype float64`,
      );
    return { loss, gradient: this.#gradient };
  }

  /** The parameters by name, in float64, as `withValues` and `writeOnnx` take them. */
  async values(): Promise<Record<string, Float64Array>> {
    const { parameters, offsets } = this.execution.objective;
    const all = await this.parameters.readFloat64();
    return Object.fromEntries(
      parameters.map((p, i) => {
        const from = offsets[i] as number;
        return [p.name, all.slice(from, offsets[i + 1] ?? all.length)];
      }),
    );
  }

  /**
   * The running statistics by name, in float64: buffers of the model that steps change in mode 'train', as `writeOnnx`
   * takes them besides the parameters.
   */
  async buffers(): Promise<Record<string, Float64Array>> {
    this.#prepare(this.batchSize);
    const read = [...this.#buffers].map(async ([name, block]) => [name, await block.readFloat64()] as const);
    return Object.fromEntries(await Promise.all(read));
  }

  /** Puts running statistics back that `buffers` gave. Throws InputError for a name that is not there. */
  restore(buffers: Readonly<Record<string, ArrayLike<number>>>): void {
    this.#prepare(this.batchSize);
    for (const [name, values] of Object.entries(buffers)) {
      const block = this.#buffers.get(name);
      if (!block) throw new InputError(`${this.execution.objective.model.source} updates no buffer '${name}'`);
      block.write(values);
    }
  }

  #read(samples: ArrayLike<number>): Promise<Batch> {
    const { samples: known, batch } = this.#ahead ?? {};
    return known === samples && batch ? batch : this.#start(samples);
  }
  #start(samples: ArrayLike<number>): Promise<Batch> {
    const batch = gather(this.execution.objective.data, samples);
    // a failure belongs to the step that takes the batch, which may never come
    batch.catch(() => undefined);
    return batch;
  }

  #prepare(count: number): Prepared {
    const { execution } = this;
    const { objective } = execution;
    const samples = objective.pads ? this.batchSize : count;
    return cached(this.#prepared, samples, () => {
      const graph = execution.graphOf(samples);
      const outputs: OutputPlacement[] = [{ node: graph.loss, binding: 'loss' }];
      gradient(graph.loss, graph.parameters).forEach((node, i) => {
        if (node) outputs.push({ node, binding: 'gradient', offset: objective.offsets[i] as number });
      });
      let size = 0;
      const places = graph.updates.map(({ value }) => {
        const from = size;
        outputs.push({ node: value, binding: 'statistics', offset: from });
        size += sizeOf(value.shape);
        return [from, size] as const;
      });
      const program = execution.load(graph, new Map(), outputs);
      const { device, dtype } = execution;
      const statistics = size > 0 ? device.block(dtype, size, 1) : undefined;
      const kept = graph.updates.map((update, i): Kept => {
        const [from, to] = places[i] as readonly [number, number];
        return { keep: update.keep, batch: (statistics as Block).elements(from, to), running: this.#running(update) };
      });
      const { dataBytes } = graph;
      return {
        graph,
        program,
        data: device.allocate(dataBytes),
        staging: new ArrayBuffer(dataBytes),
        statistics,
        kept,
      };
    });
  }
  /** a buffer on the device, shared by all sizes of batches (and by layers that share it) */
  #running({ buffer, initial }: BufferUpdate): Block {
    return cached(this.#buffers, buffer, () => {
      const { device, dtype } = this.execution;
      const block = device.block(dtype, initial.length, 1);
      block.write(initial);
      return block;
    });
  }

  /** Frees parameters, gradient and buffers. */
  dispose(): void {
    for (const { data, statistics, kept } of this.#prepared.values()) {
      data.dispose();
      statistics?.dispose();
      for (const { batch } of kept) batch.dispose();
    }
    for (const block of this.#buffers.values()) block.dispose();
    this.#gradient.dispose();
    this.#loss.dispose();
    this.execution.dispose();
  }
  /** `dispose`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose();
  }
}
