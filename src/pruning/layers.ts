/** The tensors that are pruned, one after another in one vector of d numbers, and how each is a matrix. */
import { InputError } from '../base/errors.js';
import { selectByGlobs } from '../base/glob.js';
import { type Shape, sizeOf } from '../graph/index.js';
import type { MeanLoss } from '../model/mean-loss.js';
import type { ParameterChoice } from '../model/objective.js';
import { type LayerTap, layerTaps } from '../taps/index.js';

/** W[row, column], with rows the outputs of all groups and columns what each of them sums over. */
export interface WeightMatrix {
  readonly rows: number;
  readonly columns: number;
  /** columns are neighbours in runs of this many: the channels at one place of a window, or all */
  readonly run: number;
  /**
   * element of the tensor at [row, column], row-major. The columns of a convolution are input channels, for each place
   * in the window in turn.
   */
  readonly indices: Int32Array;
}

/** A tensor that is pruned. */
export interface PrunedLayer {
  readonly name: string;
  readonly shape: Shape;
  /** where its weights start in the vector of all, and how many they are */
  readonly offset: number;
  readonly count: number;
  readonly taps: readonly LayerTap[];
  /** Throws InputError where the tensor is no single matrix: used by several operators, or in parts. */
  matrix(): WeightMatrix;
}

/**
 * Tensors to prune: those named, or by default those that are only ever the weights of linear layers and convolutions
 * (no biases, normalisations or embeddings, nor what is tied to one). A tensor that several operators share is pruned
 * once, for all of them.
 */
export function prunedLayers(f: MeanLoss, { parameters = [], freeze = [] }: ParameterChoice = {}): PrunedLayer[] {
  const taps = layerTaps(f);
  const of = (name: string): LayerTap[] => taps.filter((t) => t.parameter === name);
  const isWeight = (name: string): boolean =>
    of(name).length > 0 && of(name).every((t) => t.kind === 'linear' || t.kind === 'conv');
  const names = f.model.parameters.map((p) => p.name);
  const chosen = new Set(
    selectByGlobs(names, parameters, freeze, 'parameter').filter((n) => parameters.length > 0 || isWeight(n)),
  );
  if (chosen.size === 0)
    throw new InputError(
      `${f.model.source} has no weights of linear layers or convolutions left to prune; name parameters with --params`,
    );
  let offset = 0;
  return f.model.parameters
    .filter((p) => chosen.has(p.name))
    .map(({ name, shape }) => {
      const layer = { name, shape, offset, count: sizeOf(shape), taps: of(name) };
      offset += layer.count;
      return { ...layer, matrix: () => matrixOf(layer) };
    });
}

export const dimensionOf = (layers: readonly PrunedLayer[]): number => layers.reduce((n, l) => n + l.count, 0);

/** the layer of each weight */
export function layerOfEach(layers: readonly PrunedLayer[]): Int32Array {
  const out = new Int32Array(dimensionOf(layers));
  layers.forEach(({ offset, count }, l) => {
    out.fill(l, offset, offset + count);
  });
  return out;
}

function matrixOf({ name, shape, count, taps }: Omit<PrunedLayer, 'matrix'>): WeightMatrix {
  const [tap] = taps;
  const refuse = (why: string): InputError =>
    new InputError(`'${name}' ${why}: prune it without a pattern, or leave it out with --freeze '${name}'`);
  if (!tap || !taps.every((t) => t.kind === 'linear' || t.kind === 'conv'))
    throw refuse('is not the weight of a linear layer or convolution, so it has no rows and columns');
  if (taps.length > 1)
    throw refuse(`is shared by ${taps.map((t) => t.consumer).join(' and ')}, so it is no one matrix`);
  const stored = tap.layout.indices();
  if (stored.length !== count || stored.includes(-1)) throw refuse('is used in parts, so it is no one matrix');
  // W[g,o,(channel, window element)] of a convolution; its transpose has the window among the rows
  const window = tap.kind === 'conv' ? sizeOf(shape.slice(2)) : 1;
  const channels = tap.in / window;
  if (tap.kind !== 'conv' || window === 1 || channels !== shape[1])
    return { rows: tap.groups * tap.out, columns: tap.in, run: tap.in, indices: stored };
  const indices = Int32Array.from(stored, (_, at) => {
    const [row, i] = [Math.floor(at / tap.in), at % tap.in];
    return stored[row * tap.in + (i % channels) * window + Math.floor(i / channels)] as number;
  });
  return { rows: tap.groups * tap.out, columns: tap.in, run: channels, indices };
}
