/**
 * XTrace and XDiag compute k estimates, each without one vector of the sketch, at the cost of one. Here each is
 * computed from its definition, with its own QR factorisation.
 */
import { Matrix, QrDecomposition } from 'ml-matrix';
import { describe, expect, it } from 'vitest';
import type { Distribution } from '../../src/device/native.js';
import { toOperator } from '../../src/operators/user-operator.js';
import { diagonal } from '../../src/solvers/diagonal.js';
import { estimateTrace } from '../../src/solvers/trace.js';
import { devices } from '../reference/devices.js';
import { distance, gaussian } from '../reference/matrices.js';

describe.each(devices)('leave-one-out estimates on %s', (_, open) => {
  const device = open();
  const [n, k, seed] = [40, 7, 5];
  const a = gaussian(n, n, 8);

  /** The random vectors of the methods, as columns. */
  async function omega(distribution: Distribution): Promise<Matrix> {
    const block = device.block('float64', n, k);
    block.fillRandom(distribution, seed, 0);
    const values = await block.readFloat64();
    block.dispose();
    return Matrix.from1DArray(k, n, Array.from(values)).transpose();
  }

  /** Orthonormal basis of A Ω without column i. */
  const basis = (vectors: Matrix, i: number): Matrix => {
    const others = Array.from({ length: k }, (_unused, j) => j).filter((j) => j !== i);
    return new QrDecomposition(a.mmul(vectors.subMatrixColumn(others))).orthogonalMatrix;
  };

  const spread = (samples: number[]): number => {
    const mean = samples.reduce((s, x) => s + x, 0) / samples.length;
    return Math.sqrt(samples.reduce((s, x) => s + (x - mean) ** 2, 0) / (samples.length - 1) / samples.length);
  };

  it('XTrace', async () => {
    const vectors = await omega('normal');
    const samples = Array.from({ length: k }, (_unused, i) => {
      const q = basis(vectors, i);
      const w = vectors.getColumnVector(i);
      const rest = Matrix.sub(w, q.mmul(q.transpose()).mmul(w));
      // the length of ω and of its projection cancel: a uniformly random direction in the complement
      return q.transpose().mmul(a).mmul(q).trace() + ((n - k + 1) * rest.dot(a.mmul(rest))) / rest.dot(rest);
    });
    const result = await estimateTrace(toOperator(a, { device }), { method: 'xtrace', products: 2 * k, seed });
    expect(Math.abs(result.estimate - samples.reduce((s, x) => s + x, 0) / k)).toBeLessThanOrEqual(1e-11 * n);
    expect(Math.abs((result.standardError as number) - spread(samples))).toBeLessThanOrEqual(1e-11 * n);
  });

  it('XDiag', async () => {
    const vectors = await omega('rademacher');
    const samples = Array.from({ length: k }, (_unused, i) => {
      const q = basis(vectors, i);
      const projected = q.mmul(q.transpose()).mmul(a);
      const w = vectors.getColumnVector(i);
      return Matrix.add(
        Matrix.columnVector(projected.diag()),
        Matrix.mul(w, Matrix.sub(a.mmul(w), projected.mmul(w))),
      ).to1DArray();
    });
    const result = await diagonal(toOperator(a, { device }), { method: 'xdiag', products: 2 * k, seed });
    const column = (e: number): number[] => samples.map((s) => s[e] as number);
    const means = Array.from({ length: n }, (_unused, e) => column(e).reduce((s, x) => s + x, 0) / k);
    expect(distance(result.estimate, means)).toBeLessThanOrEqual(1e-11);
    expect(
      distance(
        result.standardError as Float64Array,
        means.map((_unused, e) => spread(column(e))),
      ),
    ).toBeLessThanOrEqual(1e-11);
  });
});
