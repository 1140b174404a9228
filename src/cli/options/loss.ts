/** `--loss NAME[:OPTION=VALUE,…]` → a loss. */
import { InvalidArgumentError } from 'commander';
import { InputError } from '../../base/errors.js';
import type { Loss } from '../../model/loss.js';

/** What an option's text is read as: a number, a file of numbers, or nothing, for being there is enough. */
type Kind = 'number' | 'file' | 'flag';
interface Given {
  number(option: string): number | undefined;
  list(option: string): Float64Array | undefined;
  flag(option: string): boolean;
}
/** Loaded when a loss is made: `--help` needs none of it. */
type Losses = typeof import('../../model/loss.js');
interface Described {
  readonly options: Readonly<Record<string, Kind>>;
  make(losses: Losses, given: Given, classAxis: number | undefined): Loss;
}
const plain = (name: string): Described => ({ options: {}, make: ({ lossByName }) => lossByName(name) });
const present = <K extends string>(key: K, { number }: Given): { [P in K]?: number } => {
  const value = number(key);
  return (value === undefined ? {} : { [key]: value }) as { [P in K]?: number };
};

/** All that `lossByName` knows. */
const described: Readonly<Record<string, Described>> = {
  'cross-entropy': {
    options: { 'label-smoothing': 'number', 'ignore-index': 'number', 'class-weights': 'file', 'soft-targets': 'flag' },
    make: ({ crossEntropy }, given, classAxis) =>
      crossEntropy({
        classAxis,
        labelSmoothing: given.number('label-smoothing'),
        ignoreIndex: given.number('ignore-index'),
        classWeights: given.list('class-weights'),
        softTargets: given.flag('soft-targets') || undefined,
      }),
  },
  mse: plain('mse'),
  'bce-with-logits': {
    options: { 'positive-weight': 'number' },
    make: ({ binaryCrossEntropy }, given) => binaryCrossEntropy({ positiveWeight: given.number('positive-weight') }),
  },
  l1: plain('l1'),
  huber: { options: { delta: 'number' }, make: ({ huber }, given) => huber(present('delta', given)) },
  'smooth-l1': { options: { beta: 'number' }, make: ({ smoothL1 }, given) => smoothL1(present('beta', given)) },
  'gaussian-nll': {
    options: { variance: 'number' },
    make: ({ gaussianNll }, given) => gaussianNll(present('variance', given)),
  },
  'poisson-nll': {
    options: { full: 'flag' },
    make: ({ poissonNll }, given) => poissonNll({ full: given.flag('full') }),
  },
  output: plain('output'),
};
export const lossNames: readonly string[] = Object.keys(described);

/** For the help: every name, with the options that it takes. */
export const lossHelp = lossNames
  .map((name) => {
    const options = Object.entries(described[name]?.options ?? {});
    const shown = options.map(([option, kind]) =>
      kind === 'flag' ? option : `${option}=${kind === 'file' ? 'FILE' : 'N'}`,
    );
    return shown.length === 0 ? name : `${name}[:${shown.join(',')}]`;
  })
  .join(', ');

interface Parsed {
  readonly name: string;
  readonly values: ReadonlyMap<string, string>;
}

/** The argument as it is, once it is known to be understood. */
export function lossText(text: string): string {
  parse(text);
  return text;
}

function parse(text: string): Parsed {
  const [name = '', ...rest] = text.split(':');
  if (!lossNames.includes(name)) throw new InvalidArgumentError(`Use one of: ${lossNames.join(', ')}.`);
  const kinds = described[name]?.options ?? {};
  const known = Object.keys(kinds);
  const values = new Map<string, string>();
  // a path may hold colons
  for (const part of rest.length === 0 ? [] : rest.join(':').split(',')) {
    const [option = '', ...value] = part.split('=');
    const kind = kinds[option];
    if (kind === undefined || values.has(option))
      throw new InvalidArgumentError(
        known.length === 0 ? `${name} has no options.` : `${name} takes ${known.join(', ')}, each once, not '${part}'.`,
      );
    const given = value.join('=');
    const fits = kind === 'flag' ? value.length === 0 : given.trim() !== '';
    if (!fits || (kind === 'number' && !Number.isFinite(Number(given))))
      throw new InvalidArgumentError(
        `'${part}': write ${kind === 'flag' ? option : `${option}=${kind === 'file' ? 'FILE' : 'NUMBER'}`}.`,
      );
    values.set(option, given);
  }
  return { name, values };
}

/** the name without the options */
export const lossName = (text: string): string => parse(text).name;

/** The loss that an argument describes; files are read now. */
export async function lossFrom(text: string, classAxis?: number): Promise<Loss> {
  const { name, values } = parse(text);
  const { options, make } = described[name] as Described;
  const lists = new Map<string, Float64Array>();
  for (const [option, kind] of Object.entries(options)) {
    const path = values.get(option);
    if (kind === 'file' && path !== undefined) lists.set(option, await numbersOf(path, option));
  }
  return make(
    await import('../../model/loss.js'),
    {
      number: (option) => (values.has(option) ? Number(values.get(option)) : undefined),
      list: (option) => lists.get(option),
      flag: (option) => values.has(option),
    },
    classAxis,
  );
}

/** All numbers of a file with one array, whatever its format. */
async function numbersOf(path: string, option: string): Promise<Float64Array> {
  const { openDataset } = await import('../../data/index.js');
  const { toFloat64 } = await import('../../base/convert.js');
  await using data = await openDataset(path);
  const [only, more] = (await data.batch(0, data.samples)).inputs.values();
  if (!only || more || data.target) throw new InputError(`${path} must hold one array, the ${option}`);
  return toFloat64(only);
}
