/**
 * Products with F = λI + GᵀG/n and with its inverse, for gradients stored as the rows of G (m × d):
 *
 *   F·x   = λx + Gᵀ(Gx)/n
 *   F⁻¹x  = (x − GᵀA⁻¹Gx)/λ,  A = nλI + GGᵀ                  (Woodbury; Frantar, Kurtic and Alistarh 2021)
 *   F⁻¹Gᵀc = n·GᵀA⁻¹c                                          (push-through)
 *
 * The first two lose u·‖GᵀG/n‖/λ of relative accuracy where x lies among the gradients, u being the storage's unit
 * roundoff; the third loses nothing. Cost: two passes over G (4dm flops a vector) and O(m²); the third, one pass.
 */
import type { Block } from '../device/block.js';
import { type ApplyOptions, OperatorBase } from '../operators/linear-operator.js';
import type { StoredGradients } from './gradients-store.js';

/** What the products need of a set of gradients. */
export interface FisherParts {
  /** the rows in use, m × d; null while there are none. The caller of `parts` disposes it. */
  readonly gradients: StoredGradients | null;
  readonly lambda: number;
  /** n */
  readonly divisor: number;
  /** A⁻¹·x in place, x ordered as the rows of `gradients` */
  solve(x: Float64Array): void;
}

/** output ← F⁻¹·input, both k × d on the gradients' device. */
export async function inverseProduct(parts: FisherParts, input: Block, output: Block): Promise<void> {
  const { gradients, lambda } = parts;
  if (gradients === null) {
    output.addScaled(1 / lambda, input, 0);
    return;
  }
  const coefficients = await gradients.gram(input);
  for (let k = 0; k < input.count; k++)
    parts.solve(coefficients.subarray(k * gradients.count, (k + 1) * gradients.count));
  output.addScaled(1 / lambda, input, 0);
  await gradients.combine(
    coefficients.map((c) => -c / lambda),
    output,
    1,
  );
}

/** output ← F·input, likewise. */
export async function forwardProduct(parts: FisherParts, input: Block, output: Block): Promise<void> {
  const { gradients, lambda, divisor } = parts;
  output.addScaled(lambda, input, 0);
  if (gradients === null) return;
  const coefficients = await gradients.gram(input);
  await gradients.combine(
    coefficients.map((c) => c / divisor),
    output,
    1,
  );
}

/** output (k × d) ← F⁻¹Gᵀc for the k rows of `coefficients` (k × m, row-major): the push-through form. */
export function storedProduct(parts: FisherParts, coefficients: Float64Array, output: Block): void | Promise<void> {
  const { gradients, divisor } = parts;
  if (gradients === null) {
    output.zero();
    return;
  }
  const solved = coefficients.slice();
  for (let k = 0; k < output.count; k++) parts.solve(solved.subarray(k * gradients.count, (k + 1) * gradients.count));
  return gradients.combine(
    solved.map((c) => c * divisor),
    output,
    0,
  );
}

/** Where an operator's gradients come from: a static set, or a window as it is at the time of a product. */
export interface FisherSource {
  readonly dimension: number;
  /** of the vectors */
  readonly template: Pick<Block, 'dtype' | 'device'>;
  readonly scaling: string;
  readonly fingerprint: string;
  /** @internal */
  parts(): FisherParts;
}

/** F or F⁻¹ as a symmetric positive definite operator (d × d), for every solver. The gradients stay their owner's. */
export class FisherOperator extends OperatorBase {
  readonly #source: FisherSource;
  readonly #product: typeof forwardProduct;

  constructor(source: FisherSource, kind: 'forward' | 'inverse') {
    super({
      rows: source.dimension,
      columns: source.dimension,
      dtype: source.template.dtype,
      device: source.template.device,
      symmetric: true,
      positiveSemidefinite: true,
      scaling: kind === 'inverse' ? `inverse of (${source.scaling})` : source.scaling,
      fingerprint: `${kind === 'inverse' ? 'inverse-' : ''}m-fac(${source.fingerprint})`,
    });
    this.#source = source;
    this.#product = kind === 'inverse' ? inverseProduct : forwardProduct;
  }

  protected override async multiply(input: Block, output: Block, _options: ApplyOptions): Promise<void> {
    const parts = this.#source.parts();
    try {
      await this.#product(parts, input, output);
    } finally {
      parts.gradients?.dispose();
    }
  }
}
