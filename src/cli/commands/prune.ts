/** Pruning from the command line: methods by sparsities, the pruned file, its masks and a report. */
import { type Command, Option } from 'commander';
import { InputError } from '../../base/errors.js';
import { formatCount, formatDuration } from '../../base/format.js';
import type { PruneResult } from '../../pruning/index.js';
import { significant } from '../../report/numbers.js';
import type { PruningDocument, PruningRun } from '../../report/pruning.js';
import { percent } from '../../report/training.js';
import type { CommandModule, Context, OptionValues, Outcome } from '../command.js';
import { wholeNumber } from '../options/parsers.js';
import { addPruningOptions, chooseMethods, type PruningOptions } from '../options/pruning.js';
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
  TrainingOptions &
  PruningOptions & {
    readonly finetuneEpochs: number;
    readonly out: string;
    readonly mask?: string;
    readonly report?: string;
  };

export const prune: CommandModule = {
  name: 'prune',
  define(command: Command): void {
    command
      .description('set weights of an ONNX model to zero, and let the others make up for them')
      .argument('<model>', 'ONNX file');
    addPruningOptions(command)
      .addOption(
        new Option('--finetune-epochs <n>', 'passes over the data after each event, what is gone staying zero')
          .argParser(wholeNumber(0))
          .default(0),
      )
      .addOption(
        new Option(
          '--out <file>',
          'the ONNX file to write: the first method at the largest sparsity',
        ).makeOptionMandatory(),
      )
      .addOption(new Option('--mask <file.npz>', '1 where a weight is left and 0 where it is gone, by name'))
      .addOption(new Option('--report <file>', 'an HTML page with the curves'));
    addTrainingOptions(command);
    addTestOptions(addDataOptions(addModelOptions(command), 'required'), 'measure loss and accuracy on');
    command.addHelpText(
      'after',
      '\n--params and --freeze choose what is pruned (default: weights of linear layers and convolutions).\n\nExample:\n  hessia prune cnn.onnx --data train.npz --test test.npz --method mfac,magnitude --sparsity 0.5,0.8,0.9 --steps 8 --out pruned.onnx --report pruning.html',
    );
  },
  async run([path], values: OptionValues, context: Context): Promise<Outcome> {
    const options = values as unknown as Options;
    const { signal } = context;
    const { ensureWritable, writeFileAtomic } = await import('../../base/atomic-write.js');
    const { writeNpz } = await import('../../data/index.js');
    const { Objective } = await import('../../model/objective.js');
    const { writeOnnx } = await import('../../onnx/index.js');
    const { prune: run } = await import('../../pruning/index.js');
    const { stepsPerEpoch } = await import('../../training/index.js');
    const { openSession, openTest } = await import('../session.js');
    for (const file of [options.out, options.mask, options.report]) if (file !== undefined) await ensureWritable(file);
    const epochs = options.finetuneEpochs;
    if (epochs === 0 && options.events > 1)
      throw new InputError('--events needs --finetune-epochs; for one-shot pruning in steps give --steps');
    const methods = await chooseMethods(options);
    await using session = await openSession(path as string, options);
    await using test = await openTest(session, options);
    // --params choose what is pruned; fine-tuning trains everything
    const objective = new Objective(session.loss);
    const chosen =
      epochs > 0
        ? await chooseAlgorithm(options, epochs, stepsPerEpoch(objective.samples, objective.batchSize))
        : undefined;
    const results: PruneResult[] = [];
    for (const method of methods)
      results.push(
        ...(await run(session.loss, {
          ...session.options,
          method,
          sparsity: options.sparsity,
          pattern: options.pattern,
          scope: options.scope,
          steps: options.steps,
          events: options.events,
          initialSparsity: options.initialSparsity,
          fineTuning: chosen && { epochs, algorithm: chosen.algorithm },
          test: test?.loss,
          signal,
          onProgress: ({ sparsity, stage, done, total }) =>
            context.progress({
              stage: `${method.name} ${percent(sparsity)}, ${stage}`,
              products: done,
              total,
              unit: stage === 'scores' ? 'steps' : 'updates',
            }),
        })),
      );
    const written = results.filter((r) => r.method === methods[0]?.name).at(-1) as PruneResult;
    const document: PruningDocument = {
      schemaVersion: 1,
      model: path as string,
      out: options.out,
      ...entry(written),
      pattern: written.pattern,
      before: written.before,
      runs: results.map(entry),
      scope: options.scope,
      steps: options.steps,
      events: options.events,
      finetuneEpochs: epochs,
      weights: written.layers.reduce((n, l) => n + l.count, 0),
      samples: objective.samples,
      tested: test !== null,
      seed: options.seed,
      device: session.device.kind,
      deviceName: session.device.name,
      dtype: options.dtype,
      threads: session.device.threads,
      version: context.version,
      warnings: [...session.model.warnings, ...emptied(written)],
    };
    signal.throwIfAborted();
    await writeOnnx(path as string, new Map(Object.entries(written.values)), options.out);
    if (options.mask !== undefined)
      await writeNpz(
        options.mask,
        written.layers.map(({ name, shape }) => [
          name,
          { dtype: 'uint8', shape, data: written.masks[name] as Uint8Array },
        ]),
        { compress: true },
      );
    if (options.report !== undefined) {
      const { renderPruning } = await import('../../report/pruning.js');
      const page = renderPruning(document, {
        lossName: options.loss,
        data: options.data ?? [],
        test: options.test ?? [],
        parameters: written.layers,
        command: commandLine(context.argv),
        date: new Date(),
      });
      await writeFileAtomic(options.report, page);
    }
    return { document, summary: summarise(document, options) };
  },
};

function entry(r: PruneResult): PruningRun {
  const { method, sparsity, after, predictedIncrease, measuredIncrease, seconds } = r;
  const layers = r.layers.map(({ name, sparsity, predictedIncrease }) => ({ name, sparsity, predictedIncrease }));
  return { method, sparsity, after, predictedIncrease, measuredIncrease, layers, seconds };
}

function emptied({ layers, method }: PruneResult): string[] {
  const names = layers.filter((l) => l.removed === l.count).map((l) => l.name);
  return names.length === 0
    ? []
    : [
        `${method} removed all weights of ${names.join(', ')}: what follows does not depend on the input there (--scope layer prunes layers alike)`,
      ];
}

function summarise(d: PruningDocument, options: Options): Lines {
  const where = d.tested ? 'test' : 'calibration';
  const lines = new Lines().text(`Pruned ${d.model}: ${formatCount(d.weights)} weights, ${d.pattern}`);
  lines.pairs(
    d.runs.map((r) => [
      `${r.method} ${percent(r.sparsity)}`,
      `loss ${significant(r.after.loss, 5)}${r.after.accuracy === null ? '' : `  accuracy ${percent(r.after.accuracy)}`}  increase ${significant(r.measuredIncrease, 3)} (predicted ${significant(r.predictedIncrease, 3)})  ${formatDuration(r.seconds)}`,
    ]),
  );
  return lines
    .pairs([
      ['before', `${where} loss ${significant(d.before.loss, 5)}, accuracy ${percent(d.before.accuracy)}`],
      ['device', `${d.deviceName}, ${d.dtype}`],
      [
        'written',
        `${[d.out, options.mask, options.report].filter((f) => f !== undefined).join(', ')} (${d.method}, ${percent(d.sparsity)})`,
      ],
    ])
    .notes(d.warnings);
}
