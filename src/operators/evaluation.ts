/**
 * How good a model is on data: the mean loss and, for losses of labels, the share of labels that it gets right. One
 * forward pass over the data. The sums over batches are float64.
 */
import { ComputationError, checkInterrupted } from '../base/errors.js';
import type { LoadedProgram } from '../device/program.js';
import { ops } from '../graph/index.js';
import type { BatchGraph } from '../model/batch-graph.js';
import type { Execution } from '../model/execution.js';
import type { MeanLoss } from '../model/mean-loss.js';
import { bytesPerElement } from '../program/format.js';
import type { OutputPlacement } from '../transform/compile.js';
import { type CurvatureOptions, execute } from './create.js';

/** What `evaluate` gives. */
export interface Evaluation {
  /** the mean loss, regularisation included */
  readonly loss: number;
  /** labels that are right / labels (those ignored do not count); null where the loss has no labels */
  readonly accuracy: number | null;
}

/** slots a batch writes: its share of the loss, labels right, labels */
const slots = 3;

export class Evaluator {
  readonly #execution: Execution;
  readonly #programs = new Map<number, LoadedProgram>();

  /** At the execution's parameters, wherever they are when `evaluate` is called. The execution stays the caller's. */
  constructor(execution: Execution) {
    this.#execution = execution;
  }

  /** Throws ComputationError where the loss is not finite, InterruptedError. */
  async evaluate(signal?: AbortSignal): Promise<Evaluation> {
    const { device, dtype, objective } = this.#execution;
    const { batches } = objective;
    const each = slots * bytesPerElement[dtype];
    const sums = device.allocate(batches * each);
    try {
      const values = dtype === 'float32' ? new Float32Array(batches * slots) : new Float64Array(batches * slots);
      device.native.write(sums, 0, values);
      for (let b = 0; b < batches; b++) {
        checkInterrupted(signal);
        await this.#execution.withData(b, (data) => {
          const program = this.#program(this.#execution.graph(b));
          const attached = this.#execution.attachments(program, data);
          attached.set('sums', { buffer: sums, byteOffset: b * each });
          program.run(attached, signal);
        });
      }
      await device.guardAsync(() => device.native.read(sums, 0, values));
      const total = (slot: number): number => {
        let sum = 0;
        for (let b = 0; b < batches; b++) sum += values[b * slots + slot] as number;
        return sum;
      };
      const [loss, right, labels] = [total(0), total(1), total(2)];
      if (!Number.isFinite(loss))
        throw new ComputationError(`the loss is ${loss}; try --dtype float64, or look for overflow in the model`);
      return { loss, accuracy: labels > 0 ? right / labels : null };
    } finally {
      sums.dispose();
    }
  }

  #program(graph: BatchGraph): LoadedProgram {
    const known = this.#programs.get(graph.samples);
    if (known) return known;
    const outputs: OutputPlacement[] = [{ node: graph.loss, binding: 'sums', offset: 0 }];
    if (graph.target && graph.bound.accuracy) {
      const { right, labels } = graph.bound.accuracy(graph.output, graph.target);
      // padding weighs nothing
      const real = ops.gt(graph.weight, graph.graph.fill(0, graph.weight.shape, graph.weight.dtype));
      const sum = (x: typeof right) => ops.reduceSum(ops.select(real, x, 0));
      outputs.push({ node: sum(right), binding: 'sums', offset: 1 }, { node: sum(labels), binding: 'sums', offset: 2 });
    }
    const program = this.#execution.load(graph, new Map(), outputs);
    this.#programs.set(graph.samples, program);
    return program;
  }
}

/** The mean loss and accuracy of a model over data, at the model's own parameters. Throws as operators do. */
export async function evaluate(f: MeanLoss, options: CurvatureOptions = {}): Promise<Evaluation> {
  const execution = await execute(f, options);
  try {
    return await new Evaluator(execution).evaluate(options.signal);
  } finally {
    execution.dispose();
  }
}
