/** The diagonal of a curvature matrix, to a file. */
import { type Command, Option } from 'commander';
import { formatCount, formatDuration } from '../../base/format.js';
import { significant } from '../../report/numbers.js';
import type { DiagonalMethod } from '../../solvers/diagonal.js';
import type { CommandModule, Context, OptionValues, Outcome } from '../command.js';
import { wholeNumber } from '../options/parsers.js';
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
    readonly method: DiagonalMethod;
    readonly products: number;
    readonly out: string;
  };

export const diag: CommandModule = {
  name: 'diag',
  define(command: Command): void {
    command
      .description('diagonal of the matrix, with standard errors, to a file')
      .argument('<model>', 'ONNX file')
      .addOption(
        new Option('--method <name>', 'exact: one product per parameter')
          .choices(['bekas', 'xdiag', 'exact'])
          .default('bekas'),
      )
      .addOption(
        new Option('--products <n>', 'vectors to multiply; not for exact').argParser(wholeNumber(1)).default(100),
      )
      .addOption(
        new Option('--out <file>', '.npz: one array per parameter, and its error as error/NAME').makeOptionMandatory(),
      );
    addDataOptions(addModelOptions(addOperatorOption(command)), 'required');
    command.addHelpText(
      'after',
      '\nExample:\n  hessia diag cnn.onnx --data test.npz --operator gauss-newton --out diagonal.npz',
    );
  },
  async run([path], values: OptionValues, context: Context): Promise<Outcome> {
    const options = values as unknown as Options;
    const { ensureWritable } = await import('../../base/atomic-write.js');
    const { writeNpz } = await import('../../data/index.js');
    const { diagonal } = await import('../../solvers/diagonal.js');
    const { openOperator, openSession } = await import('../session.js');
    const { NamedVectors } = await import('../vectors.js');
    const { signal } = context;
    await ensureWritable(options.out);
    await using session = await openSession(path as string, options);
    const { operator, vectorMemory } = await openOperator(
      session,
      options,
      options.method === 'xdiag' ? 2 * options.products : 64,
    );
    const { objective } = operator.execution;
    const named = new NamedVectors(objective);
    const { method, products } = options;
    const result = await diagonal(operator, {
      method,
      products,
      seed: options.seed,
      memory: vectorMemory,
      signal,
      onProgress: (progress) => context.progress(progress),
    });
    const rounded = (v: Float64Array): Float32Array | Float64Array =>
      options.dtype === 'float32' ? Float32Array.from(v) : v;
    const arrays = new Map(named.named(rounded(result.estimate)));
    if (result.standardError) {
      for (const [name, array] of named.named(rounded(result.standardError))) arrays.set(`error/${name}`, array);
    }
    signal.throwIfAborted();
    await writeNpz(options.out, arrays);
    const [least, most, sum] = result.estimate.reduce(
      ([a, b, s], x) => [Math.min(a, x), Math.max(b, x), s + x],
      [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0],
    );
    const document = {
      schemaVersion: 1,
      model: path,
      operator: options.operator,
      dimension: operator.rows,
      samples: objective.samples,
      batchSize: objective.batchSize,
      method: result.method,
      products: result.products,
      sum,
      smallest: least,
      largest: most,
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
      .text(`Diagonal of the ${options.operator} matrix of ${path}, dimension ${formatCount(operator.rows)}`)
      .pairs([
        [
          'entries',
          `from ${significant(least as number)} to ${significant(most as number)}, sum ${significant(sum as number)}`,
        ],
        ['method', `${result.method}, ${formatCount(result.products)} products in ${formatDuration(result.seconds)}`],
        ['device', `${session.device.name}, ${options.dtype}`],
        ['written', options.out],
      ])
      .notes(session.model.warnings);
    return { document, summary };
  },
};
