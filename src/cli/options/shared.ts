/** The options that commands share, declared once. */
import { availableParallelism } from 'node:os';
import { type Command, Option } from 'commander';
import type { BatchCoupled } from '../../model/mean-loss.js';
import type { Mode } from '../../model/model.js';
import type { CurvatureName } from '../../operators/curvature.js';
import { lossHelp, lossText } from './loss.js';
import { assigned, bytes, numbers, positiveNumber, repeated, wholeNumber } from './parsers.js';

export interface OutputOptions {
  readonly json?: true;
  readonly quiet?: true;
}

export interface ModelOptions extends OutputOptions {
  readonly mode: Mode;
  readonly params?: readonly string[];
  readonly freeze?: readonly string[];
  readonly fix?: Readonly<Record<string, number>>;
  readonly dtype: 'float32' | 'float64';
  readonly device: 'auto' | 'cpu' | 'cuda';
  readonly threads?: number;
  readonly memory?: number;
  readonly seed: number;
}

export interface DataOptions {
  readonly data?: readonly string[];
  readonly target?: string;
  readonly targetColumn?: string;
  readonly scale?: string;
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
  /** as `lossFrom` reads it */
  readonly loss: string;
  readonly l2?: number;
  readonly classAxis?: number;
  readonly modelOutput?: string;
  readonly samples?: number;
  readonly batchSize?: number;
  readonly batchCoupled?: BatchCoupled;
}

/** further data, of the same kind as --data */
export interface TestOptions {
  readonly test?: readonly string[];
  readonly testTarget?: string;
}

export interface OperatorOptions {
  readonly operator: CurvatureName;
  readonly fisherSamples: number;
}

export const curvatureNames: readonly CurvatureName[] = [
  'hessian',
  'gauss-newton',
  'fisher',
  'fisher-exact',
  'empirical-fisher',
];

export function addOutputOptions(command: Command): Command {
  return command
    .addOption(new Option('--json', 'print one JSON document'))
    .addOption(new Option('--quiet', 'no progress and no summary'));
}

/** More threads than this only fight for the cores; many more cannot be started at all. */
const mostThreads = Math.max(256, 4 * availableParallelism());

export function addModelOptions(command: Command): Command {
  command
    .addOption(new Option('--params <glob>', 'only parameters whose names match; may be repeated').argParser(repeated))
    .addOption(new Option('--freeze <glob>', 'not these parameters; may be repeated').argParser(repeated))
    .addOption(
      new Option('--fix <name=number>', 'an input that has one value everywhere; may be repeated').argParser(assigned),
    )
    .addOption(
      new Option('--mode <mode>', 'train: batch statistics and seeded dropout')
        .choices(['eval', 'train'])
        .default('eval'),
    )
    .addOption(new Option('--dtype <type>', 'precision').choices(['float32', 'float64']).default('float32'))
    .addOption(new Option('--device <device>', 'where to compute').choices(['auto', 'cpu', 'cuda']).default('auto'))
    .addOption(new Option('--threads <n>', 'of the CPU (default: all cores)').argParser(wholeNumber(1, mostThreads)))
    .addOption(
      new Option('--memory <size>', 'to stay within, such as 2GiB (default: 70 % of what is free)').argParser(bytes()),
    )
    .addOption(new Option('--seed <n>', 'of random numbers').argParser(wholeNumber(0)).default(0));
  return addOutputOptions(command);
}

export function addDataOptions(command: Command, needed: 'required' | 'optional'): Command {
  const data = new Option(
    '--data <file>',
    '.npz, .safetensors, .npy, IDX, CSV, Parquet or Arrow, or a folder of such; may be repeated, also as NAME=FILE',
  ).argParser(repeated);
  if (needed === 'required') data.makeOptionMandatory();
  return command
    .addOption(data)
    .addOption(new Option('--target <file>', 'the targets, where --data does not hold them'))
    .addOption(new Option('--target-column <column>', "a table's target: its name, or its number from 0"))
    .addOption(new Option('--scale <factor>', 'multiply inputs, such as 1/255'))
    .addOption(new Option('--mean <numbers>', 'then subtract: one number, or one per channel').argParser(numbers()))
    .addOption(new Option('--std <numbers>', 'then divide by: likewise').argParser(numbers()))
    .addOption(
      new Option('--loss <loss>', `mean over its terms: ${lossHelp}`).argParser(lossText).default('cross-entropy'),
    )
    .addOption(
      new Option('--l2 <lambda>', 'add lambda/2 times the squared norm of the parameters').argParser(positiveNumber()),
    )
    .addOption(
      new Option('--class-axis <axis>', 'of the model output, for cross-entropy').argParser(wholeNumber(-8, 7)),
    )
    .addOption(
      new Option(
        '--model-output <name>',
        'the output that the loss reads (default: the first); with --loss output, the value Gauss–Newton starts from',
      ),
    )
    .addOption(new Option('--samples <n>', 'the first N (default: all)').argParser(wholeNumber(1)))
    .addOption(new Option('--batch-size <n>', "(default: 256, or the file's own)").argParser(wholeNumber(1)))
    .addOption(
      new Option(
        '--batch-coupled <choice>',
        'where samples of a batch influence one another: per-batch lets each batch count on its own',
      ).choices(['refuse', 'per-batch']),
    );
}

/** @param what is done with them, for the help */
export function addTestOptions(command: Command, what: string): Command {
  return command
    .addOption(new Option('--test <file>', `data to ${what}, as --data`).argParser(repeated))
    .addOption(new Option('--test-target <file>', 'their targets, where --test does not hold them'));
}

export function addOperatorOption(command: Command, more: readonly string[] = []): Command {
  return command
    .addOption(new Option('--operator <name>', 'the matrix').choices([...more, ...curvatureNames]).default('hessian'))
    .addOption(
      new Option('--fisher-samples <n>', 'labels drawn per position, for fisher').argParser(wholeNumber(1)).default(1),
    );
}
