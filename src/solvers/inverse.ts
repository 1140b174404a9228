/** A⁻¹ as an operator: every product solves a system by conjugate gradients. */
import { ComputationError } from '../base/errors.js';
import type { Block } from '../device/block.js';
import { type ApplyOptions, type LinearOperator, OperatorBase } from '../operators/linear-operator.js';
import { type CgOptions, cg } from './cg.js';

/** Options of `inverse`, as of `cg`. */
export type InverseOptions = Pick<CgOptions, 'tolerance' | 'maxSteps' | 'preconditioner'>;

/**
 * The inverse of a symmetric positive definite operator (shift one that is only semidefinite). Its products
 * are accurate to `tolerance` relative to their right-hand sides. A product that does not get there rejects
 * with ComputationError, which says what to try.
 */
export function inverse(a: LinearOperator, options: InverseOptions = {}): LinearOperator {
  return new Inverse(a, options);
}

class Inverse extends OperatorBase {
  readonly #a: LinearOperator;
  readonly #options: InverseOptions;

  constructor(a: LinearOperator, options: InverseOptions) {
    super({
      rows: a.rows,
      columns: a.columns,
      dtype: a.dtype,
      device: a.device,
      symmetric: true,
      positiveSemidefinite: true,
      maxBlock: a.maxBlock,
      scaling: `inverse of (${a.scaling})`,
      fingerprint: () => `inverse(${a.fingerprint},${options.tolerance ?? 'default'})`,
    });
    this.#a = a;
    this.#options = options;
  }

  protected override async multiply(input: Block, output: Block, options: ApplyOptions): Promise<void> {
    const { solution, outcomes } = await cg(this.#a, input, { ...this.#options, signal: options.signal });
    try {
      const failed = outcomes.find((o) => o.status !== 'converged');
      if (failed !== undefined) {
        throw new ComputationError(
          `an inverse product failed after ${failed.steps} steps, residual ${failed.residual.toExponential(1)}: ${failed.advice}`,
        );
      }
      output.copyFrom(solution);
    } finally {
      solution.dispose();
    }
  }
}
