/** The tensors that are quantised, and how each is a matrix. */
import { InputError } from '../base/errors.js';
import { selectByGlobs } from '../base/glob.js';
import { sizeOf } from '../graph/index.js';
import type { MeanLoss } from '../model/mean-loss.js';
import type { ParameterChoice } from '../model/objective.js';
import { type LayerTap, layerTaps } from '../taps/index.js';

export interface QuantizedTensor {
  readonly name: string;
  readonly tap: LayerTap;
  /** of all groups */
  readonly rows: number;
  readonly columns: number;
  /** element of the tensor at [row, column], row-major */
  readonly indices: Int32Array;
}

/**
 * What one linear layer or convolution alone reads, whole, of the parameters chosen. Throws InputError where one that was
 * asked for is shared (it has several inputs, and no one Hessian) or used in parts, and where none is left.
 */
export function quantizedTensors(
  f: MeanLoss,
  { parameters = [], freeze = [] }: ParameterChoice = {},
): QuantizedTensor[] {
  const taps = layerTaps(f);
  const names = new Set(
    selectByGlobs(
      f.model.parameters.map((p) => p.name),
      parameters,
      freeze,
      'parameter',
    ),
  );
  const found = f.model.parameters.flatMap(({ name, shape }): QuantizedTensor[] => {
    if (!names.has(name)) return [];
    const own = taps.filter((t) => t.parameter === name);
    const [tap] = own;
    if (!tap || own.some((t) => t.kind !== 'linear' && t.kind !== 'conv')) return [];
    const problem =
      own.length > 1
        ? `is shared by ${own.map((t) => t.consumer).join(' and ')}`
        : readWhole(tap, sizeOf(shape))
          ? undefined
          : 'is used in parts';
    if (problem === undefined)
      return [{ name, tap, rows: tap.groups * tap.out, columns: tap.in, indices: tap.layout.indices() }];
    if (parameters.length > 0)
      throw new InputError(`'${name}' ${problem} and cannot be quantised; leave it out with --freeze '${name}'`);
    return [];
  });
  if (found.length === 0)
    throw new InputError(`${f.model.source} has no weights of linear layers or convolutions left to quantise`);
  return found;
}

function readWhole({ layout }: LayerTap, count: number): boolean {
  const indices = layout.indices();
  return indices.length === count && new Set(indices).size === count && !indices.includes(-1);
}
