/** The options that say how to prune, and the methods that they mean. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { PruningMethod, PruningMethodName } from '../../pruning/index.js';
import { nonNegativeNumber, positiveNumber, wholeNumber } from './parsers.js';

export interface PruningOptions {
  readonly method: readonly string[];
  readonly sparsity?: readonly number[];
  readonly pattern: string;
  readonly scope: 'global' | 'layer';
  readonly steps: number;
  readonly events: number;
  readonly initialSparsity?: number;
  readonly gradients?: number;
  readonly gradientBatch?: number;
  readonly fisherBlock?: number;
  readonly fisherDamping?: number;
  readonly relativeDamping?: number;
}

/** all of them, or this does not compile; the methods themselves are loaded when they are wanted */
const known: Readonly<Record<PruningMethodName, true>> = {
  magnitude: true,
  random: true,
  'obs-diagonal': true,
  woodfisher: true,
  mfac: true,
  'exact-obs': true,
  sparsegpt: true,
};
const methodNames = Object.keys(known) as PruningMethodName[];

function methods(text: string): string[] {
  const names = text.split(',');
  const unknown = names.find((n) => !(methodNames as readonly string[]).includes(n));
  if (unknown === undefined) return [...new Set(names)];
  throw new InvalidArgumentError(`'${unknown}' is not one of ${methodNames.join(', ')}.`);
}

function sparsities(text: string): number[] {
  const values = text.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  if (values.every((s) => s >= 0 && s < 1)) return [...new Set(values)].sort((a, b) => a - b);
  throw new InvalidArgumentError('It must be numbers of at least 0 and below 1, with commas between.');
}

export function addPruningOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--method <names>', `${methodNames.join(', ')}; several with commas between`)
        .argParser(methods)
        .default(['mfac'], 'mfac'),
    )
    .addOption(
      new Option(
        '--sparsity <shares>',
        'of the weights to remove, each in [0, 1); several with commas between; N:M has its own',
      ).argParser(sparsities),
    )
    .addOption(
      new Option('--pattern <pattern>', 'unstructured, N:M (2:4), RxC (4x1) or filter').default('unstructured'),
    )
    .addOption(
      new Option('--scope <scope>', 'layers compete, or each is pruned alike')
        .choices(['global', 'layer'])
        .default('global'),
    )
    .addOption(new Option('--steps <n>', 'scores computed anew, in steps').argParser(wholeNumber(1)).default(16))
    .addOption(new Option('--events <n>', 'removals, with fine-tuning after each').argParser(wholeNumber(1)).default(1))
    .addOption(
      new Option('--initial-sparsity <share>', 'after the first of several events (default 0.05)').argParser(
        nonNegativeNumber(),
      ),
    )
    .addOption(
      new Option('--gradients <m>', 'that a Fisher matrix is made of (default: up to 8192, mfac 1024)').argParser(
        wholeNumber(1),
      ),
    )
    .addOption(
      new Option('--gradient-batch <n>', 'samples that each is the mean over (default 1)').argParser(wholeNumber(1)),
    )
    .addOption(
      new Option('--fisher-block <b>', 'weights of a diagonal block (default: woodfisher 128, mfac all)').argParser(
        wholeNumber(1),
      ),
    )
    .addOption(
      new Option('--fisher-damping <number>', 'λ of the Fisher matrix (default 1e-4, mfac 1e-5)').argParser(
        positiveNumber(),
      ),
    )
    .addOption(
      new Option('--relative-damping <number>', 'λ as a multiple of the mean eigenvalue')
        .argParser(positiveNumber())
        .conflicts('fisherDamping'),
    );
}

export async function chooseMethods(options: PruningOptions): Promise<PruningMethod[]> {
  const { pruningMethods } = await import('../../pruning/index.js');
  const { gradients, gradientBatch, fisherBlock: blockSize, fisherDamping, relativeDamping } = options;
  const damping = relativeDamping === undefined ? fisherDamping : { relative: relativeDamping };
  const given = { gradients, gradientBatch, blockSize, damping };
  return options.method.map((name) => pruningMethods[name as keyof typeof pruningMethods](given));
}
