/**
 * Curvature matrices of an objective as linear operators.
 *
 *   Hessian  H·v = jvp(∇f)(v)           6 forward passes' worth of multiply-adds after the primal pass
 *   Jᵀ S J   G·v = Jᵀ(S(J·v))           4 of them; see metric.ts for S
 *
 * Both are split: what does not depend on v (residuals) is computed once per batch and kept while memory allows;
 * the tangent program then runs once per block of k vectors. Where the residuals of a batch are not kept, one program
 * computes both in lockstep, which needs less memory than keeping them for a moment.
 */
import { cached } from '../base/cached.js';
import { OutOfMemoryError } from '../base/errors.js';
import { formatBytes } from '../base/format.js';
import type { Block } from '../device/block.js';
import type { NativeBuffer } from '../device/native.js';
import type { LoadedProgram } from '../device/program.js';
import type { Execution } from '../model/execution.js';
import { bytesPerElement } from '../program/format.js';
import type { CompiledProgram } from '../transform/compile.js';
import type { ApplyOptions } from './linear-operator.js';
import { checkInterrupted, OperatorBase } from './linear-operator.js';
import type { CurvatureName, Linearised } from './linearised.js';
import { compilePrimal, compileTangent, linearise } from './linearised.js';

export type { CurvatureName } from './linearised.js';

/** How the work is laid out in memory; printed before a long run. All sizes in bytes. */
export interface MemoryPlan {
  readonly budget: number;
  readonly parameters: number;
  readonly data: number;
  /** kept values of one batch, and for how many batches they are kept */
  readonly residuals: number;
  readonly batches: number;
  readonly kept: number;
  /** products at a time, and the scratch memory that takes */
  readonly block: number;
  readonly scratch: number;
}

/** The most products at once that a block gains from; beyond it only memory grows. */
const largestBlock = 16;

export class CurvatureOperator extends OperatorBase {
  readonly name: CurvatureName;
  readonly execution: Execution;
  readonly plan: MemoryPlan;
  /** multiply-adds ×2 of one product with the primal pass retained, and of the primal pass itself */
  readonly flops: { readonly product: number; readonly primal: number };
  readonly #linear = new Map<number, Linearised>();
  readonly #programs = new Map<string, LoadedProgram>();
  readonly #kept = new Map<number, { readonly buffer: NativeBuffer; readonly signal: AbortSignal | undefined }>();

  private constructor(name: CurvatureName, execution: Execution, fingerprint: string, layout: Layout) {
    const { objective } = execution;
    super({
      rows: objective.dimension,
      columns: objective.dimension,
      dtype: execution.dtype,
      device: execution.device,
      symmetric: true,
      positiveSemidefinite: name !== 'hessian',
      maxBlock: layout.plan.block,
      fingerprint,
      scaling:
        name === 'empirical-fisher'
          ? `mean over ${objective.samples} samples`
          : `mean loss over ${objective.samples} samples`,
    });
    this.name = name;
    this.execution = execution;
    this.plan = layout.plan;
    this.flops = layout.flops;
    this.#linear.set(layout.first.graph.samples, layout.first);
  }

  /**
   * @param memory bytes to stay within, for everything but the caller's vectors
   * @param block products at a time; chosen by the budget if absent
   */
  static async create(
    name: CurvatureName,
    execution: Execution,
    options: { memory: number; block?: number | undefined },
  ): Promise<CurvatureOperator> {
    const { objective } = execution;
    const parts = [
      objective.model.fingerprint,
      await objective.data.fingerprint(),
      name,
      objective.loss.name,
      objective.samples,
      execution.dtype,
      objective.parameters.map((p) => p.name).join(),
    ];
    return new CurvatureOperator(
      name,
      execution,
      parts.join('|'),
      layOut(name, execution, options.memory, options.block),
    );
  }

  protected async multiply(input: Block, output: Block, { signal }: ApplyOptions): Promise<void> {
    const { execution } = this;
    output.zero();
    for (let b = 0; b < execution.objective.batches; b++) {
      checkInterrupted(signal);
      const data = await execution.data(b);
      const linear = this.#linearised(b);
      const kept = b < this.plan.kept ? this.#keep(b, linear, data, signal) : null;
      const program = this.#program(linear, input.count, kept ? 'retained' : 'lockstep');
      const attached = execution.attachments(program, data);
      attached.set('tangents', { buffer: input.buffer, byteOffset: input.byteOffset });
      attached.set('results', { buffer: output.buffer, byteOffset: output.byteOffset });
      if (kept) attached.set('residuals', { buffer: kept, byteOffset: 0 });
      program.run(attached, signal);
      execution.release(b, data);
      await this.device.throttle();
    }
  }

  /** Computes what the products share, for all batches whose residuals are kept. Done by the first product otherwise. */
  async prepare(signal?: AbortSignal): Promise<void> {
    for (let b = 0; b < this.plan.kept; b++) {
      checkInterrupted(signal);
      const data = await this.execution.data(b);
      this.#keep(b, this.#linearised(b), data, signal);
      this.execution.release(b, data);
      await this.device.throttle();
    }
    await this.device.finish();
  }
  /** Forgets kept residuals, as after a change of the parameters. */
  invalidate(): void {
    for (const { buffer } of this.#kept.values()) buffer.dispose();
    this.#kept.clear();
  }
  /** the compiled tangent program for k vectors with the primal pass retained, for profiles */
  async profile(input: Block, output: Block): Promise<{ program: LoadedProgram; seconds: Float64Array }> {
    const data = await this.execution.data(0);
    const linear = this.#linearised(0);
    const kept = this.#keep(0, linear, data, undefined);
    const program = this.#program(linear, input.count, 'retained');
    const attached = this.execution.attachments(program, data);
    attached.set('tangents', { buffer: input.buffer, byteOffset: input.byteOffset });
    attached.set('results', { buffer: output.buffer, byteOffset: output.byteOffset });
    attached.set('residuals', { buffer: kept, byteOffset: 0 });
    const seconds = await program.profile(attached);
    this.execution.release(0, data);
    return { program, seconds };
  }

  #linearised(b: number): Linearised {
    const extent = this.execution.extent(b);
    return cached(this.#linear, extent, () => linearise(this.name, this.execution.graph(b)));
  }
  #keep(b: number, linear: Linearised, data: NativeBuffer, signal: AbortSignal | undefined): NativeBuffer {
    const known = this.#kept.get(b);
    // An interrupted pass may have left nothing usable.
    if (known?.signal?.aborted) {
      known.buffer.dispose();
      this.#kept.delete(b);
    } else if (known) return known.buffer;
    const key = `primal ${linear.graph.samples}`;
    const program = cached(this.#programs, key, () => this.execution.loadCompiled(compilePrimal(linear)));
    const buffer = this.device.allocate(Math.max(64, linear.residualBytes));
    const attached = this.execution.attachments(program, data);
    attached.set('residuals', { buffer, byteOffset: 0 });
    program.run(attached, signal);
    this.#kept.set(b, { buffer, signal });
    return buffer;
  }
  #program(linear: Linearised, k: number, mode: 'retained' | 'lockstep'): LoadedProgram {
    const key = `${mode} ${linear.graph.samples} ${k}`;
    return cached(this.#programs, key, () => this.execution.loadCompiled(compileTangent(linear, k, mode)));
  }

  override dispose(): void {
    this.invalidate();
    this.execution.dispose();
  }
}

interface Layout {
  readonly plan: MemoryPlan;
  readonly first: Linearised;
  readonly flops: { readonly product: number; readonly primal: number };
}

/** Chooses block size and how many batches keep their residuals, to fit the budget. */
function layOut(name: CurvatureName, execution: Execution, budget: number, wanted: number | undefined): Layout {
  const { objective } = execution;
  const first = linearise(name, execution.graph(0));
  const parameters = objective.dimension * bytesPerElement[execution.dtype];
  const data = first.graph.dataBytes * objective.batches;
  const primal = compilePrimal(first);
  const one = compileTangent(first, 1, 'retained');
  const flops = { product: one.flops, primal: primal.flops };
  const fixed = parameters + first.graph.dataBytes;
  // Scratch grows almost linearly in k, so the largest block that fits follows from two compilations.
  const two = compileTangent(first, 2, 'retained');
  const perProduct = Math.max(1, two.scratchBytes - one.scratchBytes);
  const room = budget - fixed;
  const lockstepOne = (): CompiledProgram => compileTangent(first, 1, 'lockstep');
  if (one.scratchBytes + first.residualBytes > room) {
    const least = lockstepOne().scratchBytes;
    if (least > room)
      throw new OutOfMemoryError(
        `a product needs ${formatBytes(fixed + least)}, but the budget is ${formatBytes(budget)}; use a smaller --batch-size or a larger --memory`,
      );
    return {
      first,
      flops,
      plan: {
        budget,
        parameters,
        data,
        residuals: first.residualBytes,
        batches: objective.batches,
        kept: 0,
        block: 1,
        scratch: least,
      },
    };
  }
  const fits = Math.floor((room * 0.8 - first.residualBytes - one.scratchBytes) / perProduct) + 1;
  const block = wanted ?? Math.max(1, Math.min(largestBlock, fits));
  const scratch = Math.max(one.scratchBytes + (block - 1) * perProduct, primal.scratchBytes);
  const left = room - scratch - Math.min(data, room * 0.2);
  let kept = Math.max(0, Math.min(objective.batches, Math.floor(left / Math.max(1, first.residualBytes))));
  // lockstep needs the primal's scratch as well; when some batches use it, leave room for that
  if (kept < objective.batches) kept = Math.max(0, kept - 1);
  return {
    first,
    flops,
    plan: {
      budget,
      parameters,
      data,
      residuals: first.residualBytes,
      batches: objective.batches,
      kept,
      block,
      scratch,
    },
  };
}
