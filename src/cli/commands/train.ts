/** Training from the command line: minibatches, metrics, checkpoints, and the file with its new weights. */
import { type Command, Option } from 'commander';
import { formatCount, formatDuration } from '../../base/format.js';
import { significant } from '../../report/numbers.js';
import { type EpochEntry, percent, type TrainingDocument } from '../../report/training.js';
import type { CommandModule, Context, OptionValues, Outcome } from '../command.js';
import { wholeNumber } from '../options/parsers.js';
import {
  addDataOptions,
  addModelOptions,
  addTestOptions,
  type DataOptions,
  type ModelOptions,
  type TestOptions,
} from '../options/shared.js';
import { addTrainingOptions, chooseAlgorithm, type TrainingOptions } from '../options/training.js';
import { Lines } from '../output/lines.js';
import { commandLine } from '../output/shell.js';

type Options = ModelOptions &
  DataOptions &
  TestOptions &
  TrainingOptions & {
    readonly epochs: number;
    readonly init: 'keep' | 'fresh';
    readonly out: string;
    readonly checkpoint?: string;
    readonly metrics?: string;
    readonly report?: string;
  };

export const train: CommandModule = {
  name: 'train',
  define(command: Command): void {
    command
      .description("train an ONNX model's parameters, with first-order methods or M-FAC")
      .argument('<model>', 'ONNX file')
      .addOption(new Option('--epochs <n>', 'passes over the data').argParser(wholeNumber(1)).makeOptionMandatory())
      .addOption(
        new Option('--init <how>', "start from the file's values, or draw new ones")
          .choices(['keep', 'fresh'])
          .default('keep'),
      )
      .addOption(new Option('--out <file>', 'the ONNX file to write, with the new weights').makeOptionMandatory())
      .addOption(
        new Option('--checkpoint <file>', 'written after every epoch; where it exists, the run goes on from it'),
      )
      .addOption(new Option('--metrics <file>', 'one line of JSON per epoch'))
      .addOption(new Option('--report <file>', 'an HTML page with the curves'));
    addTrainingOptions(command);
    addTestOptions(addDataOptions(addModelOptions(command), 'required'), 'test on after each epoch');
    command.addHelpText(
      'after',
      '\nExample:\n  hessia train cnn.onnx --data train.npz --test test.npz --optimizer mfac --lr 0.01 --epochs 20 --batch-size 128 --out trained.onnx',
    );
  },
  async run([path], values: OptionValues, context: Context): Promise<Outcome> {
    const options = values as unknown as Options;
    const { signal } = context;
    const { ensureWritable, writeFileAtomic } = await import('../../base/atomic-write.js');
    const { Objective } = await import('../../model/objective.js');
    const { loadOnnx, requireBatchNorm, writeOnnx } = await import('../../onnx/index.js');
    const { stepsPerEpoch, train: run, withFreshParameters } = await import('../../training/index.js');
    const { openSession, openTest } = await import('../session.js');
    for (const file of [options.out, options.checkpoint, options.metrics, options.report])
      if (file !== undefined) await ensureWritable(file);
    await using session = await openSession(path as string, options);
    const { model } = session;
    // dropout alone is reason enough for mode train
    if (options.mode === 'train' && !(model.operators.has('Dropout') && !model.operators.has('BatchNormalization')))
      requireBatchNorm(model);
    const start =
      options.init === 'fresh'
        ? withFreshParameters(session.loss, options.seed, session.options)
        : { f: session.loss, kept: [], statistics: undefined };
    const evaluated = options.mode === 'train' ? await loadOnnx(path as string, { fix: options.fix }) : start.f.model;
    await using test = await openTest(session, options, evaluated);
    const objective = new Objective(start.f, session.options);
    const chosen = await chooseAlgorithm(
      options,
      options.epochs,
      stepsPerEpoch(objective.samples, objective.batchSize),
    );
    const result = await run(start.f, {
      ...session.options,
      ...chosen,
      epochs: options.epochs,
      statistics: start.statistics,
      test: test?.loss,
      checkpoint: options.checkpoint,
      signal,
      onProgress: ({ epoch, step, steps }) =>
        context.progress({ stage: `epoch ${epoch}`, products: step, total: steps, unit: 'updates' }),
      onEpoch: async (epochs) => {
        if (options.metrics !== undefined)
          await writeFileAtomic(options.metrics, epochs.map((e) => `${JSON.stringify(e)}\n`).join(''));
        context.announce(epochLine(epochs.at(-1) as EpochEntry, options.epochs));
      },
    });
    const document: TrainingDocument = {
      schemaVersion: 1,
      model: path as string,
      out: options.out,
      optimizer: options.optimizer,
      options: chosen.options,
      dimension: objective.dimension,
      samples: objective.samples,
      batchSize: objective.batchSize,
      steps: result.steps,
      epochs: result.epochs,
      best: result.best,
      resumed: result.resumed,
      seconds: result.seconds,
      seed: options.seed,
      device: session.device.kind,
      deviceName: session.device.name,
      dtype: options.dtype,
      threads: session.device.threads,
      version: context.version,
      warnings: [
        ...model.warnings,
        ...(options.init === 'fresh' && options.mode === 'eval' && model.operators.has('BatchNormalization')
          ? ["batch normalisation keeps the file's running statistics; --mode train starts and trains them anew"]
          : []),
        ...(start.kept.length > 0 ? [`these parameters kept the file's values: ${start.kept.join(', ')}`] : []),
      ],
    };
    signal.throwIfAborted();
    await writeOnnx(path as string, new Map(Object.entries(result.values)), options.out);
    if (options.report !== undefined) {
      const { renderTraining } = await import('../../report/training.js');
      const page = renderTraining(document, {
        lossName: options.loss,
        data: options.data ?? [],
        test: options.test ?? [],
        parameters: objective.parameters.map((p) => ({ name: p.name, shape: p.shape, count: p.values().length })),
        command: commandLine(context.argv),
        date: new Date(),
      });
      await writeFileAtomic(options.report, page);
    }
    return { document, summary: summarise(document, options) };
  },
};

function epochLine(e: EpochEntry, epochs: number): string {
  const tested =
    e.testLoss === null
      ? ''
      : `  test ${significant(e.testLoss, 5)}${e.testAccuracy === null ? '' : `  ${percent(e.testAccuracy)}`}`;
  return `epoch ${String(e.epoch).padStart(String(epochs).length)}/${epochs}  loss ${significant(e.trainLoss, 5)}${tested}  lr ${significant(e.learningRate, 3)}  ${formatDuration(e.seconds)}`;
}

function summarise(d: TrainingDocument, options: Options): Lines {
  const last = d.epochs.at(-1) as EpochEntry;
  return new Lines()
    .text(`Trained ${d.model} by ${d.optimizer} on ${formatCount(d.samples)} samples`)
    .pairs([
      ['training loss', significant(last.trainLoss, 6)],
      ['test loss', significant(last.testLoss, 6)],
      ['test accuracy', percent(last.testAccuracy)],
      ['best epoch', `${d.best.epoch} of ${d.epochs.length}`],
      ['work', `${formatCount(d.steps)} updates of ${d.batchSize} samples in ${formatDuration(d.seconds)}`],
      ['device', `${d.deviceName}, ${d.dtype}`],
      ['written', [d.out, options.report, options.metrics].filter((f) => f !== undefined).join(', ')],
    ])
    .notes(d.warnings);
}
