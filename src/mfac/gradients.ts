/**
 * Gradients as the rows of a block on the device, at an execution's parameters:
 *
 *   per sample   row i = ∇ℓₙ, ℓₙ PyTorch's loss on sample n alone, so that GᵀG/N is the empirical Fisher matrix
 *   minibatch    row i = ∇ of the mean loss over batch i, of the objective's batches in the order of the data
 *
 * Neither contains the gradient of an L2 regularisation: like the Fishers, they are of the loss over samples.
 *
 * Per sample, the gradient of a batch of one is put through the batching transform with the samples as the leading axis:
 * k samples share the parameters and run as one program (3f·k flops), with as many at once as memory allows.
 */
import { cached } from '../base/cached.js';
import { checkInterrupted, InputError, ShapeError } from '../base/errors.js';
import type { Block } from '../device/block.js';
import type { LoadedProgram } from '../device/program.js';
import { type Node, ops } from '../graph/index.js';
import { type BatchGraph, batchGraph } from '../model/batch-graph.js';
import type { Execution } from '../model/execution.js';
import { attachSamples, mustHaveSamples, runSamples, samplesAtOnce } from '../model/sample-batch.js';
import { bytesPerElement } from '../program/format.js';
import { gradient } from '../transform/jvp.js';
import { compileSampleGradients } from './sample-program.js';

/** Options of `GradientRows`. */
export interface GradientRowsOptions {
  /** bytes of scratch memory that the group of samples computed at once may take. Default 1 GiB */
  readonly scratch?: number | undefined;
  /** samples at once, whatever the memory */
  readonly group?: number | undefined;
}

/** Which rows, and where to. */
export interface RowRange {
  /** first sample (or batch). Default 0 */
  readonly from?: number | undefined;
  /** how many. Default: all that follow */
  readonly count?: number | undefined;
  /** count × d, contiguous; else a new block, which the caller disposes */
  readonly output?: Block | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Gradients of samples or minibatches as rows of blocks, at the parameters of an execution (see `execute`). */
export class GradientRows {
  readonly execution: Execution;
  readonly #options: GradientRowsOptions;
  readonly #programs = new Map<string, LoadedProgram>();
  #one: BatchGraph | undefined;
  #group: number | undefined;

  /** The execution stays its owner's. */
  constructor(execution: Execution, options: GradientRowsOptions = {}) {
    const { group } = options;
    if (group !== undefined && !(Number.isSafeInteger(group) && group >= 1))
      throw new InputError(`the group must be a whole number of samples, not ${group}`);
    this.execution = execution;
    this.#options = options;
  }

  /**
   * ∇ℓₙ of samples from … from+count−1. Throws InputError for a loss without samples, UnsupportedError for a model tied
   * to a batch size. Failures of the device reject at the next read.
   */
  async perSample(range: RowRange = {}): Promise<Block> {
    const { objective } = this.execution;
    mustHaveSamples(objective, 'per-sample gradients');
    await this.execution.refusePerSample('a row per sample');
    return this.#rows(range, objective.samples, 'sample', async (output, from, to, signal) => {
      const { execution } = this;
      await runSamples(execution, { from, to, size: this.#groupSize() }, (group, data) => {
        checkInterrupted(signal);
        const program = this.#sampleProgram(group.count);
        const attached = execution.attachments(program, data);
        attachSamples(attached, execution.graph(group.batch), data, group.first);
        const byteOffset = output.byteOffset + (group.start - from) * output.dimension * bytesPerElement[output.dtype];
        attached.set('rows', { buffer: output.buffer, byteOffset });
        program.run(attached, signal);
      });
    });
  }

  /** The gradient of the mean loss of each of the batches from … from+count−1, on its own. */
  async minibatch(range: RowRange = {}): Promise<Block> {
    const { execution } = this;
    const { objective } = execution;
    const { counts } = await objective.survey();
    const total = counts.reduce((a, b) => a + b, 0);
    return this.#rows(range, objective.batches, 'batch', async (output, from, to, signal) => {
      for (let b = from; b < to; b++) {
        checkInterrupted(signal);
        const start = b * objective.batchSize;
        const terms = counts.subarray(start, start + objective.samplesOf(b)).reduce((x, y) => x + y, 0);
        if (terms === 0) continue; // all its targets are ignored: no loss, a row of zeros
        const row = output.rows(b - from, b - from + 1);
        await execution.withData(b, (data) => {
          const program = this.#batchProgram(execution.graph(b));
          const attached = execution.attachments(program, data);
          attached.set('rows', { buffer: row.buffer, byteOffset: row.byteOffset });
          program.run(attached, signal);
        });
        // the program's loss is this batch's share of the mean over all terms
        row.scale(total / terms);
        row.dispose();
      }
    });
  }

  async #rows(
    { from = 0, count, output, signal }: RowRange,
    there: number,
    what: string,
    work: (output: Block, from: number, to: number, signal: AbortSignal | undefined) => Promise<void>,
  ): Promise<Block> {
    const { device, dtype, objective } = this.execution;
    const rows = count ?? there - from;
    if (!(Number.isInteger(from) && Number.isInteger(rows) && from >= 0 && rows >= 1 && from + rows <= there))
      throw new InputError(`gradients of ${rows} from ${what} ${from} on were asked for; there are ${there}`);
    if (output && (output.count !== rows || output.dimension !== objective.dimension || !output.contiguous))
      throw new ShapeError(
        `a block of ${output.count} × ${output.dimension} for ${rows} gradients of ${objective.dimension}`,
      );
    const result = output ?? device.block(dtype, objective.dimension, rows);
    try {
      result.zero(); // parameters without influence have no output to write
      await work(result, from, from + rows, signal);
    } catch (error) {
      if (!output) result.dispose();
      throw error;
    }
    return result;
  }

  #groupSize(): number {
    const { group, scratch = 2 ** 30 } = this.#options;
    this.#group ??= group ?? samplesAtOnce((k) => compileSampleGradients(this.#single(), k), scratch);
    return this.#group;
  }
  #single(): BatchGraph {
    this.#one ??= batchGraph(this.execution.objective, 1, this.execution.dtype, 0);
    return this.#one;
  }
  #sampleProgram(k: number): LoadedProgram {
    return cached(this.#programs, `samples ${k}`, () =>
      this.execution.loadCompiled(compileSampleGradients(this.#single(), k)),
    );
  }
  #batchProgram(graph: BatchGraph): LoadedProgram {
    return cached(this.#programs, `batch ${graph.samples}`, () => {
      const outputs = gradient(graph.loss, graph.parameters).flatMap((node: Node | null, i) =>
        node
          ? [{ node: unregularised(node, graph, i), binding: 'rows', offset: graph.objective.offsets[i] as number }]
          : [],
      );
      return this.execution.load(graph, new Map(), outputs);
    });
  }
}

/** The gradient of parameter i without the regularisation's λθ, of which the batch has its share. */
function unregularised(node: Node, graph: BatchGraph, i: number): Node {
  return graph.ridge ? ops.sub(node, ops.mul(graph.ridge, graph.parameters[i] as Node)) : node;
}
