/**
 * The block-diagonal variant: F restricted to contiguous blocks of b parameters (the last one ragged), each inverted on
 * its own. Block B has F_BB = λI + G_BᵀG_B/n.
 *
 * Where b > m, a block goes through the m × m Gram matrix (static.ts). Where b ≤ m, F_BB itself is factored in float64
 * (b × b): smaller, and without the cancellation against 1/λ from which the diagonal of the other form suffers.
 * Cost: 2dm·min(b, m) flops, once; memory d·min(b, m²/b)·8 bytes; a product 2db, or 4dm.
 */
import { InputError } from '../base/errors.js';
import type { Block } from '../device/block.js';
import { type ApplyOptions, OperatorBase } from '../operators/linear-operator.js';
import { Cholesky } from './cholesky.js';
import { checkDamping, dampingOf, factorDamped } from './damping.js';
import { inverseProduct } from './products.js';
import { type GradientArray, gradientBlock, StaticFisher, type StaticFisherOptions } from './static.js';

/** Options of `BlockDiagonalInverse`. */
export interface BlockFisherOptions extends StaticFisherOptions {
  /** b. Default 128 */
  readonly blockSize?: number | undefined;
}

interface Part {
  readonly from: number;
  readonly to: number;
  readonly solver: Cholesky | StaticFisher;
}

/** The inverse of the block-diagonal Fisher as an operator, with its diagonal. Relative damping is of the whole matrix. */
export class BlockDiagonalInverse extends OperatorBase {
  readonly lambda: number;
  readonly #parts: readonly Part[];

  private constructor(template: Block, parts: readonly Part[], lambda: number, scaling: string, fingerprint: string) {
    super({
      rows: template.dimension,
      columns: template.dimension,
      dtype: template.dtype,
      device: template.device,
      symmetric: true,
      positiveSemidefinite: true,
      scaling,
      fingerprint,
    });
    this.lambda = lambda;
    this.#parts = parts;
  }

  /** As `StaticFisher.create`. */
  static async create(
    gradients: Block | GradientArray,
    options: BlockFisherOptions = {},
  ): Promise<BlockDiagonalInverse> {
    const { damping = 1e-5, blockSize = 128 } = options;
    checkDamping(damping);
    if (!(Number.isSafeInteger(blockSize) && blockSize >= 1))
      throw new InputError(`the block size must be a whole number of at least 1, not ${blockSize}`);
    const block = gradientBlock(gradients);
    const parts: Part[] = [];
    try {
      const { count: m, dimension: d } = block;
      const divisor = options.divisor ?? m;
      if (!(divisor > 0 && Number.isFinite(divisor)))
        throw new InputError(`the divisor must be a positive number, not ${divisor}`);
      const squares = (await block.dots(block)).reduce((a, b) => a + b, 0);
      const lambda = dampingOf(damping, squares, divisor, d);
      for (let from = 0; from < d; from += blockSize) {
        const to = Math.min(d, from + blockSize);
        const view = block.elements(from, to);
        try {
          const solver =
            to - from > m
              ? await StaticFisher.create(view, { damping: lambda, divisor, fingerprint: '' })
              : await direct(view, lambda, divisor);
          parts.push({ from, to, solver });
        } finally {
          view.dispose();
        }
      }
      const scaling = `inverse of (${lambda}·I + sum over ${m} gradients / ${divisor}, blocks of ${blockSize})`;
      const content = options.fingerprint ?? `${m}×${d}|${squares}`;
      return new BlockDiagonalInverse(
        block,
        parts,
        lambda,
        scaling,
        `m-fac-blocks(${content}|${lambda}|${divisor}|${blockSize})`,
      );
    } catch (error) {
      disposeAll(parts);
      throw error;
    } finally {
      block.dispose();
    }
  }

  protected override async multiply(input: Block, output: Block, _options: ApplyOptions): Promise<void> {
    const d = this.columns;
    const small = this.#parts.some((p) => p.solver instanceof Cholesky);
    const values = small ? await input.readFloat64() : null;
    if (values) {
      for (const { from, to, solver } of this.#parts) {
        if (!(solver instanceof Cholesky)) continue;
        for (let k = 0; k < input.count; k++) solver.solve(values.subarray(k * d + from, k * d + to));
      }
      // Blocks of the other kind are overwritten below.
      output.write(values);
    }
    for (const { from, to, solver } of this.#parts) {
      if (solver instanceof Cholesky) continue;
      const parts = solver.parts();
      const [x, y] = [input.elements(from, to), output.elements(from, to)];
      try {
        await inverseProduct(parts, x, y);
      } finally {
        for (const b of [x, y, parts.gradients]) b?.dispose();
      }
    }
  }

  /** The diagonal of the inverse, d numbers in float64. */
  async diagonal(): Promise<Float64Array> {
    const out = new Float64Array(this.rows);
    for (const { from, solver } of this.#parts) {
      if (solver instanceof StaticFisher) out.set(await solver.diagonal(), from);
      else out.set(inverseDiagonal(solver), from);
    }
    return out;
  }

  override dispose(): void {
    disposeAll(this.#parts);
  }
}

function disposeAll(parts: readonly Part[]): void {
  for (const { solver } of parts) if (solver instanceof StaticFisher) solver.dispose();
}

/** The factor of F_BB from its m × b gradients, read to the host. */
async function direct(view: Block, lambda: number, divisor: number): Promise<Cholesky> {
  const { count: m, dimension: b } = view;
  const g = await view.readFloat64();
  const gram = new Float64Array(b * b);
  for (let r = 0; r < m; r++) {
    for (let i = 0; i < b; i++) {
      const gi = (g[r * b + i] as number) / divisor;
      if (gi === 0) continue;
      for (let j = 0; j <= i; j++) gram[i * b + j] = (gram[i * b + j] as number) + gi * (g[r * b + j] as number);
    }
  }
  const factor = new Cholesky(b);
  factorDamped(factor, b, (i, j) => gram[i * b + j] as number, lambda);
  return factor;
}

/** (LLᵀ)⁻¹_jj = Σᵢ (L⁻¹)ᵢⱼ²: a sum of squares, so relatively accurate. */
function inverseDiagonal(factor: Cholesky): Float64Array {
  const n = factor.size;
  const inverse = factor.inverseFactor();
  const out = new Float64Array(n);
  for (let i = 0; i < n; i++)
    for (let j = 0; j <= i; j++) out[j] = (out[j] as number) + (inverse[i * n + j] as number) ** 2;
  return out;
}
