/** One product of a curvature matrix with a vector, or the gradient, to a file. */
import { type Command, Option } from 'commander';
import { ComputationError, InputError } from '../../base/errors.js';
import { formatCount, formatDuration } from '../../base/format.js';
import type { CurvatureName } from '../../operators/curvature.js';
import { significant } from '../../report/numbers.js';
import type { CommandModule, Context, OptionValues, Outcome } from '../command.js';
import {
  addDataOptions,
  addModelOptions,
  addOperatorOption,
  type DataOptions,
  type ModelOptions,
} from '../options/shared.js';
import { Lines } from '../output/lines.js';

type Options = ModelOptions &
  DataOptions & {
    readonly operator: CurvatureName | 'gradient';
    readonly fisherSamples: number;
    readonly vector?: string;
    readonly out: string;
  };

export const product: CommandModule = {
  name: 'product',
  define(command: Command): void {
    command
      .description('multiply a curvature matrix with a vector, or compute the gradient')
      .argument('<model>', 'ONNX file')
      .addOption(new Option('--vector <file>', ".npz with one array per parameter, or 'random'; not for gradient"))
      .addOption(new Option('--out <file>', '.npz: one array per parameter, and the loss').makeOptionMandatory());
    addDataOptions(addModelOptions(addOperatorOption(command, ['gradient'])), 'required');
    command.addHelpText(
      'after',
      '\nExample:\n  hessia product cnn.onnx --data test.npz --operator hessian --vector random --out hv.npz',
    );
  },
  async run([path], values: OptionValues, { signal }: Context): Promise<Outcome> {
    const options = values as unknown as Options;
    const { ensureWritable } = await import('../../base/atomic-write.js');
    const { writeNpz } = await import('../../data/index.js');
    const { GradientEvaluator } = await import('../../operators/gradient.js');
    const { execute } = await import('../../operators/create.js');
    const { openOperator, openSession } = await import('../session.js');
    const { NamedVectors } = await import('../vectors.js');
    if (options.operator !== 'gradient' && options.vector === undefined)
      throw new InputError('--vector FILE.npz or --vector random says what to multiply');
    await ensureWritable(options.out);
    await using session = await openSession(path as string, options);

    const operator =
      options.operator === 'gradient'
        ? undefined
        : (await openOperator(session, { operator: options.operator, fisherSamples: options.fisherSamples }, 2, 1))
            .operator;
    const execution = operator?.execution ?? (await execute(session.loss, session.options));
    const { objective } = execution;
    const vectors = new NamedVectors(objective, ['loss']);
    const arrays = new Map();
    let vector = null;
    if (operator) {
      vector = operator.device.block(operator.dtype, operator.rows, 1);
      if (options.vector === 'random') {
        vector.fillRandom('normal', options.seed, 0);
        for (const [name, array] of vectors.named(await vector.read())) arrays.set(`vector/${name}`, array);
      } else vector.write(await vectors.read(options.vector as string));
    }

    const started = performance.now();
    const evaluator = new GradientEvaluator(execution);
    let loss: number;
    let result;
    if (operator && vector) {
      loss = await evaluator.loss(signal);
      result = await operator.apply(vector, undefined, { signal });
    } else ({ loss, gradient: result } = await evaluator.evaluate({ signal }));
    const norm = (await result.norms())[0] as number;
    const seconds = (performance.now() - started) / 1000;
    if (!Number.isFinite(norm))
      throw new ComputationError('the product is not finite; try --dtype float64, or look for overflow in the model');

    for (const [name, array] of vectors.named(await result.read())) arrays.set(name, array);
    arrays.set('loss', { dtype: 'float64', shape: [], data: Float64Array.of(loss) });
    signal.throwIfAborted();
    await writeNpz(options.out, arrays);
    const document = {
      schemaVersion: 1,
      operator: options.operator,
      dimension: objective.dimension,
      samples: objective.samples,
      loss,
      norm,
      seconds,
      device: session.device.kind,
      dtype: options.dtype,
      threads: session.device.threads,
      deviceName: session.device.name,
      batchSize: objective.batchSize,
      warnings: session.model.warnings,
    };
    const summary = new Lines()
      .text(
        `${options.operator === 'gradient' ? 'Gradient' : `Product with the ${options.operator} matrix`} of ${path} over ${formatCount(objective.samples)} samples`,
      )
      .pairs([
        ['dimension', formatCount(objective.dimension)],
        ['loss', significant(loss, 7)],
        ['norm', significant(norm, 7)],
        ['time', formatDuration(seconds)],
        ['device', `${session.device.name}, ${options.dtype}`],
        ['written', options.out],
      ])
      .notes(session.model.warnings);
    return { document, summary };
  },
};
