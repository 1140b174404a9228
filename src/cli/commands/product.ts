/** One product of a curvature matrix with a vector, or the gradient, to a file. */
import { type Command, Option } from 'commander';
import { ComputationError, InputError } from '../../base/errors.js';
import { formatCount, formatDuration } from '../../base/format.js';
import type { NdArray } from '../../base/ndarray.js';
import type { Block } from '../../device/block.js';
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
import type { Session } from '../session.js';

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
    const { operator } = options;
    const { ensureWritable } = await import('../../base/atomic-write.js');
    const { writeNpz } = await import('../../data/index.js');
    const { openSession } = await import('../session.js');
    await ensureWritable(options.out);
    await using session = await openSession(path as string, options);
    const { arrays, norm, loss, seconds, objective } =
      operator === 'gradient'
        ? await gradient(session, signal)
        : await multiply(session, { ...options, operator }, signal);
    signal.throwIfAborted();
    await writeNpz(options.out, arrays);
    const { device, model } = session;
    const document = {
      schemaVersion: 1,
      operator,
      dimension: objective.dimension,
      samples: objective.samples,
      loss,
      norm,
      seconds,
      device: device.kind,
      dtype: options.dtype,
      threads: device.threads,
      deviceName: device.name,
      batchSize: objective.batchSize,
      warnings: model.warnings,
    };
    const summary = new Lines()
      .text(
        `${operator === 'gradient' ? 'Gradient' : `Product with the ${operator} matrix`} of ${path} over ${formatCount(objective.samples)} samples`,
      )
      .pairs([
        ['dimension', formatCount(objective.dimension)],
        ['loss', significant(loss, 7)],
        ['norm', significant(norm, 7)],
        ['time', formatDuration(seconds)],
        ['device', `${device.name}, ${options.dtype}`],
        ['written', options.out],
      ])
      .notes(model.warnings);
    return { document, summary };
  },
};

interface Result {
  readonly arrays: Map<string, NdArray>;
  readonly norm: number;
  readonly loss: number;
  readonly seconds: number;
  readonly objective: { readonly dimension: number; readonly samples: number; readonly batchSize: number };
}

/** Names the output needs for itself. */
const taken = ['loss'];
const scalar = (value: number): NdArray => ({ dtype: 'float64', shape: [], data: Float64Array.of(value) });

async function gradient(session: Session, signal: AbortSignal): Promise<Result> {
  const { execute } = await import('../../operators/create.js');
  const { GradientEvaluator } = await import('../../operators/gradient.js');
  const { NamedVectors } = await import('../vectors.js');
  const execution = await execute(session.loss, session.options);
  const named = new NamedVectors(execution.objective, taken);
  const started = performance.now();
  const { loss, gradient: result, norm } = await new GradientEvaluator(execution).evaluate({ signal });
  const seconds = (performance.now() - started) / 1000;
  const arrays = new Map([...named.named(await result.read()), ['loss', scalar(loss)]]);
  return { arrays, norm, loss, seconds, objective: execution.objective };
}

async function multiply(
  session: Session,
  options: Options & { operator: CurvatureName },
  signal: AbortSignal,
): Promise<Result> {
  const { GradientEvaluator } = await import('../../operators/gradient.js');
  const { openOperator } = await import('../session.js');
  const { NamedVectors } = await import('../vectors.js');
  if (options.vector === undefined) throw new InputError('what to multiply? Give --vector FILE.npz or --vector random');
  const { operator } = await openOperator(session, options, 2, 1);
  const { execution } = operator;
  const named = new NamedVectors(execution.objective, taken);
  const arrays = new Map<string, NdArray>();
  const vector: Block = operator.device.block(operator.dtype, operator.rows, 1);
  if (options.vector === 'random') {
    vector.fillRandom('normal', options.seed, 0);
    for (const [name, array] of named.named(await vector.read())) arrays.set(`vector/${name}`, array);
  } else vector.write(await named.read(options.vector));
  const started = performance.now();
  const loss = await new GradientEvaluator(execution).loss(signal);
  const result = await operator.apply(vector, undefined, { signal });
  const norm = (await result.norms())[0] as number;
  const seconds = (performance.now() - started) / 1000;
  if (!Number.isFinite(norm)) {
    throw new ComputationError('the product is not finite; try --dtype float64, or look for overflow in the model');
  }
  for (const [name, array] of named.named(await result.read())) arrays.set(name, array);
  arrays.set('loss', scalar(loss));
  return { arrays, norm, loss, seconds, objective: execution.objective };
}
