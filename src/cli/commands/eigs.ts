/** Extreme eigenvalues to a tolerance, and their vectors. */
import { type Command, Option } from 'commander';
import { formatCount, formatDuration } from '../../base/format.js';
import { significant } from '../../report/numbers.js';
import type { Which } from '../../solvers/eigs.js';
import type { CommandModule, Context, OptionValues, Outcome } from '../command.js';
import { positiveNumber, wholeNumber } from '../options/parsers.js';
import {
  addDataOptions,
  addModelOptions,
  addOperatorOption,
  type DataOptions,
  type ModelOptions,
  type OperatorOptions,
} from '../options/shared.js';
import { Lines } from '../output/lines.js';

type Options = ModelOptions &
  DataOptions &
  OperatorOptions & {
    readonly k: number;
    readonly which: Which;
    readonly tolerance: number;
    readonly vectors?: string;
  };

export const eigs: CommandModule = {
  name: 'eigs',
  define(command: Command): void {
    command
      .description('extreme eigenvalues to a tolerance, with their vectors')
      .argument('<model>', 'ONNX file')
      .addOption(new Option('--k <n>', 'how many').argParser(wholeNumber(1)).default(10))
      .addOption(
        new Option('--which <end>', "'both': half from each end")
          .choices(['largest', 'smallest', 'both', 'magnitude'])
          .default('largest'),
      )
      .addOption(
        new Option('--tolerance <t>', 'residual relative to the norm of the matrix')
          .argParser(positiveNumber())
          .default(1e-6),
      )
      .addOption(new Option('--vectors <file>', '.npz: eigenvalues, and per parameter the vectors along axis 0'));
    addDataOptions(addModelOptions(addOperatorOption(command)), 'required');
    command.addHelpText('after', '\nExample:\n  hessia eigs cnn.onnx --data test.npz --k 5 --which both');
  },
  async run([path], values: OptionValues, context: Context): Promise<Outcome> {
    const options = values as unknown as Options;
    const { ensureWritable } = await import('../../base/atomic-write.js');
    const { writeNpz } = await import('../../data/index.js');
    const { eigs: solve } = await import('../../solvers/eigs.js');
    const { openOperator, openSession } = await import('../session.js');
    const { NamedVectors } = await import('../vectors.js');
    const { signal } = context;
    if (options.vectors !== undefined) await ensureWritable(options.vectors);
    await using session = await openSession(path as string, options);
    const { operator, vectorMemory } = await openOperator(session, options, 6 * options.k + 64);
    const { objective } = operator.execution;
    const named = new NamedVectors(objective, ['eigenvalues', 'residuals']);
    const { k, which, tolerance } = options;
    const result = await solve(operator, {
      k,
      which,
      tolerance,
      seed: options.seed,
      memory: vectorMemory,
      vectors: options.vectors !== undefined,
      signal,
      onProgress: (progress) => context.progress(progress),
    });
    const count = result.eigenvalues.length;
    if (options.vectors !== undefined && result.vectors) {
      const arrays = new Map(named.stacked(await result.vectors.read(), count));
      const list = (of: 'value' | 'residual'): Float64Array => Float64Array.from(result.eigenvalues, (e) => e[of]);
      arrays.set('eigenvalues', { dtype: 'float64', shape: [count], data: list('value') });
      arrays.set('residuals', { dtype: 'float64', shape: [count], data: list('residual') });
      signal.throwIfAborted();
      await writeNpz(options.vectors, arrays);
    }
    const document = {
      schemaVersion: 1,
      model: path,
      operator: options.operator,
      dimension: operator.rows,
      samples: objective.samples,
      batchSize: objective.batchSize,
      k: count,
      which,
      tolerance,
      eigenvalues: result.eigenvalues,
      converged: result.converged,
      status: result.status,
      products: result.products,
      seconds: result.seconds,
      device: session.device.kind,
      deviceName: session.device.name,
      dtype: options.dtype,
      threads: session.device.threads,
      seed: options.seed,
      version: context.version,
      warnings: session.model.warnings,
    };
    const summary = new Lines()
      .text(
        `Eigenvalues (${which}) of the ${options.operator} matrix of ${path}, dimension ${formatCount(operator.rows)}`,
      )
      .table(
        ['', 'eigenvalue', 'residual', ''],
        result.eigenvalues.map((e, i) => [
          i + 1,
          significant(e.value, 7),
          significant(e.residual, 2),
          e.converged ? '' : 'not converged',
        ]),
      )
      .text(
        `${result.status}; ${formatCount(result.products)} products in ${formatDuration(result.seconds)} on ${session.device.name}, ${options.dtype}`,
      )
      .notes(session.model.warnings);
    if (options.vectors !== undefined) summary.text(`vectors: ${options.vectors}`);
    return { document, summary };
  },
};
