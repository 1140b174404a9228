/** The mean loss and its gradient, ∇L = Σ over batches of the transpose of the linearised loss: 3 forward passes. */
import { ComputationError, checkInterrupted, InternalError } from '../base/errors.js';
import type { Block } from '../device/block.js';
import type { LoadedProgram } from '../device/program.js';
import type { Node } from '../graph/index.js';
import type { BatchGraph } from '../model/batch-graph.js';
import type { Execution } from '../model/execution.js';
import { bytesPerElement } from '../program/format.js';
import type { OutputPlacement } from '../transform/compile.js';
import { gradient } from '../transform/jvp.js';

/** The mean loss and its gradient at an execution's parameters. */
export interface GradientResult {
  readonly loss: number;
  /** one vector; the caller disposes it */
  readonly gradient: Block;
  readonly norm: number;
}

/** Mean loss and gradient again and again, at an execution's parameters (see `execute`), compiled once. */
export class GradientEvaluator {
  readonly execution: Execution;
  readonly #programs = new Map<string, LoadedProgram>();

  constructor(execution: Execution) {
    this.execution = execution;
  }

  /** Loss and gradient at the execution's parameters. Throws ComputationError where they are not finite. */
  async evaluate(options: { signal?: AbortSignal | undefined; output?: Block } = {}): Promise<GradientResult> {
    const { device, dtype, objective } = this.execution;
    const out = options.output ?? device.block(dtype, objective.dimension, 1);
    try {
      out.zero();
      const loss = await this.#pass(out, options.signal);
      const norm = (await out.norms())[0] as number;
      if (!Number.isFinite(norm))
        throw new ComputationError(
          'the gradient is not finite; try --dtype float64, or look for overflow in the model',
        );
      return { loss, gradient: out, norm };
    } catch (error) {
      if (!options.output) out.dispose();
      throw error;
    }
  }
  /** The loss alone: one forward pass. */
  loss(signal?: AbortSignal): Promise<number> {
    return this.#pass(null, signal);
  }

  async #pass(out: Block | null, signal: AbortSignal | undefined): Promise<number> {
    const { execution } = this;
    const { device, dtype, objective } = execution;
    // One slot a batch, summed in float64 here, so that the loss does not lose digits to the number of batches.
    const size = bytesPerElement[dtype];
    const losses = device.allocate(objective.batches * size);
    try {
      for (let b = 0; b < objective.batches; b++) {
        checkInterrupted(signal);
        await execution.withData(b, (data) => {
          const program = this.#program(execution.graph(b), out !== null);
          const attached = execution.attachments(program, data);
          attached.set('loss', { buffer: losses, byteOffset: b * size });
          if (out) attached.set('results', { buffer: out.buffer, byteOffset: out.byteOffset });
          program.run(attached, signal);
        });
      }
      const values = dtype === 'float32' ? new Float32Array(objective.batches) : new Float64Array(objective.batches);
      await device.guardAsync(() => device.native.read(losses, 0, values));
      let loss = 0;
      for (const v of values) loss += v;
      if (!Number.isFinite(loss))
        throw new ComputationError(`the loss is ${loss}; try --dtype float64, or look for overflow in the model`);
      return loss;
    } finally {
      losses.dispose();
    }
  }

  #program(graph: BatchGraph, withGradient: boolean): LoadedProgram {
    const key = `${graph.samples} ${withGradient}`;
    const known = this.#programs.get(key);
    if (known) return known;
    const outputs: OutputPlacement[] = [{ node: graph.loss, binding: 'loss' }];
    if (withGradient) {
      gradient(graph.loss, graph.parameters).forEach((g: Node | null, i) => {
        const offset = this.execution.objective.offsets[i];
        if (offset === undefined) throw new InternalError('a gradient without its place');
        if (g) outputs.push({ node: g, binding: 'results', offset, accumulate: true });
      });
    }
    const program = this.execution.load(graph, new Map(), outputs);
    this.#programs.set(key, program);
    return program;
  }
  /** floating-point operations of one batch's gradient, or of its forward pass alone */
  flops(withGradient: boolean): number {
    return this.#program(this.execution.graph(0), withGradient).source.flops;
  }
}
