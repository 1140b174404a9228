/** The trace of a curvature matrix, or of a function of it. */
import { type Command, Option } from 'commander';
import { InputError } from '../../base/errors.js';
import { formatCount, formatDuration } from '../../base/format.js';
import { withError } from '../../report/numbers.js';
import type { MatrixFunction, TraceMethod } from '../../solvers/trace.js';
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
    readonly method?: TraceMethod | 'slq';
    readonly function: MatrixFunction;
    readonly products?: number;
    readonly steps?: number;
    readonly probes?: number;
  };

export const trace: CommandModule = {
  name: 'trace',
  define(command: Command): void {
    command
      .description('trace of the matrix, or of a function of it, with its standard error')
      .argument('<model>', 'ONNX file')
      .addOption(
        new Option(
          '--method <name>',
          'slq: by Lanczos, for functions (default: hutchinson, for functions slq)',
        ).choices(['hutchinson', 'hutch++', 'xtrace', 'slq']),
      )
      .addOption(
        new Option('--function <name>', 'of the eigenvalues')
          .choices(['identity', 'square', 'abs', 'sqrt', 'log', 'exp', 'inverse'])
          .default('identity'),
      )
      .addOption(
        new Option('--products <n>', 'vectors to multiply (default: 100; not for slq)').argParser(wholeNumber(1)),
      )
      .addOption(new Option('--steps <n>', 'of slq (default: 100)').argParser(wholeNumber(1)))
      .addOption(new Option('--probes <n>', 'of slq (default: 10)').argParser(wholeNumber(1)));
    addDataOptions(addModelOptions(addOperatorOption(command)), 'required');
    command.addHelpText('after', '\nExample:\n  hessia trace cnn.onnx --data test.npz --method hutch++');
  },
  async run([path], values: OptionValues, context: Context): Promise<Outcome> {
    const options = values as unknown as Options;
    const method = options.method ?? (options.function === 'identity' ? 'hutchinson' : 'slq');
    refuseMisfits(options, method);
    const { estimateFunctionTrace, estimateTrace } = await import('../../solvers/trace.js');
    const { openOperator, openSession } = await import('../session.js');
    await using session = await openSession(path as string, options);
    const { products = 100, steps = 100, probes = 10 } = options;
    const { operator, vectorMemory } = await openOperator(
      session,
      options,
      method === 'slq' ? probes * (steps + 2) : products + 64,
    );
    const shared = {
      seed: options.seed,
      memory: vectorMemory,
      signal: context.signal,
      onProgress: (progress: Parameters<Context['progress']>[0]): void => context.progress(progress),
    };
    const result =
      method === 'slq'
        ? await estimateFunctionTrace(operator, { ...shared, function: options.function, steps, probes })
        : await estimateTrace(operator, { ...shared, method, products });
    const { objective } = operator.execution;
    const document = {
      schemaVersion: 1,
      model: path,
      operator: options.operator,
      function: options.function,
      dimension: operator.rows,
      samples: objective.samples,
      batchSize: objective.batchSize,
      estimate: result.estimate,
      standardError: result.standardError,
      method: result.method,
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
    const what = options.function === 'identity' ? 'Trace' : `Trace of the ${options.function}`;
    const summary = new Lines()
      .text(`${what} of the ${options.operator} matrix of ${path}, dimension ${formatCount(operator.rows)}`)
      .pairs([
        ['estimate', withError(result.estimate, result.standardError)],
        ['method', `${result.method}, ${formatCount(result.products)} products in ${formatDuration(result.seconds)}`],
        ['device', `${session.device.name}, ${options.dtype}`],
      ])
      .notes(session.model.warnings);
    return { document, summary };
  },
};

/** Options that the method would ignore: the user meant something else. */
function refuseMisfits(options: Options, method: TraceMethod | 'slq'): void {
  if (method !== 'slq' && options.function !== 'identity')
    throw new InputError(`--function ${options.function} needs --method slq, not ${method}`);
  if (method === 'slq' && options.products !== undefined)
    throw new InputError('--method slq takes --steps and --probes, not --products');
  if (method !== 'slq' && (options.steps ?? options.probes) !== undefined)
    throw new InputError(`--method ${method} takes --products, not --steps or --probes`);
}
