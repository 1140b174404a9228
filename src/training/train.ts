/**
 * Training by minibatches: epochs over the data in orders drawn from a seed, one update a minibatch, loss and accuracy
 * on test data after each epoch. Deterministic: the same options give the same bits, in one run or resumed from any of
 * its checkpoints.
 */
import { ComputationError, checkInterrupted, InputError } from '../base/errors.js';
import { shuffled } from '../data/shuffle.js';
import type { MeanLoss } from '../model/mean-loss.js';
import type { CurvatureOptions } from '../operators/create.js';
import { testedAt } from '../operators/tested.js';
import { TrainingStep } from '../operators/training-step.js';
import type { AlgorithmFactory } from './algorithm.js';
import { readCheckpoint, writeCheckpoint } from './checkpoint.js';

/** What one epoch brought. */
export interface EpochMetrics {
  /** 1, 2, … */
  readonly epoch: number;
  /** mean of the minibatch losses, each before its update, weighted by samples */
  readonly trainLoss: number;
  /** null without test data */
  readonly testLoss: number | null;
  /** null without test data, or where the loss has no labels */
  readonly testAccuracy: number | null;
  /** of training; evaluation on test data is not counted */
  readonly seconds: number;
  /** of the last update */
  readonly learningRate: number;
}

/** How far a training run is. */
export interface TrainingProgress {
  readonly epoch: number;
  /** updates done and wanted, of the whole run */
  readonly step: number;
  readonly steps: number;
  /** of the last minibatch */
  readonly loss: number;
}

/** Options of `train`. */
export interface TrainOptions extends Omit<CurvatureOptions, 'block' | 'fisherSamples'> {
  /** `onHost(optimizers.sgd({ … }))`, `onDevice({ … })` for M-FAC, or one of your own */
  readonly algorithm: AlgorithmFactory;
  /** its learning rate after `done` updates, for the record */
  readonly learningRate: (done: number) => number;
  /** what the algorithm is, in words that differ where its options do: a checkpoint of another is refused */
  readonly describe: string;
  readonly epochs: number;
  /** evaluated after every epoch, in mode 'eval', with the parameters and running statistics of that moment */
  readonly test?: MeanLoss | undefined;
  /** running statistics to start from, by name; the model's where none are given */
  readonly statistics?: Readonly<Record<string, ArrayLike<number>>> | undefined;
  /** read at the start where it exists, written after every epoch */
  readonly checkpoint?: string | undefined;
  /** all epochs so far, the newest last */
  readonly onEpoch?: ((epochs: readonly EpochMetrics[]) => void | Promise<void>) | undefined;
  /** after every update */
  readonly onProgress?: ((progress: TrainingProgress) => void) | undefined;
}

/** What `train` gives. */
export interface TrainingResult {
  readonly epochs: readonly EpochMetrics[];
  /** the epoch of the smallest test loss, or training loss without test data */
  readonly best: EpochMetrics;
  /** parameters after the last epoch by name, and running statistics in mode 'train', as `writeOnnx` takes them */
  readonly values: Readonly<Record<string, Float64Array>>;
  /** updates done */
  readonly steps: number;
  /** epochs that came from the checkpoint */
  readonly resumed: number;
  /** of training and evaluation, those before a resumption included */
  readonly seconds: number;
}

interface RunState {
  readonly epochs: readonly EpochMetrics[];
  readonly seconds: number;
  readonly algorithm: unknown;
  /** running statistics, in mode 'train' */
  readonly buffers: Readonly<Record<string, Float64Array>>;
}

/** updates of one epoch */
export const stepsPerEpoch = (samples: number, batchSize: number): number => Math.ceil(samples / batchSize);

/**
 * Minimises `f` from the model's values. Throws InputError for options or data that do not fit, ComputationError where a
 * loss is not finite, naming the step and what is saved.
 */
export async function train(f: MeanLoss, options: TrainOptions): Promise<TrainingResult> {
  const { epochs: wanted, seed = 0, signal, checkpoint } = options;
  if (!Number.isSafeInteger(wanted) || wanted < 1)
    throw new InputError(`the number of epochs must be a whole number of at least 1, not ${wanted}`);
  await using step = await TrainingStep.create(f, options);
  const { objective, device, dtype } = step.execution;
  await using tested = options.test && (await testedAt(step, options.test));
  if (options.statistics) step.restore(options.statistics);
  const run = {
    model: objective.model.fingerprint,
    objective: objective.fingerprint(await objective.survey()),
    'batch size': String(step.batchSize),
    dtype,
    seed: String(seed),
    algorithm: options.describe,
  };
  const saved = checkpoint === undefined ? null : ((await readCheckpoint(checkpoint, run)) as RunState | null);
  if (saved && saved.epochs.length > wanted)
    throw new InputError(`${checkpoint} has ${saved.epochs.length} epochs behind it, more than the ${wanted} wanted`);
  const algorithm = await options.algorithm(step.parameters, saved?.algorithm);
  try {
    if (saved) step.restore(saved.buffers);
    const metrics: EpochMetrics[] = [...(saved?.epochs ?? [])];
    const perEpoch = stepsPerEpoch(objective.samples, step.batchSize);
    const before = saved?.seconds ?? 0;
    const started = performance.now();
    const elapsed = (): number => before + (performance.now() - started) / 1000;
    for (let epoch = metrics.length + 1; epoch <= wanted; epoch++) {
      const from = performance.now();
      const batches = minibatches(shuffled(objective.samples, seed, epoch), step.batchSize);
      let sum = 0;
      for (const [i, samples] of batches.entries()) {
        checkInterrupted(signal);
        const done = (epoch - 1) * perEpoch + i;
        try {
          const { loss, gradient } = await step.step(samples, { ahead: batches[i + 1], step: done, signal });
          await algorithm.update(gradient);
          sum += loss * samples.length;
          options.onProgress?.({ epoch, step: done + 1, steps: wanted * perEpoch, loss });
        } catch (error) {
          throw located(error, done + 1, epoch, metrics.length, checkpoint);
        }
      }
      await device.finish();
      const seconds = (performance.now() - from) / 1000;
      const { loss: testLoss, accuracy: testAccuracy } = (await tested?.evaluate(signal)) ?? {
        loss: null,
        accuracy: null,
      };
      const entry = {
        epoch,
        trainLoss: sum / objective.samples,
        testLoss,
        testAccuracy,
        seconds,
        learningRate: options.learningRate(epoch * perEpoch - 1),
      };
      metrics.push(entry);
      if (checkpoint !== undefined) {
        const state: RunState = {
          epochs: metrics,
          seconds: elapsed(),
          algorithm: await algorithm.save(),
          buffers: await step.buffers(),
        };
        await writeCheckpoint(checkpoint, { run, state });
      }
      await options.onEpoch?.([...metrics]);
    }
    return {
      epochs: metrics,
      best: best(metrics),
      values: { ...(await step.values()), ...(await step.buffers()) },
      steps: wanted * perEpoch,
      resumed: saved?.epochs.length ?? 0,
      seconds: elapsed(),
    };
  } finally {
    algorithm.dispose();
  }
}

function minibatches(order: Int32Array, size: number): Int32Array[] {
  return Array.from({ length: Math.ceil(order.length / size) }, (_, i) => order.subarray(i * size, (i + 1) * size));
}

/** smallest test loss, or training loss where nothing is tested; the first of equals */
function best(epochs: readonly EpochMetrics[]): EpochMetrics {
  const value = (e: EpochMetrics): number => e.testLoss ?? e.trainLoss;
  return epochs.reduce((a, b) => (value(b) < value(a) ? b : a));
}

function located(
  error: unknown,
  step: number,
  epoch: number,
  finished: number,
  checkpoint: string | undefined,
): unknown {
  if (!(error instanceof ComputationError)) return error;
  const kept =
    checkpoint === undefined || finished === 0
      ? 'nothing was saved (give --checkpoint FILE to keep every epoch)'
      : `${checkpoint} holds the state after epoch ${finished}`;
  return new ComputationError(
    `step ${step} (epoch ${epoch}): ${error.message.replace(/; try a smaller learning rate.*$/, '')}; ${kept}; try a smaller learning rate, a warm-up or clipping`,
    { cause: error },
  );
}
