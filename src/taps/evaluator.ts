/**
 * The values of a loss's taps over the data, on the device:
 *
 *   A   rows (sample, position), what the operation multiplies the weight with; for convolutions the unfolded patches
 *   D   rows (sample, position), the cotangent of the operation's result
 *
 * and their sums AᵀA (half the layer Hessian of OBC and GPTQ) and DᵀD per group, in float64 whatever the dtype: in
 * float32 the products of 512 rows at a time are added up in float64. A pass costs a gradient; a sum 2·rows·width²
 * flops a tap.
 */
import { cached } from '../base/cached.js';
import { checkInterrupted, InputError } from '../base/errors.js';
import type { Block } from '../device/block.js';
import type { LoadedProgram } from '../device/program.js';
import { type Node, ops, sizeOf } from '../graph/index.js';
import { type BatchGraph, batchGraph } from '../model/batch-graph.js';
import type { Execution } from '../model/execution.js';
import type { MeanLoss } from '../model/mean-loss.js';
import {
  attachSamples,
  mustHaveSamples,
  runSamples,
  type SampleGroup,
  sampleGroups,
  samplesAtOnce,
  stackSamples,
} from '../model/sample-batch.js';
import { type CurvatureOptions, execute, memoryBudget } from '../operators/create.js';
import { type CotangentOptions, outputCotangent } from '../operators/metric.js';
import { bytesPerElement } from '../program/format.js';
import { type CompiledProgram, compile, type OutputPlacement } from '../transform/compile.js';
import { tapsOfBatch } from './layer-taps.js';
import { cotangentsAt, type LayerTap, type TapNodes } from './list.js';

/** Options of `openLayerTaps`. */
export interface LayerTapOptions extends Omit<CurvatureOptions, 'block' | 'fisherSamples'>, Partial<CotangentOptions> {
  /** samples at once, whatever the memory */
  readonly group?: number | undefined;
}

/** Which taps, and what of them. */
export interface TapChoice {
  /** default: all of the evaluator's */
  readonly taps?: readonly LayerTap[] | undefined;
  /** default: both */
  readonly inputs?: boolean | undefined;
  readonly cotangents?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Values of neighbouring samples. The blocks are disposed with it, at the latest when the next is asked for. */
export interface TapBatch {
  /** first sample, and how many */
  readonly from: number;
  readonly samples: number;
  /** A: samples × positions vectors of groups × in numbers; for embeddings one number, the row of the table */
  inputs(tap: LayerTap): Block;
  /** D: samples × positions vectors of groups × out numbers */
  cotangents(tap: LayerTap): Block;
}

/** Sums over all rows, float64, on the device. The caller disposes the blocks. */
export interface TapMoments {
  readonly tap: LayerTap;
  /** Σ A Aᵀ of each group: groups × in vectors of `in` numbers. For embeddings its diagonal alone: how often each row was read */
  readonly input: Block | null;
  /** Σ D Dᵀ of each group: groups × out vectors of `out` numbers */
  readonly cotangent: Block | null;
  /** rows summed: samples × positions */
  readonly rows: number;
}

type Side = 'a' | 'd';

/** rows of float32 whose products are summed in float32 */
const part = 512;

/** Inputs A and cotangents D of a loss's taps over its data, and their sums AᵀA and DᵀD. */
export class LayerTaps {
  readonly taps: readonly LayerTap[];
  readonly execution: Execution;
  /** 1/lossTerms is the weight of a term in the mean loss */
  readonly lossTerms: number;
  readonly #nodes: readonly TapNodes[];
  readonly #one: BatchGraph;
  readonly #d: readonly Node[];
  readonly #scratch: number;
  readonly #fixed: number | undefined;
  readonly #programs = new Map<string, LoadedProgram>();

  private constructor(
    execution: Execution,
    lossTerms: number,
    scratch: number,
    { labels = 'data', scale = 'mean', group }: LayerTapOptions,
  ) {
    this.execution = execution;
    this.lossTerms = lossTerms;
    this.#scratch = scratch;
    this.#fixed = group;
    this.#one = batchGraph(execution.objective, 1, execution.dtype, labels === 'sampled' ? 1 : 0);
    const cotangent = outputCotangent(this.#one, { labels, scale });
    this.#nodes = tapsOfBatch(this.#one);
    this.taps = this.#nodes.map((n) => n.tap);
    const { output } = this.#one;
    this.#d = cotangentsAt(this.#nodes, output, cotangent ?? ops.zerosLike(output));
  }

  /** @internal */
  static async open(f: MeanLoss, options: LayerTapOptions = {}): Promise<LayerTaps> {
    const { labels = 'data', scale = 'mean', seed = 0, group } = options;
    if (labels !== 'data' && labels !== 'sampled')
      throw new InputError(`labels must be data or sampled, not ${String(labels)}`);
    if (scale !== 'mean' && scale !== 'sample')
      throw new InputError(`scale must be mean or sample, not ${String(scale)}`);
    if (group !== undefined && !(Number.isSafeInteger(group) && group >= 1))
      throw new InputError(`the group must be a whole number of samples, not ${group}`);
    const memory = memoryBudget(options.memory);
    const execution = await execute(f, { ...options, memory }, labels === 'sampled' ? { draws: 1, seed } : undefined);
    try {
      mustHaveSamples(execution.objective, 'layer taps');
      await execution.refusePerSample('a list of layer taps');
      const { counts } = await execution.objective.survey();
      const terms = counts.reduce((a, b) => a + b, 0);
      return new LayerTaps(execution, terms, 0.5 * memory, options);
    } catch (error) {
      execution.dispose();
      throw error;
    }
  }

  /** A and D of all samples, in order, a group of samples at a time (as many as memory allows, at most 64). */
  async *batches(choice: TapChoice = {}): AsyncGenerator<TapBatch> {
    const { execution } = this;
    const { device, dtype, objective } = execution;
    const chosen = this.#chosen(choice);
    const bytes = chosen.reduce((n, c) => n + sizeOf(c.node.shape) * bytesPerElement[dtype], 0);
    const compiled = (k: number): CompiledProgram =>
      this.#compile(
        k,
        chosen.map(({ node, key }) => ({ node, key })),
      );
    const size = this.#fixed ?? samplesAtOnce(compiled, this.#scratch, bytes);
    const name = chosen.map((c) => c.key).join();
    for (const group of sampleGroups(objective, 0, objective.samples, size)) {
      checkInterrupted(choice.signal);
      const blocks = new Map<string, Block>();
      try {
        for (const { key, node } of chosen) {
          const [positions = 0, ...rest] = node.shape;
          blocks.set(key, device.block(dtype, sizeOf(rest), group.count * positions));
        }
        await execution.withData(group.batch, (data) => {
          const program = cached(this.#programs, `${name} ${group.count}`, () =>
            execution.loadCompiled(compiled(group.count)),
          );
          const attached = execution.attachments(program, data);
          attachSamples(attached, execution.graph(group.batch), data, group.first);
          for (const [key, block] of blocks) attached.set(key, { buffer: block.buffer, byteOffset: block.byteOffset });
          program.run(attached, choice.signal);
        });
        const get = (side: Side, tap: LayerTap): Block => {
          const block = blocks.get(`${side}${tap.index}`);
          if (!block) throw new InputError(`'${tap.parameter}' (${tap.consumer}) was not among what was asked for`);
          return block;
        };
        yield {
          from: group.start,
          samples: group.count,
          inputs: (tap) => get('a', tap),
          cotangents: (tap) => get('d', tap),
        };
      } finally {
        for (const block of blocks.values()) block.dispose();
      }
    }
  }

  /** Σ A Aᵀ and Σ D Dᵀ over all samples and positions, accumulated on the device. */
  async moments(choice: TapChoice = {}): Promise<TapMoments[]> {
    const { execution } = this;
    const { device, objective } = execution;
    const chosen = this.#chosen(choice);
    const blocks = new Map<string, Block>();
    const done = (): void => {
      for (const block of blocks.values()) block.dispose();
    };
    try {
      for (const { key, of, side } of chosen) {
        const { tap } = of;
        const width = side === 'a' ? tap.in : tap.out;
        const vectors = side === 'a' && tap.kind === 'embedding' ? 1 : tap.groups * width;
        const block = device.block('float64', width, vectors);
        blocks.set(key, block);
        block.zero();
      }
      const compiled = (k: number): CompiledProgram => this.#compileMoments(k, chosen);
      const size = this.#fixed ?? samplesAtOnce(compiled, this.#scratch);
      const name = `moments ${chosen.map((c) => c.key).join()}`;
      await runSamples(execution, { from: 0, to: objective.samples, size }, (group: SampleGroup, data) => {
        checkInterrupted(choice.signal);
        const program = cached(this.#programs, `${name} ${group.count}`, () =>
          execution.loadCompiled(compiled(group.count)),
        );
        const attached = execution.attachments(program, data);
        attachSamples(attached, execution.graph(group.batch), data, group.first);
        for (const [key, block] of blocks) attached.set(key, { buffer: block.buffer, byteOffset: block.byteOffset });
        program.run(attached, choice.signal);
      });
    } catch (error) {
      done();
      throw error;
    }
    return (choice.taps ?? this.taps).map((tap) => ({
      tap,
      input: blocks.get(`a${tap.index}`) ?? null,
      cotangent: blocks.get(`d${tap.index}`) ?? null,
      rows: objective.samples * tap.positions,
    }));
  }

  #chosen({ taps = this.taps, inputs = true, cotangents = true }: TapChoice): Chosen[] {
    return taps.flatMap((tap) => {
      const of = this.#nodes[tap.index];
      if (of?.tap !== tap) throw new InputError(`the tap of '${tap.parameter}' is not one of this evaluator's`);
      const d = this.#d[tap.index] as Node;
      return [
        ...(inputs ? [{ key: `a${tap.index}`, node: of.a, of, side: 'a' as const }] : []),
        ...(cotangents ? [{ key: `d${tap.index}`, node: d, of, side: 'd' as const }] : []),
      ];
    });
  }

  #compile(k: number, chosen: readonly { node: Node; key: string }[]): CompiledProgram {
    const stacked = stackSamples(
      this.#one,
      k,
      chosen.map((c) => c.node),
    );
    const outputs = stacked.nodes.map(
      (node, i): OutputPlacement => ({ node, binding: (chosen[i] as { key: string }).key }),
    );
    return compile({ inputs: stacked.inputs, outputs });
  }

  #compileMoments(k: number, chosen: readonly Chosen[]): CompiledProgram {
    const stacked = stackSamples(
      this.#one,
      k,
      chosen.map((c) => c.node),
    );
    const outputs = stacked.nodes.flatMap((node, i): OutputPlacement[] => {
      const { key, of, side } = chosen[i] as Chosen;
      const [, positions = 0, groups = 0, width = 0] = node.shape;
      const rows = ops.reshape(node, [k * positions, groups, width]);
      const parts = side === 'a' && of.tap.kind === 'embedding' ? [counted(rows, of.tap.in)] : products(rows);
      return parts.map((sum) => ({ node: sum, binding: key, accumulate: true }));
    });
    return compile({ inputs: stacked.inputs, outputs });
  }

  /** Frees programs and data on the device. */
  dispose(): void {
    this.execution.dispose();
  }
  /** `dispose`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.dispose();
  }
}

interface Chosen {
  readonly key: string;
  readonly node: Node;
  readonly of: TapNodes;
  readonly side: Side;
}

/** xᵀx of each group in float64, as terms: of `part` rows each where x is float32 */
function products(x: Node): Node[] {
  const [rows = 0, groups = 0, width = 0] = x.shape;
  const step = x.dtype === 'float64' ? rows : part;
  return Array.from({ length: Math.ceil(rows / step) }, (_, i) => {
    const from = i * step;
    const own = ops.slice(x, [from, 0, 0], [Math.min(step, rows - from), groups, width]);
    return ops.cast(ops.dot(own, own, 'rgi', 'rgj', 'gij'), 'float64');
  });
}
/** how often each index occurs, [size] */
function counted(index: Node, size: number): Node {
  const rows = sizeOf(index.shape);
  const ones = index.graph.fill(1, [rows], 'float64');
  return ops.takeTranspose(ones, ops.cast(ops.reshape(index, [rows]), 'int32'), 0, size);
}

/** The taps of a loss with their values, at the model's parameters. Dispose it. */
export const openLayerTaps = (f: MeanLoss, options?: LayerTapOptions): Promise<LayerTaps> => LayerTaps.open(f, options);
