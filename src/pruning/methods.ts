/** The methods by name, with what each may be told. */
import { InputError } from '../base/errors.js';
import type { Damping } from '../mfac/damping.js';
import { FisherBlocks } from './fisher-blocks.js';
import { type GradientChoice, PointGradients } from './gradients.js';
import { dimensionOf } from './layers.js';
import { exactObsPruning, type LayerwiseOptions, sparseGptPruning } from './layerwise/methods.js';
import type { PruningMethod } from './method.js';
import { magnitude, random } from './plain.js';
import { StoredFisher } from './stored-fisher.js';

/** Options of methods by the empirical Fisher matrix. */
export interface FisherOptions extends GradientChoice {
  /** λ, or a multiple of the mean eigenvalue of the undamped matrix. Default 1e-4, M-FAC 1e-5 */
  readonly damping?: Damping | undefined;
}
/** Options of methods by diagonal blocks of it. */
export interface BlockOptions extends FisherOptions {
  /** weights of a diagonal block: 128 for WoodFisher, all of them ('whole') for M-FAC */
  readonly blockSize?: number | 'whole' | undefined;
}

function fisherBlocks(name: string, blockSize: number, options: FisherOptions, most: number): PruningMethod {
  if (!(Number.isSafeInteger(blockSize) && blockSize >= 1))
    throw new InputError(`${name}: the block size must be a whole number of at least 1, not ${blockSize}`);
  return {
    name,
    async open(point) {
      const gradients = await PointGradients.open(point, options, most);
      try {
        return await FisherBlocks.create(point, gradients, blockSize, options.damping ?? 1e-4);
      } finally {
        gradients.dispose();
      }
    },
  };
}

/** Saliency ½w²F_jj with the diagonal of the Fisher alone; nothing makes up for what goes. Default 8192 gradients. */
export const obsDiagonal = (options: FisherOptions = {}): PruningMethod =>
  fisherBlocks('obs-diagonal', 1, options, 8192);

/** Diagonal blocks, explicit. Default 8192 gradients, blocks of 128. */
export function woodfisher({ blockSize = 128, ...options }: BlockOptions = {}): PruningMethod {
  if (blockSize === 'whole') throw new InputError('woodfisher needs a block size; the whole matrix is for mfac');
  return fisherBlocks('woodfisher', blockSize, options, 8192);
}

/**
 * The whole matrix, or diagonal blocks, through m stored gradients. Default 1024 of them. Blocks of no more weights than
 * gradients are cheaper and more accurate explicit; then they are.
 */
export function mfacPruning({ blockSize = 'whole', ...options }: BlockOptions = {}): PruningMethod {
  if (blockSize !== 'whole' && !(Number.isSafeInteger(blockSize) && blockSize >= 1))
    throw new InputError(`mfac: the block size must be a whole number of at least 1, not ${blockSize}`);
  return {
    name: 'mfac',
    async open(point) {
      const gradients = await PointGradients.open(point, options, 1024);
      const size = blockSize === 'whole' ? dimensionOf(point.layers) : blockSize;
      const damping = options.damping ?? 1e-5;
      try {
        return size <= gradients.count
          ? await FisherBlocks.create(point, gradients, size, damping)
          : await StoredFisher.create(point, gradients, size, damping);
      } finally {
        gradients.dispose();
      }
    },
  };
}

/** A layer's damping is a multiple of the mean eigenvalue of its H, however it is given. */
const layerwise =
  (method: (options: LayerwiseOptions) => PruningMethod) =>
  ({ damping }: BlockOptions): PruningMethod =>
    method(damping === undefined ? {} : { damping: typeof damping === 'number' ? damping : damping.relative });

/** Names of the methods, as on the command line. */
export type PruningMethodName =
  | 'magnitude'
  | 'random'
  | 'obs-diagonal'
  | 'woodfisher'
  | 'mfac'
  | 'exact-obs'
  | 'sparsegpt';
/** The methods by name. */
export const pruningMethods: Readonly<Record<PruningMethodName, (options: BlockOptions) => PruningMethod>> = {
  magnitude: (_: BlockOptions) => magnitude(),
  random: (_: BlockOptions) => random(),
  // blocks of one weight, whatever the others' size
  'obs-diagonal': ({ blockSize: _, ...options }: BlockOptions) => obsDiagonal(options),
  woodfisher,
  mfac: mfacPruning,
  'exact-obs': layerwise(exactObsPruning),
  sparsegpt: layerwise(sparseGptPruning),
};
