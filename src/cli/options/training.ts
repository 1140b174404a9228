/** The options that choose an optimizer and its schedule, and the algorithm that they mean. */
import { type Command, Option } from 'commander';
import { InputError } from '../../base/errors.js';
import type { Schedule } from '../../optimizers/schedule.js';
import type { AlgorithmFactory } from '../../training/algorithm.js';
import { nonNegativeNumber, positiveNumber, wholeNumber, wholeNumbers } from './parsers.js';

export const optimizerNames = ['sgd', 'adam', 'adamw', 'mfac'] as const;
export type OptimizerName = (typeof optimizerNames)[number];
export const scheduleNames = ['constant', 'step', 'linear', 'cosine'] as const;

export interface TrainingOptions {
  readonly optimizer: OptimizerName;
  readonly lr?: number;
  readonly momentum?: number;
  readonly nesterov?: true;
  readonly weightDecay?: number;
  readonly clip?: number;
  readonly schedule: (typeof scheduleNames)[number];
  readonly milestones?: readonly number[];
  readonly gamma?: number;
  readonly warmUp: number;
  readonly window?: number;
  readonly damping?: number;
}

export function addTrainingOptions(command: Command): Command {
  return command
    .addOption(new Option('--optimizer <name>', 'the method').choices([...optimizerNames]).default('sgd'))
    .addOption(
      new Option('--lr <number>', 'learning rate (default: 0.1 for sgd, 0.001 for the others)').argParser(
        positiveNumber(),
      ),
    )
    .addOption(
      new Option('--momentum <number>', 'of sgd (default 0.9) and mfac (default 0), below 1').argParser(
        nonNegativeNumber(),
      ),
    )
    .addOption(new Option('--nesterov', "sgd with Nesterov's momentum"))
    .addOption(
      new Option('--weight-decay <number>', '(default: 0; 0.01 for adamw, which decouples it)').argParser(
        nonNegativeNumber(),
      ),
    )
    .addOption(new Option('--clip <norm>', 'scale longer gradients down to this norm').argParser(positiveNumber()))
    .addOption(
      new Option('--schedule <name>', 'of the learning rate, to 0 at the end for linear and cosine')
        .choices([...scheduleNames])
        .default('constant'),
    )
    .addOption(
      new Option('--milestones <epochs>', 'of --schedule step (default: half and three quarters)').argParser(
        wholeNumbers(1, 1e9),
      ),
    )
    .addOption(new Option('--gamma <factor>', 'at each milestone (default 0.1)').argParser(positiveNumber()))
    .addOption(
      new Option('--warm-up <epochs>', 'in which the learning rate rises from 0')
        .argParser(nonNegativeNumber())
        .default(0),
    )
    .addOption(new Option('--window <m>', 'gradients that mfac keeps (default 1024)').argParser(wholeNumber(1)))
    .addOption(new Option('--damping <number>', 'λ of mfac (default 1e-5)').argParser(positiveNumber()));
}

export interface ChosenAlgorithm {
  readonly algorithm: AlgorithmFactory;
  readonly learningRate: (done: number) => number;
  readonly describe: string;
  /** for the document: what was chosen, defaults filled in */
  readonly options: Readonly<Record<string, number | string | boolean>>;
}

/** which options an optimizer takes beside lr, weightDecay and the schedule's */
const takes: Readonly<Record<OptimizerName, readonly (keyof TrainingOptions)[]>> = {
  sgd: ['momentum', 'nesterov', 'clip'],
  adam: ['clip'],
  adamw: ['clip'],
  mfac: ['momentum', 'window', 'damping'],
};
const flags: Readonly<Partial<Record<keyof TrainingOptions, string>>> = {
  momentum: '--momentum',
  nesterov: '--nesterov',
  clip: '--clip',
  window: '--window',
  damping: '--damping',
};

/** @param perEpoch updates of an epoch */
export async function chooseAlgorithm(
  options: TrainingOptions,
  epochs: number,
  perEpoch: number,
): Promise<ChosenAlgorithm> {
  const { optimizer } = options;
  for (const [key, flag] of Object.entries(flags))
    if (options[key as keyof TrainingOptions] !== undefined && !takes[optimizer].includes(key as keyof TrainingOptions))
      throw new InputError(`${flag} means nothing to --optimizer ${optimizer}`);
  const { adam, adamw, sgd } = await import('../../optimizers/index.js');
  const { onDevice, onHost } = await import('../../training/algorithm.js');
  const learningRate = options.lr ?? (optimizer === 'sgd' ? 0.1 : 1e-3);
  const { momentum = optimizer === 'sgd' ? 0.9 : 0, nesterov = false, clip } = options;
  const weightDecay = options.weightDecay ?? (optimizer === 'adamw' ? 0.01 : 0);
  const { window: capacity = 1024, damping = 1e-5 } = options;
  const { schedule, words } = await chooseSchedule(options, epochs, perEpoch);
  const common = { learningRate, schedule, weightDecay };
  const chosen: Record<OptimizerName, () => AlgorithmFactory> = {
    sgd: () => onHost(sgd({ ...common, momentum, nesterov, clip })),
    adam: () => onHost(adam({ ...common, clip })),
    adamw: () => onHost(adamw({ ...common, clip })),
    mfac: () => onDevice({ ...common, momentum, capacity, damping }),
  };
  const own: Record<OptimizerName, Record<string, number | boolean>> = {
    sgd: { momentum, nesterov },
    adam: {},
    adamw: {},
    mfac: { momentum, window: capacity, damping },
  };
  const used = {
    learningRate,
    ...own[optimizer],
    weightDecay,
    ...(clip === undefined ? {} : { clip }),
    schedule: words,
  };
  return {
    algorithm: chosen[optimizer](),
    learningRate: (done) => learningRate * schedule(done),
    // the schedule is in updates, so that it depends on the epochs where its words do not say so
    describe: `${optimizer} ${JSON.stringify({ ...used, epochs: options.schedule === 'constant' ? undefined : epochs })}`,
    options: used,
  };
}

async function chooseSchedule(
  { schedule: name, milestones, gamma, warmUp: warmUpEpochs }: TrainingOptions,
  epochs: number,
  perEpoch: number,
): Promise<{ schedule: Schedule; words: string }> {
  const { constant, cosine, linear, stepDecay, warmUp } = await import('../../optimizers/index.js');
  if (name !== 'step' && (milestones ?? gamma) !== undefined)
    throw new InputError(`--milestones and --gamma belong to --schedule step, not to ${name}`);
  if (warmUpEpochs >= epochs)
    throw new InputError(`a warm-up of ${warmUpEpochs} epochs leaves none of the ${epochs} for training`);
  const at = milestones ?? [Math.ceil(epochs / 2), Math.ceil((3 * epochs) / 4)];
  const early = Math.round(warmUpEpochs * perEpoch);
  const rest = epochs * perEpoch - early;
  const made: Record<TrainingOptions['schedule'], () => Schedule> = {
    constant,
    step: () =>
      stepDecay(
        at.map((epoch) => epoch * perEpoch - early),
        gamma ?? 0.1,
      ),
    linear: () => linear(rest),
    cosine: () => cosine(rest),
  };
  const schedule = made[name]();
  const words = name === 'step' ? `step ×${gamma ?? 0.1} after epochs ${at.join(', ')}` : name;
  return early === 0
    ? { schedule, words }
    : { schedule: warmUp(early, schedule), words: `${words}, warm-up ${warmUpEpochs} epochs` };
}
