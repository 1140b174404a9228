/**
 * Losses. Each is PyTorch's mean over its own terms; here it is written as sums, so that any split of the samples
 * into batches gives the same answer: the loss of sample n is Σ of its terms, and the mean is Σ_n w_n·(Σ terms)_n with
 * w_n = 1 / (number of all terms, or the sum of their weights where the loss has weights).
 */
import { InputError, ShapeError } from '../base/errors.js';
import type { Node } from '../graph/index.js';
import { type BoundLoss, type Loss, perSample } from './loss-base.js';
import { binaryCrossEntropy, crossEntropy } from './loss-classification.js';
import { gaussianNll, huber, meanAbsoluteError, meanSquaredError, poissonNll, smoothL1 } from './loss-regression.js';

export type { BoundLoss, Likelihood, Loss } from './loss-base.js';
export * from './loss-classification.js';
export * from './loss-regression.js';

/** The model's own scalar output is the loss, a mean over axis 0. Batches are weighted by their samples. */
export function outputLoss(): Loss {
  const bound: BoundLoss = { terms: (output) => output, count: () => 1, check: () => null };
  return { name: 'output', target: null, bind: () => bound };
}

/** Options of `customLoss`. */
export interface CustomLossOptions {
  /** for messages and fingerprints: losses that differ need different names */
  readonly name: string;
  /** what targets are read as; default 'float' */
  readonly target?: 'float' | 'int32' | undefined;
}
/**
 * A loss of one's own: `term` maps an output and a target to the loss terms, [samples, …]; the loss is their mean.
 * Written in primitives, its derivatives of every order follow. It has no Fishers but the empirical one.
 *
 *   customLoss((y, t) => nn.log1p(nn.square(nn.sub(y, t))), { name: 'cauchy' })
 */
export function customLoss(
  term: (output: Node, target: Node) => Node,
  { name, target = 'float' }: CustomLossOptions,
): Loss {
  return {
    name,
    target,
    bind(output) {
      // told by the first use: the number of terms follows from their shape
      let terms = Number.NaN;
      return {
        terms(y, t) {
          const found = term(y, t);
          if (found.shape[0] !== output[0])
            throw new ShapeError(
              `${name}: the terms of shape [${found.shape}] do not count the ${output[0]} samples along axis 0`,
            );
          terms = found.shape.slice(1).reduce((n, d) => n * d, 1);
          return perSample(found);
        },
        count: () => terms,
        check: () => null,
      };
    },
  };
}

/** A loss with default options by its name on the command line (`lossNames`). Throws InputError for an unknown one. */
export function lossByName(name: string, classAxis?: number): Loss {
  const found = byName.get(name);
  if (!found)
    throw new InputError(`unknown loss '${name}'; use ${[...byName.keys()].slice(0, -1).join(', ')} or output`);
  return found(classAxis);
}
const byName = new Map<string, (classAxis?: number) => Loss>([
  ['cross-entropy', (classAxis) => crossEntropy({ classAxis })],
  ['mse', meanSquaredError],
  ['bce-with-logits', () => binaryCrossEntropy()],
  ['l1', meanAbsoluteError],
  ['huber', () => huber()],
  ['smooth-l1', () => smoothL1()],
  ['gaussian-nll', () => gaussianNll()],
  ['poisson-nll', () => poissonNll()],
  ['output', outputLoss],
]);
/** What `lossByName` knows. */
export const lossNames: readonly string[] = [...byName.keys()];
