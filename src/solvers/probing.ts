/** Lanczos from random vectors, in groups of probes that fit into memory. */
import { InputError } from '../base/errors.js';
import type { LinearOperator } from '../operators/linear-operator.js';
import { bytesPerElement } from '../program/format.js';
import { mustBeCount } from './checks.js';
import { basisBytes, type LanczosRun, lanczos } from './lanczos.js';
import type { RunOptions } from './progress.js';

export interface ProbingOptions extends RunOptions {
  /** Lanczos steps per probe, at most the operator's order. Default 100. */
  readonly steps?: number | undefined;
  /** Random start vectors. Two are needed for error bars. Default 10. */
  readonly probes?: number | undefined;
  /** Default 0. Probe p is random stream p of the seed, however the probes are grouped. */
  readonly seed?: number | undefined;
  /** 'normal' (default) makes uniformly distributed unit vectors; 'rademacher' entries of equal size. */
  readonly distribution?: 'normal' | 'rademacher' | undefined;
  /** Bytes the vectors may take. Probes run in groups that fit. Default: no limit. */
  readonly memory?: number | undefined;
}

/** The options with defaults filled in, checked. */
export interface ProbingPlan {
  readonly steps: number;
  readonly probes: number;
  readonly seed: number;
  readonly distribution: 'normal' | 'rademacher';
  /** probes that advance together */
  readonly group: number;
}

/** `reserved`: vectors the caller will need besides the bases. Throws InputError. */
export function planProbing(operator: LinearOperator, options: ProbingOptions, reserved: number): ProbingPlan {
  const { steps = 100, probes = 10, seed = 0, distribution = 'normal', memory } = options;
  mustBeCount(steps, 'steps');
  mustBeCount(probes, 'probes');
  mustBeCount(seed, 'seed', 0);
  if (distribution !== 'normal' && distribution !== 'rademacher') {
    throw new InputError(`distribution must be normal or rademacher, not ${String(distribution)}`);
  }
  const actual = Math.min(steps, operator.rows);
  const element = bytesPerElement[operator.dtype];
  const vector = operator.rows * element;
  const each = basisBytes(operator.rows, actual, element) + vector; // the basis and the start vector
  const fitting = memory === undefined ? probes : Math.floor((memory - reserved * vector) / each);
  if (!(fitting >= 1)) {
    throw new InputError(
      `one probe of ${actual} steps needs ${reserved * vector + each} bytes, more than the memory limit of ` +
        `${String(memory)}: take fewer steps or raise the limit`,
    );
  }
  const most = Math.min(probes, fitting, operator.maxBlock ?? probes);
  // Groups of about one size: 10 probes of which 8 fit run as 5 and 5.
  const group = Math.ceil(probes / Math.ceil(probes / most));
  return { steps: actual, probes, seed, distribution, group };
}

/** Runs every group and hands it to `visit` while its bases are there. */
export async function probe(
  operator: LinearOperator,
  plan: ProbingPlan,
  options: RunOptions,
  visit: (run: LanczosRun) => void,
): Promise<void> {
  const { steps, probes, seed, distribution } = plan;
  for (let from = 0; from < probes; from += plan.group) {
    const count = Math.min(plan.group, probes - from);
    const start = operator.device.block(operator.dtype, operator.rows, count);
    let run: LanczosRun | undefined;
    try {
      start.fillRandom(distribution, seed, from);
      run = await lanczos(operator, start, {
        steps,
        seed,
        stream: 2 ** 30 + from * steps,
        signal: options.signal,
        onStep: (step) =>
          options.onProgress?.({
            stage: 'Lanczos',
            products: from * steps + count * step,
            total: probes * steps,
          }),
      });
      visit(run);
    } finally {
      start.dispose();
      run?.dispose();
    }
  }
}
