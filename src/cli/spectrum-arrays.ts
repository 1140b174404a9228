/** The spectrum as arrays for NumPy. */
import type { NdArray } from '../base/ndarray.js';
import type { SpectrumDocument } from '../report/document.js';

/** Null, JSON's stand-in, becomes NaN again. */
export function spectrumArrays({
  density,
  ritz,
  largest,
  smallest,
  trace,
  loss,
  gradientNorm,
}: SpectrumDocument): Map<string, NdArray> {
  const vector = (values: readonly (number | null)[], shape = [values.length]): NdArray => ({
    dtype: 'float64',
    shape,
    data: Float64Array.from(values, (v) => v ?? Number.NaN),
  });
  const steps = ritz[0]?.nodes.length ?? 0;
  const matrix = (rows: readonly (readonly number[])[]): NdArray => vector(rows.flat(), [rows.length, steps]);
  return new Map([
    ['density/grid', vector(density.grid)],
    ['density/value', vector(density.value)],
    ['density/lower', vector(density.lower)],
    ['density/upper', vector(density.upper)],
    [
      'density/unreliable',
      { dtype: 'bool', shape: [density.unreliable.length], data: Uint8Array.from(density.unreliable, Number) },
    ],
    ['ritz/nodes', matrix(ritz.map((q) => q.nodes))],
    ['ritz/weights', matrix(ritz.map((q) => q.weights))],
    ['largest/value', vector(largest.map((e) => e.value))],
    ['largest/residual', vector(largest.map((e) => e.residual))],
    ['smallest/value', vector(smallest.map((e) => e.value))],
    ['smallest/residual', vector(smallest.map((e) => e.residual))],
    ['trace', vector([trace.estimate, trace.standardError])],
    ['loss', vector([loss], [])],
    ['gradientNorm', vector([gradientNorm], [])],
  ]);
}
