/** Medians of repeated runs: the gradient, the pass that products share, products in blocks, and their memory. */
import { ComputationError } from '../../base/errors.js';
import type { Device } from '../../device/device.js';
import type { LoadedProgram } from '../../device/program.js';
import { execute } from '../../operators/create.js';
import type { CurvatureOperator } from '../../operators/curvature.js';
import { GradientEvaluator } from '../../operators/gradient.js';
import type { Context } from '../command.js';
import type { OperatorOptions } from '../options/shared.js';
import { openOperator, type Session } from '../session.js';
import { flopsOf } from './instructions.js';
import { matmulFlopsPerSecond } from './matmul.js';
import { median } from './median.js';

export interface BenchOptions extends OperatorOptions {
  readonly blocks: readonly number[];
  readonly repeats: number;
  readonly profile?: true;
}

export interface BenchResult {
  readonly dimension: number;
  readonly samples: number;
  readonly batchSize: number;
  readonly gradient: { readonly seconds: number; readonly peakBytes: number; readonly flops: number };
  /** products with the shared pass retained where memory allows: see `retained` */
  readonly products: readonly {
    readonly block: number;
    readonly secondsPerProduct: number;
    readonly peakBytes: number;
  }[];
  readonly primal: { readonly seconds: number; readonly flops: number };
  readonly retained: boolean;
  readonly flopsPerProduct: number;
  readonly matmulFlopsPerSecond: number;
  readonly profile?: { readonly block: number; readonly instructions: readonly ProfiledInstruction[] };
}

export interface ProfiledInstruction {
  readonly label: string;
  readonly seconds: number;
  readonly share: number;
  readonly flops: number;
}

type Watch = Pick<Context, 'signal' | 'progress'>;

export async function measure(session: Session, options: BenchOptions, watch: Watch): Promise<BenchResult> {
  const { device } = session;
  const largest = Math.max(...options.blocks);
  const total = options.repeats * (2 + options.blocks.length);
  let done = 0;
  const timed = async (work: () => Promise<void>): Promise<number> => {
    const seconds: number[] = [];
    for (let i = 0; i <= options.repeats; i += 1) {
      watch.signal.throwIfAborted();
      const started = performance.now();
      await work();
      await device.finish();
      if (i === 0) continue; // compiles, uploads, warms caches
      seconds.push((performance.now() - started) / 1000);
      watch.progress({ stage: 'bench', products: ++done, total });
    }
    return median(seconds);
  };
  const gradient = await measureGradient(session, timed, watch.signal);
  const { operator } = await openOperator(session, options, 2 * largest, largest);
  const { objective } = operator.execution;
  const primal = await timed(async () => {
    operator.invalidate();
    await operator.prepare(watch.signal);
  });
  const products = [];
  for (const block of options.blocks) products.push(await measureProducts(operator, block, timed, watch.signal));
  const profile = options.profile ? { profile: await profiled(operator, largest) } : {};
  operator.dispose();
  return {
    dimension: objective.dimension,
    samples: objective.samples,
    batchSize: objective.batchSize,
    gradient,
    products,
    primal: { seconds: primal, flops: operator.flops.primal * operator.plan.kept },
    retained: operator.plan.kept === operator.plan.batches,
    flopsPerProduct: operator.flops.product * objective.batches,
    matmulFlopsPerSecond: await matmulFlopsPerSecond(device, session.options.dtype ?? 'float32'),
    ...profile,
  };
}

type Timed = (work: () => Promise<void>) => Promise<number>;

async function measureGradient(session: Session, timed: Timed, signal: AbortSignal): Promise<BenchResult['gradient']> {
  const execution = await execute(session.loss, session.options);
  try {
    const evaluator = new GradientEvaluator(execution);
    const output = session.device.block(execution.dtype, execution.objective.dimension, 1);
    const high = new HighWater(session.device);
    const seconds = await timed(async () => {
      await evaluator.evaluate({ signal, output });
      high.note();
    });
    output.dispose();
    return { seconds, peakBytes: high.bytes, flops: evaluator.flops(true) * execution.objective.batches };
  } finally {
    execution.dispose();
  }
}

async function measureProducts(
  operator: CurvatureOperator,
  block: number,
  timed: Timed,
  signal: AbortSignal,
): Promise<BenchResult['products'][number]> {
  const input = operator.device.block(operator.dtype, operator.rows, block);
  const output = operator.device.block(operator.dtype, operator.rows, block);
  try {
    input.fillRandom('normal', 0, 0);
    const high = new HighWater(operator.device);
    const seconds = await timed(async () => {
      await operator.apply(input, output, { signal });
      high.note();
    });
    // Reading shows failures, which stay in the results until somebody looks.
    if (!(await output.norms()).every(Number.isFinite))
      throw new ComputationError('a product is not finite; try --dtype float64');
    return { block, secondsPerProduct: seconds / block, peakBytes: high.bytes };
  } finally {
    input.dispose();
    output.dispose();
  }
}

/** The most that live buffers took whenever it was noted: buffers are made when work is queued, before it runs. */
class HighWater {
  bytes = 0;
  constructor(private readonly device: Device) {}
  note(): void {
    this.bytes = Math.max(this.bytes, this.device.allocatedBytes);
  }
}

const profileRuns = 5;

async function profiled(operator: CurvatureOperator, block: number): Promise<NonNullable<BenchResult['profile']>> {
  const input = operator.device.block(operator.dtype, operator.rows, block);
  const output = operator.device.block(operator.dtype, operator.rows, block);
  try {
    input.fillRandom('normal', 0, 0);
    output.zero();
    const runs: Float64Array[] = [];
    let source: LoadedProgram['source'] | undefined;
    for (let i = 0; i < profileRuns; i += 1) {
      const { program, seconds } = await operator.profile(input, output);
      source = program.source;
      runs.push(seconds);
    }
    const { labels = [], program } = source ?? {};
    const times = labels.map((_, i) => median(runs.map((r) => r[i] ?? Number.NaN)));
    const all = times.reduce((a, b) => a + b, 0);
    const instructions = labels.map((label, i) => {
      const instruction = program?.instructions[i];
      return {
        label,
        seconds: times[i] as number,
        share: (times[i] as number) / all,
        flops: instruction ? flopsOf(instruction) : 0,
      };
    });
    return { block, instructions: instructions.sort((a, b) => b.seconds - a.seconds) };
  } finally {
    input.dispose();
    output.dispose();
  }
}
