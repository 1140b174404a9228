/** A spectrum like a trained network's, from a diagonal matrix on the reference device. */

import { linearOperator } from '../../src/operators/user-operator.js';
import type { FloatDType } from '../../src/program/format.js';
import type { SpectrumDocument } from '../../src/report/document.js';
import { spectrum } from '../../src/solvers/spectrum.js';
import { hostDevice } from '../reference/host-device.js';

/** Ten outliers, a bulk that decays from 0.3 to nothing, and a few negative eigenvalues. */
export function networkEigenvalues(n: number): Float64Array {
  const outliers = [21.3, 13.8, 9.1, 6.6, 4.9, 3.2, 2.4, 1.9, 1.4, 1.1];
  return Float64Array.from({ length: n }, (_, i) => {
    if (i < outliers.length) return outliers[i] as number;
    if (i >= n - 40) return -0.25 * ((i - (n - 41)) / 40) ** 2;
    return 0.3 * Math.exp(-(8 * (i - outliers.length)) / n);
  });
}

export interface FixtureOptions {
  readonly model?: string;
  readonly eigenvalues?: Float64Array;
  readonly steps?: number;
  readonly probes?: number;
  readonly dtype?: FloatDType;
}

export async function fixture(options: FixtureOptions = {}): Promise<SpectrumDocument> {
  const {
    model = 'cnn.onnx',
    eigenvalues = networkEigenvalues(600),
    steps = 60,
    probes = 6,
    dtype = 'float64',
  } = options;
  const n = eigenvalues.length;
  const device = hostDevice();
  const operator = linearOperator({
    rows: n,
    columns: n,
    symmetric: true,
    dtype,
    device,
    apply: (x) => Float64Array.from(x, (v, i) => v * (eigenvalues[i] as number)),
  });
  const result = await spectrum(operator, { steps, probes });
  const { grid, value, lower, upper, unreliable, width } = result.density;
  const numbers = (a: Float64Array): (number | null)[] => Array.from(a, (v) => (Number.isFinite(v) ? v : null));
  return {
    schemaVersion: 1,
    model,
    operator: 'hessian',
    dimension: n,
    samples: 2000,
    batchSize: 256,
    loss: 0.2716,
    gradientNorm: 0.0312,
    largest: result.largest,
    smallest: result.smallest,
    trace: result.trace,
    density: {
      grid: Array.from(grid),
      value: Array.from(value),
      lower: numbers(lower),
      upper: numbers(upper),
      unreliable,
      width,
    },
    ritz: result.ritz.map((q) => ({ nodes: Array.from(q.nodes), weights: Array.from(q.weights) })),
    steps: result.steps,
    probes,
    products: result.products,
    converged: result.converged,
    asymmetry: result.asymmetry,
    seconds: 12.3,
    device: 'cpu',
    deviceName: 'cpu (avx2, 2 threads)',
    dtype,
    threads: 2,
    seed: 0,
    version: '0.1.0',
    warnings: [],
  };
}
