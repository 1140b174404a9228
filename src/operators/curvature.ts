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
import { checkInterrupted, OutOfMemoryError } from '../base/errors.js';
import { formatBytes } from '../base/format.js';
import type { Block } from '../device/block.js';
import type { NativeBuffer } from '../device/native.js';
import type { Attachment, LoadedProgram } from '../device/program.js';
import type { Execution } from '../model/execution.js';
import { bytesPerElement } from '../program/format.js';
import type { CompiledProgram } from '../transform/compile.js';
import type { ApplyOptions } from './linear-operator.js';
import { OperatorBase } from './linear-operator.js';
import type { CurvatureName, Linearised } from './linearised.js';
import { compilePrimal, compileTangent, linearise } from './linearised.js';

export type { CurvatureName } from './linearised.js';
export type { MetricName } from './metric.js';

/** How the work is laid out in memory; printed before a long run. All sizes in bytes. */
export interface MemoryPlan {
  readonly budget: number;
  readonly parameters: number;
  /** batches on the device at the same time */
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

/** ∇²f, or JᵀSJ by its name (`hessian`, `gaussNewton`, `fisher`, …), as an operator on the parameters. */
export class CurvatureOperator extends OperatorBase {
  readonly name: CurvatureName;
  /** for `GradientEvaluator` and `GradientRows` at the same parameters; disposed with this */
  readonly execution: Execution;
  readonly plan: MemoryPlan;
  /** multiply-adds ×2 of one product with the primal pass retained, and of the primal pass itself */
  readonly flops: { readonly product: number; readonly primal: number };
  readonly #linear = new Map<number, Linearised>();
  readonly #programs = new Map<string, LoadedProgram>();
  /** made while memory was laid out, and not loaded yet */
  readonly #compiled: Map<string, CompiledProgram>;
  readonly #kept = new Map<number, { readonly buffer: NativeBuffer; readonly signal: AbortSignal | undefined }>();

  private constructor(name: CurvatureName, execution: Execution, layout: Layout) {
    const { objective } = execution;
    super({
      rows: objective.dimension,
      columns: objective.dimension,
      dtype: execution.dtype,
      device: execution.device,
      symmetric: true,
      positiveSemidefinite: name !== 'hessian',
      maxBlock: layout.plan.block,
      fingerprint: () => `${name}|${execution.fingerprint()}`,
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
    this.#compiled = layout.compiled;
    // At its largest from the first: while work is queued, growing it would hold the old and the new.
    execution.scratch(layout.plan.scratch);
  }

  /**
   * `memory`: bytes to stay within, for everything but the caller's vectors; `block`: products at a time, chosen by the
   * budget if absent. The execution is the operator's from then on.
   *
   * @internal
   */
  static async create(
    name: CurvatureName,
    execution: Execution,
    options: { memory: number; block?: number | undefined },
  ): Promise<CurvatureOperator> {
    return new CurvatureOperator(name, execution, layOut(name, execution, options.memory, options.block));
  }

  protected async multiply(input: Block, output: Block, { signal }: ApplyOptions): Promise<void> {
    const { execution } = this;
    output.zero();
    for (let b = 0; b < execution.objective.batches; b++) {
      checkInterrupted(signal);
      await execution.withData(b, (data) => {
        const linear = this.#linearised(b);
        const kept = b < this.plan.kept ? this.#keep(b, linear, data, signal) : null;
        const program = this.#program(linear, input.count, kept ? 'retained' : 'lockstep');
        program.run(this.#attachments(program, data, input, output, kept), signal);
      });
    }
  }

  /** Computes what the products share, for all batches whose residuals are kept. Done by the first product otherwise. */
  async prepare(signal?: AbortSignal): Promise<void> {
    for (let b = 0; b < this.plan.kept; b++) {
      checkInterrupted(signal);
      await this.execution.withData(b, (data) => this.#keep(b, this.#linearised(b), data, signal));
    }
    await this.device.finish();
  }
  /** Forgets kept residuals, as after a change of the parameters. */
  invalidate(): void {
    for (const { buffer } of this.#kept.values()) buffer.dispose();
    this.#kept.clear();
  }
  /** the compiled tangent program for k vectors with the primal pass retained, for profiles @internal */
  async profile(input: Block, output: Block): Promise<{ program: LoadedProgram; seconds: Float64Array }> {
    const linear = this.#linearised(0);
    const program = this.#program(linear, input.count, 'retained');
    const seconds = await this.execution.withData(0, (data) => {
      const kept = this.#keep(0, linear, data, undefined);
      return program.profile(this.#attachments(program, data, input, output, kept));
    });
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
    const program = this.#loaded(primalKey(linear), () => compilePrimal(linear));
    const buffer = this.device.allocate(Math.max(64, linear.residualBytes));
    const attached = this.execution.attachments(program, data);
    attached.set('residuals', { buffer, byteOffset: 0 });
    program.run(attached, signal);
    this.#kept.set(b, { buffer, signal });
    return buffer;
  }
  #attachments(
    program: LoadedProgram,
    data: NativeBuffer,
    input: Block,
    output: Block,
    kept: NativeBuffer | null,
  ): Map<string, Attachment> {
    const attached = this.execution.attachments(program, data);
    attached.set('tangents', { buffer: input.buffer, byteOffset: input.byteOffset });
    attached.set('results', { buffer: output.buffer, byteOffset: output.byteOffset });
    if (kept) attached.set('residuals', { buffer: kept, byteOffset: 0 });
    return attached;
  }
  #program(linear: Linearised, k: number, mode: Mode): LoadedProgram {
    return this.#loaded(tangentKey(linear, k, mode), () => compileTangent(linear, k, mode));
  }
  #loaded(key: string, compiled: () => CompiledProgram): LoadedProgram {
    return cached(this.#programs, key, () => {
      const program = this.execution.loadCompiled(this.#compiled.get(key) ?? compiled());
      this.#compiled.delete(key);
      return program;
    });
  }

  override dispose(): void {
    this.invalidate();
    this.execution.dispose();
  }
}

type Mode = 'retained' | 'lockstep';
const primalKey = (linear: Linearised): string => `primal ${linear.graph.samples}`;
const tangentKey = (linear: Linearised, k: number, mode: Mode): string => `${mode} ${linear.graph.samples} ${k}`;

interface Layout {
  readonly plan: MemoryPlan;
  readonly first: Linearised;
  readonly flops: { readonly product: number; readonly primal: number };
  /** the programs that the operator will run, as far as they were compiled for this */
  readonly compiled: Map<string, CompiledProgram>;
}

/** Chooses block size and how many batches keep their residuals, to fit the budget. */
function layOut(name: CurvatureName, execution: Execution, budget: number, wanted: number = largestBlock): Layout {
  const { objective } = execution;
  const { batches } = objective;
  const first = linearise(name, execution.graph(0));
  const compiled = new Map<string, CompiledProgram>();
  const tangent = (k: number, mode: Mode): CompiledProgram =>
    cached(compiled, tangentKey(first, k, mode), () => compileTangent(first, k, mode));
  const scratchOf = (k: number, mode: Mode): number => tangent(k, mode).scratchBytes;
  const parameters = objective.dimension * bytesPerElement[execution.dtype];
  const data = execution.dataBytes;
  const room = budget - parameters - data;
  const residuals = first.residualBytes;
  const primal = cached(compiled, primalKey(first), () => compilePrimal(first));
  const one = tangent(1, 'retained');
  const planned = (block: number, kept: number, scratch: number): Layout => ({
    first,
    compiled,
    flops: { product: one.flops, primal: primal.flops },
    plan: { budget, parameters, data, residuals, batches, kept, block, scratch },
  });

  // Scratch grows almost linearly in k, so the largest block that fits follows from two compilations.
  const perProduct = Math.max(1, scratchOf(2, 'retained') - one.scratchBytes);
  const fits = Math.floor((0.8 * room - residuals - one.scratchBytes) / perProduct) + 1;
  let block = Math.max(1, Math.min(wanted, fits));
  const retained = Math.max(scratchOf(block, 'retained'), primal.scratchBytes);
  if (retained + batches * residuals <= room) return planned(block, batches, retained);

  // Batches that do not keep their residuals have them among the scratch.
  let lockstep = scratchOf(block, 'lockstep');
  if (lockstep > room && block > 1) {
    block = 1;
    lockstep = scratchOf(block, 'lockstep');
  }
  if (lockstep > room) {
    const needed = parameters + data + lockstep;
    throw new OutOfMemoryError(
      `a product needs ${formatBytes(needed)}, but the budget is ${formatBytes(budget)}; use a smaller --batch-size or a larger --memory`,
      { needed },
    );
  }
  const scratch = Math.max(retained, lockstep);
  const kept = Math.floor((room - scratch) / residuals);
  return kept > 0 ? planned(block, kept, scratch) : planned(block, 0, lockstep);
}
