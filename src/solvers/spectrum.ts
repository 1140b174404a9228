/**
 * The spectrum of a symmetric operator: its extreme eigenvalues, trace and density, by stochastic Lanczos
 * quadrature (Ubaru, Chen & Saad 2017; Ghorbani, Krishnan & Xiao 2019).
 */
import type { LinearOperator } from '../operators/linear-operator.js';
import { mustBePositive, mustBeSymmetric } from './checks.js';
import { type Density, density } from './density.js';
import { type Eigenvalue, ExtremeVectors } from './extremes.js';
import { type ProbingOptions, planProbing, probe } from './probing.js';
import { type Quadrature, quadrature } from './quadrature.js';
import { type Estimate, estimate } from './statistics.js';

/** Options of `spectrum`. */
export interface SpectrumOptions extends ProbingOptions {
  /** Standard deviation of the density's kernel, in units of eigenvalues. Default: see kernelWidth. */
  readonly width?: number | undefined;
  /** Relative to ‖A‖: the residual up to which the extreme eigenvalues count as converged. Default 1e-3. */
  readonly tolerance?: number | undefined;
}

/** What `spectrum` gives. */
export interface SpectrumResult {
  readonly dimension: number;
  /**
   * Different eigenvalues from the top, descending, at most ten, down to the first that is not resolved (its
   * residual exceeds a tenth of the distance to its neighbours). The first is always there.
   */
  readonly largest: readonly Eigenvalue[];
  /** The same from the bottom, ascending. */
  readonly smallest: readonly Eigenvalue[];
  /** tr A and its standard error */
  readonly trace: Estimate;
  readonly density: Density;
  /** One quadrature of the spectral density per probe. */
  readonly ritz: readonly Quadrature[];
  readonly steps: number;
  readonly probes: number;
  readonly seed: number;
  /** vectors multiplied by A */
  readonly products: number;
  /** Both extreme eigenvalues have residuals of at most `tolerance` · ‖A‖. */
  readonly converged: boolean;
  /** Lack of symmetry seen, relative to ‖A‖: the size of rounding errors in the products. */
  readonly asymmetry: number;
  readonly seconds: number;
}

/** Eigenvalues reported at each end. */
const reported = 10;

/**
 * Throws InputError for options that make no sense, an operator that is not symmetric, or a memory limit that
 * one probe exceeds; ComputationError when a product is not finite; InterruptedError when aborted.
 */
export async function spectrum(operator: LinearOperator, options: SpectrumOptions = {}): Promise<SpectrumResult> {
  const { tolerance = 1e-3, signal } = options;
  mustBeSymmetric(operator, 'the spectrum');
  mustBePositive(tolerance, 'tolerance');
  if (options.width !== undefined) mustBePositive(options.width, 'width');
  const started = performance.now();
  const dimension = operator.rows;
  // The vectors kept for residuals are there twice, while a group's are merged with those before it.
  const plan = planProbing(operator, options, 2 * ExtremeVectors.vectors(reported));
  const { steps, probes, seed } = plan;

  const ritz: Quadrature[] = [];
  const forms: number[] = [];
  const extremes = new ExtremeVectors(operator, reported, tolerance);
  let asymmetry = 0;
  try {
    await probe(operator, plan, options, (run) => {
      for (const t of run.tridiagonals) {
        const { nodes, weights } = quadrature(t);
        ritz.push({ nodes, weights });
        forms.push(dimension * (t.diagonal[0] as number));
      }
      asymmetry = Math.max(asymmetry, run.asymmetry);
      extremes.add(run);
    });
    const { largest, smallest, converged, products } = await extremes.finish(signal);
    const total = probes * steps + products;
    options.onProgress?.({ stage: 'residuals', products: total, total });
    return {
      dimension,
      largest,
      smallest,
      ritz,
      trace: estimate(forms),
      density: density(ritz, dimension, options.width),
      steps,
      probes,
      seed,
      products: total,
      converged,
      asymmetry,
      seconds: (performance.now() - started) / 1000,
    };
  } finally {
    extremes.dispose();
  }
}
