/**
 * The spectrum of a symmetric operator: its extreme eigenvalues, trace and density, by stochastic Lanczos
 * quadrature (Ubaru, Chen & Saad 2017; Ghorbani, Krishnan & Xiao 2019).
 */
import { InputError } from '../base/errors.js';
import type { Distribution } from '../device/native.js';
import type { LinearOperator } from '../operators/linear-operator.js';
import { bytesPerElement } from '../program/format.js';
import { mustBeCount, mustBePositive, mustBeSymmetric } from './checks.js';
import { density, type Density } from './density.js';
import { type Eigenvalue, ExtremeVectors } from './extremes.js';
import { basisBytes, lanczos } from './lanczos.js';
import type { RunOptions } from './progress.js';
import { quadrature, type Quadrature } from './quadrature.js';
import { estimate, type Estimate } from './statistics.js';

export interface SpectrumOptions extends RunOptions {
  /** Lanczos steps per probe, at most the operator's order. Default 100. */
  readonly steps?: number | undefined;
  /** Random start vectors. Two are needed for error bars. Default 10. */
  readonly probes?: number | undefined;
  /** Default 0. Probe p is random stream p of the seed, however the probes are grouped. */
  readonly seed?: number | undefined;
  /** 'normal' (default) makes uniformly distributed unit vectors; 'rademacher' entries of equal size. */
  readonly distribution?: 'normal' | 'rademacher' | undefined;
  /** Bytes the bases may take. Probes run in groups that fit. Default: no limit. */
  readonly memory?: number | undefined;
  /** Standard deviation of the density's kernel, in units of eigenvalues. Default: see kernelWidth. */
  readonly width?: number | undefined;
  /** Relative to ‖A‖: the residual up to which the extreme eigenvalues count as converged. Default 1e-3. */
  readonly tolerance?: number | undefined;
}

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
  const { probes = 10, seed = 0, distribution = 'normal', tolerance = 1e-3, signal } = options;
  mustBeSymmetric(operator, 'the spectrum');
  mustBeCount(options.steps ?? 100, 'steps');
  mustBeCount(probes, 'probes');
  mustBePositive(tolerance, 'tolerance');
  if (options.width !== undefined) mustBePositive(options.width, 'width');
  const started = performance.now();
  const dimension = operator.rows;
  const steps = Math.min(options.steps ?? 100, dimension);
  const size = groupSize(operator, steps, probes, options.memory);

  const ritz: Quadrature[] = [];
  const forms: number[] = [];
  const extremes = new ExtremeVectors(operator, reported, tolerance);
  let asymmetry = 0;
  try {
    for (let from = 0; from < probes; from += size) {
      const count = Math.min(size, probes - from);
      const group = await runGroup(operator, { from, count, steps, seed, distribution }, {
        signal,
        onStep: (step) => options.onProgress?.({
          stage: 'Lanczos', products: from * steps + count * step, total: probes * steps,
        }),
      });
      try {
        for (const t of group.tridiagonals) {
          const { nodes, weights } = quadrature(t);
          ritz.push({ nodes, weights });
          forms.push(dimension * (t.diagonal[0] as number));
        }
        asymmetry = Math.max(asymmetry, group.asymmetry);
        extremes.add(group);
      } finally {
        group.dispose();
      }
    }
    const { largest, smallest, converged, products } = await extremes.finish(signal);
    const total = probes * steps + products;
    options.onProgress?.({ stage: 'residuals', products: total, total });
    return {
      dimension, largest, smallest, ritz,
      trace: estimate(forms),
      density: density(ritz, dimension, options.width),
      steps, probes, seed, products: total, converged, asymmetry,
      seconds: (performance.now() - started) / 1000,
    };
  } finally {
    extremes.dispose();
  }
}

interface Group {
  readonly from: number;
  readonly count: number;
  readonly steps: number;
  readonly seed: number;
  readonly distribution: Distribution;
}

async function runGroup(
  operator: LinearOperator, group: Group, hooks: { signal: AbortSignal | undefined; onStep: (step: number) => void },
): ReturnType<typeof lanczos> {
  const { from, count, steps, seed, distribution } = group;
  const start = operator.device.block(operator.dtype, operator.rows, count);
  try {
    start.fillRandom(distribution, seed, from);
    return await lanczos(operator, start, { steps, seed, stream: 2 ** 30 + from * steps, ...hooks });
  } finally {
    start.dispose();
  }
}

/** Probes that advance together: as many as memory allows and one product takes, in groups of about one size. */
function groupSize(operator: LinearOperator, steps: number, probes: number, memory: number | undefined): number {
  const element = bytesPerElement[operator.dtype];
  const vector = operator.rows * element;
  const each = basisBytes(operator.rows, steps, element) + vector; // the basis and the start vector
  const always = 2 * ExtremeVectors.vectors(reported) * vector;
  const fitting = memory === undefined ? probes : Math.floor((memory - always) / each);
  if (fitting < 1) {
    throw new InputError(
      `one probe of ${steps} steps needs ${always + each} bytes, more than the memory limit of ${String(memory)}: `
      + 'take fewer steps or raise the limit',
    );
  }
  const most = Math.min(probes, fitting, operator.maxBlock ?? probes);
  return Math.ceil(probes / Math.ceil(probes / most));
}
