/**
 * Statistics of the gradients g_n = ∇ℓ_n of the samples' own losses (no regularisation), n = 1…N:
 *
 *   mean           (1/N) Σ g_n
 *   variance       (1/N) Σ g_n∘g_n − mean∘mean, the diagonal of gradientCovariance
 *   squaredNorms   ‖g_n‖²
 *   gram           ⟨g_n, g_m⟩, N × N
 *
 * from the layers' inputs and cotangents where that is cheaper (gradients.ts), else from the gradients of a group of
 * samples. Costs a gradient over the data and what gradients.ts states; the Gram matrix N²/2 inner products besides.
 * Float32 sums over a group of at most 64 samples are added up in float64. The variance is a difference: where it is
 * small against mean², it keeps that much less of the dtype's accuracy.
 */
import { cached } from '../base/cached.js';
import { ComputationError, checkInterrupted, InputError } from '../base/errors.js';
import type { NativeBuffer } from '../device/native.js';
import type { LoadedProgram } from '../device/program.js';
import { type FloatDType, type Node, ops } from '../graph/index.js';
import { type BatchGraph, batchGraph } from '../model/batch-graph.js';
import type { Execution } from '../model/execution.js';
import type { MeanLoss } from '../model/mean-loss.js';
import { attachSamples, mustHaveSamples, runSamples, samplesAtOnce, stackSamples } from '../model/sample-batch.js';
import { type CurvatureOptions, execute, memoryBudget } from '../operators/create.js';
import { outputCotangent } from '../operators/metric.js';
import { bytesPerElement } from '../program/format.js';
import { type CompiledProgram, compile, type OutputPlacement } from '../transform/compile.js';
import { vjp } from '../transform/jvp.js';
import { cheaperUnformed, readsOnce, squaredNorms, summedGradient, summedSquares } from './gradients.js';
import { gramMatrix } from './gram.js';
import { tapsOfBatch } from './layer-taps.js';
import { cotangentsAt, type TapNodes } from './list.js';

/** Options of `gradientStatistics`. */
export interface GradientStatisticsOptions extends Omit<CurvatureOptions, 'block' | 'seed' | 'fisherSamples'> {
  /** what to compute; what is not asked for is absent from the result */
  readonly mean?: boolean | undefined;
  readonly variance?: boolean | undefined;
  readonly norms?: boolean | undefined;
  readonly gram?: boolean | undefined;
  /** samples at once, whatever the memory */
  readonly group?: number | undefined;
}
/** What `gradientStatistics` gives: statistics over samples of ∇ℓₙ. */
export interface GradientStatistics {
  /** the mean loss, without regularisation */
  readonly loss: number;
  /** [dimension], parameters one after another */
  readonly mean?: Float64Array;
  readonly variance?: Float64Array;
  /** [samples] */
  readonly squaredNorms?: Float64Array;
  /** [samples × samples], row-major */
  readonly gram?: Float64Array;
}

/** A parameter's gradients per sample: as A and D of its one tap, or formed. */
export type SampleGradient =
  | { readonly tap: TapNodes; readonly a: Node; readonly d: Node; readonly offset: number }
  | { readonly rows: Node; readonly offset: number };
export const isTapped = (g: SampleGradient): g is Extract<SampleGradient, { tap: TapNodes }> => 'tap' in g;

/** In the graph of one sample, which way is cheaper for each parameter; those without influence are left out. */
export class SampleGradients {
  readonly one: BatchGraph;
  /** Σ weight·terms, this sample's share of the mean loss */
  readonly loss: Node;
  readonly #taps = new Map<number, { tap: TapNodes; a: Node; d: Node }[]>();
  readonly #rows: readonly (Node | null)[];

  constructor(execution: Execution) {
    const { objective, dtype } = execution;
    this.one = batchGraph(objective, 1, dtype, 0);
    const { one } = this;
    this.loss = ops.reduceSum(ops.mul(one.weight, one.bound.terms(one.output, one.target as Node)));
    const cotangent = outputCotangent(one, { labels: 'data', scale: 'sample' }) ?? ops.zerosLike(one.output);
    this.#rows = vjp([one.output], [cotangent], one.parameters);
    const taps = tapsOfBatch(one);
    cotangentsAt(taps, one.output, cotangent).forEach((d, i) => {
      const tap = taps[i] as TapNodes;
      const at = objective.parameters.findIndex((p) => p.name === tap.tap.parameter);
      cached(this.#taps, at, () => []).push({ tap, a: tap.a, d });
    });
  }

  /** @param suits whether a parameter with one tap is taken by it */
  choose(suits: (tap: TapNodes) => boolean): SampleGradient[] {
    const { offsets } = this.one.objective;
    return this.#rows.flatMap((rows, i): SampleGradient[] => {
      const [first, ...more] = this.#taps.get(i) ?? [];
      const offset = offsets[i] as number;
      if (!rows) return [];
      return first && more.length === 0 && suits(first.tap) ? [{ ...first, offset }] : [{ rows, offset }];
    });
  }
}
/** the nodes of one sample that a choice is made of, and the same choice with them replaced in order */
export const nodesOf = (gradients: readonly SampleGradient[]): Node[] =>
  gradients.flatMap((g) => (isTapped(g) ? [g.a, g.d] : [g.rows]));
export function withNodes(gradients: readonly SampleGradient[], nodes: readonly Node[]): SampleGradient[] {
  let next = 0;
  const take = (): Node => nodes[next++] as Node;
  return gradients.map((g) => (isTapped(g) ? { ...g, a: take(), d: take() } : { ...g, rows: take() }));
}

type Wanted = Pick<GradientStatisticsOptions, 'mean' | 'variance' | 'norms'>;

/** Everything but the Gram matrix, of k samples. */
export function compileStatistics(source: SampleGradients, k: number, wanted: Wanted): CompiledProgram {
  const squares = wanted.variance === true;
  const sums = wanted.mean === true || squares;
  // a sum alone is always cheaper from A and D; squares of several positions need the gradients themselves
  const suits = (t: TapNodes): boolean =>
    t.tap.kind !== 'other' &&
    (!squares || (t.tap.positions === 1 && t.tap.kind !== 'embedding' && readsOnce(t))) &&
    (wanted.norms !== true || (cheaperUnformed(t.tap) && readsOnce(t)));
  const chosen = sums || wanted.norms === true ? source.choose(suits) : [];
  const stacked = stackSamples(source.one, k, [...nodesOf(chosen), source.loss]);
  const gradients = withNodes(chosen, stacked.nodes);
  const outputs: OutputPlacement[] = [{ node: stacked.nodes[stacked.nodes.length - 1] as Node, binding: 'losses' }];
  const add = (binding: string, node: Node, offset: number): void => {
    outputs.push({ node: ops.cast(node, 'float64'), binding, offset, accumulate: true });
  };
  for (const g of gradients) {
    const { offset } = g;
    if (isTapped(g)) {
      const { tap, a, d } = g;
      if (sums) add('sum', summedGradient(tap, a, d), offset);
      if (squares) add('squares', summedSquares(tap, a, d), offset);
      if (wanted.norms === true) add('norms', squaredNorms(tap.tap, a, d), 0);
      continue;
    }
    const { rows } = g;
    const square = ops.mul(rows, rows);
    if (sums) add('sum', ops.reduceSum(rows, [0]), offset);
    if (squares) add('squares', ops.reduceSum(square, [0]), offset);
    if (wanted.norms === true) add('norms', ops.reduceSum(square, rows.shape.map((_, i) => i).slice(1)), 0);
  }
  return compile({ inputs: stacked.inputs, outputs });
}

/** Statistics of the per-sample gradients, in one pass over the data. Throws as perSampleGradients does. */
export async function gradientStatistics(f: MeanLoss, options: GradientStatisticsOptions): Promise<GradientStatistics> {
  const { group, signal } = options;
  if (group !== undefined && !(Number.isSafeInteger(group) && group >= 1))
    throw new InputError(`the group must be a whole number of samples, not ${group}`);
  const memory = memoryBudget(options.memory);
  const execution = await execute(f, { ...options, memory });
  try {
    mustHaveSamples(execution.objective, 'per-sample gradients');
    const source = new SampleGradients(execution);
    const result = await pass(execution, source, options, 0.5 * memory);
    if (options.gram !== true) return result;
    return { ...result, gram: await gramMatrix(execution, source, { memory: 0.5 * memory, group, signal }) };
  } finally {
    execution.dispose();
  }
}

async function pass(
  execution: Execution,
  source: SampleGradients,
  options: GradientStatisticsOptions,
  memory: number,
): Promise<GradientStatistics> {
  const { device, dtype, objective } = execution;
  const { samples, dimension } = objective;
  const { signal } = options;
  const length = { sum: dimension, squares: dimension, norms: samples };
  const wanted = (name: keyof typeof length): boolean =>
    name === 'norms' ? options.norms === true : name === 'squares' ? options.variance === true : sums;
  const sums = options.mean === true || options.variance === true;
  const blocks = (['sum', 'squares', 'norms'] as const).flatMap((name) =>
    wanted(name) ? [[name, device.block('float64', length[name], 1)] as const] : [],
  );
  const losses = device.allocate(samples * bytesPerElement[dtype]);
  try {
    for (const [, block] of blocks) block.zero();
    const compiled = (k: number): CompiledProgram => compileStatistics(source, k, options);
    const size = options.group ?? samplesAtOnce(compiled, memory);
    const programs = new Map<number, LoadedProgram>();
    await runSamples(execution, { from: 0, to: samples, size }, ({ batch, first, start, count }, data) => {
      checkInterrupted(signal);
      const program = cached(programs, count, () => execution.loadCompiled(compiled(count)));
      const attached = execution.attachments(program, data);
      attachSamples(attached, execution.graph(batch), data, first);
      attached.set('losses', { buffer: losses, byteOffset: start * bytesPerElement[dtype] });
      for (const [name, { buffer }] of blocks)
        attached.set(name, { buffer, byteOffset: name === 'norms' ? start * bytesPerElement.float64 : 0 });
      program.run(attached, signal);
    });
    const read = async (name: keyof typeof length): Promise<Float64Array | undefined> =>
      blocks.find(([n]) => n === name)?.[1].readFloat64();
    const [loss, sum, squares, norms] = [
      await total(execution, losses, samples, dtype),
      await read('sum'),
      await read('squares'),
      await read('norms'),
    ];
    const mean = sum?.map((s) => s / samples);
    // rounding may take it below zero
    const variance = squares?.map((s, i) => Math.max(0, s / samples - (mean?.[i] as number) ** 2));
    if (![mean, variance, norms].every((v) => v?.every(Number.isFinite) ?? true))
      throw new ComputationError('a gradient is not finite; try --dtype float64, or look for overflow in the model');
    return {
      loss,
      ...(options.mean === true && mean && { mean }),
      ...(variance && { variance }),
      ...(norms && { squaredNorms: norms }),
    };
  } finally {
    for (const [, block] of blocks) block.dispose();
    losses.dispose();
  }
}
async function total(execution: Execution, losses: NativeBuffer, count: number, dtype: FloatDType): Promise<number> {
  const values = dtype === 'float32' ? new Float32Array(count) : new Float64Array(count);
  await execution.device.guardAsync(() => execution.device.native.read(losses, 0, values));
  let loss = 0;
  for (const v of values) loss += v;
  if (!Number.isFinite(loss)) throw new ComputationError(`the loss is ${loss}; try --dtype float64`);
  return loss;
}
