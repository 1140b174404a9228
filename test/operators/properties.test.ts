/** What must hold of any curvature matrix, whatever the network. */
import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import { describe, expect, test } from 'vitest';
import { philoxNormal, philoxUniform } from '../../src/base/philox.js';
import type { Dataset } from '../../src/data/index.js';
import { datasetFromArrays, openDataset } from '../../src/data/index.js';
import { crossEntropy } from '../../src/model/loss.js';
import { meanLoss } from '../../src/model/mean-loss.js';
import { loadOnnx } from '../../src/onnx/index.js';
import { curvature, lossAndGradient } from '../../src/operators/create.js';
import type { CurvatureOperator } from '../../src/operators/curvature.js';
import { spectrum } from '../../src/solvers/spectrum.js';
import { tanhNetwork } from '../reference/models.js';

function classification(samples: number, inputs: number, classes: number, seed = 1): Dataset {
  return datasetFromArrays({
    inputs: { x: { data: philoxNormal(seed, 0, 0, samples * inputs), shape: [samples, inputs] } },
    target: {
      data: Int32Array.from(philoxUniform(seed, 1, 0, samples), (u) => Math.floor(u * classes)),
      shape: [samples],
    },
  });
}
async function dense(A: CurvatureOperator): Promise<Matrix> {
  const d = A.rows;
  const block = await A.apply(Float64Array.from({ length: d * d }, (_, i) => (i % (d + 1) === 0 ? 1 : 0)));
  const values = await block.readFloat64();
  block.dispose();
  return Matrix.from1DArray(d, d, values);
}
const eigenvalues = (m: Matrix): number[] =>
  new EigenvalueDecomposition(m, { assumeSymmetric: true }).realEigenvalues.sort((a, b) => a - b);
const inner = (a: Float64Array, b: Float64Array): number => a.reduce((s, x, i) => s + x * (b[i] as number), 0);

describe('rank of the Gauss–Newton matrix of a softmax network with one hidden layer', () => {
  // h + 1 directions shift all logits alike: each hidden unit's outgoing weights, and the output bias
  test.each([2, 3, 5, 8].flatMap((c) => [8, 32].map((h) => [c, h])))(
    '%i classes, width %i: min(N(C−1), d − (h+1))',
    async (classes, width) => {
      const samples = 60,
        inputs = 4;
      const f = meanLoss(
        tanhNetwork([inputs, width, classes]),
        crossEntropy(),
        classification(samples, inputs, classes),
        { batchSize: 25 },
      );
      await using G = await curvature('gauss-newton', f, { dtype: 'float64' });
      const values = eigenvalues(await dense(G));
      const largest = values.at(-1) as number;
      const expected = Math.min(samples * (classes - 1), G.rows - (width + 1));
      // Null directions sit at rounding; the (expected)-th eigenvalue from above must stand clear of them.
      const nulls = values.slice(0, G.rows - expected);
      for (const v of nulls) expect(Math.abs(v)).toBeLessThan(64 * G.rows * 2 ** -53 * largest);
      const rank = values.filter((v) => v > 64 * G.rows * 2 ** -53 * largest).length;
      expect(rank).toBeLessThanOrEqual(expected);
      // generic data make all of them positive, though the smallest may be tiny: allow it to drown only below 1e-12
      expect(values.filter((v) => v > 1e-15 * largest).length).toBeGreaterThanOrEqual(expected);
    },
  );
});

test('vᵀHw = wᵀHv on the example network', async () => {
  const model = await loadOnnx('examples/cnn.onnx');
  await using data = await openDataset('examples/fashion-mnist-test.npz');
  await using H = await curvature('hessian', meanLoss(model, crossEntropy(), data, { samples: 24, batchSize: 10 }), {
    dtype: 'float64',
  });
  const v = philoxNormal(0, 7, 0, H.rows),
    w = philoxNormal(0, 8, 0, H.rows);
  const Hv = await H.applyVector(v),
    Hw = await H.applyVector(w);
  const scale = Math.sqrt(inner(v, v) * inner(Hw, Hw));
  expect(Math.abs(inner(v, Hw) - inner(w, Hv)) / scale).toBeLessThan(1e-12);
  expect(Math.abs(inner(v, Hw) / inner(w, Hv) - 1)).toBeLessThan(1e-10);
});

test('batch sizes 1, 7, 64 and N agree on the example network', async () => {
  const model = await loadOnnx('examples/cnn.onnx');
  await using data = await openDataset('examples/fashion-mnist-test.npz');
  const results: Float64Array[] = [];
  for (const batchSize of [70, 1, 7, 64]) {
    const f = meanLoss(model, crossEntropy(), data, { samples: 70, batchSize });
    await using H = await curvature('hessian', f, { dtype: 'float64' });
    results.push(await H.applyVector(philoxNormal(0, 7, 0, H.rows)));
  }
  const [whole, ...others] = results as [Float64Array, ...Float64Array[]];
  for (const other of others) {
    const difference = Math.sqrt(
      other.reduce((s, x, i) => s + (x - (whole[i] as number)) ** 2, 0) / inner(whole, whole),
    );
    expect(difference).toBeLessThan(1e-12);
  }
});

test('the spectrum of a small network is its dense eigenvalues', async () => {
  const f = meanLoss(tanhNetwork([3, 5, 3]), crossEntropy(), classification(40, 3, 3));
  await using H = await curvature('hessian', f, { dtype: 'float64' });
  const exact = eigenvalues(await dense(H));
  const found = await spectrum(H, { steps: 100, probes: 3 });
  const norm = Math.max(...exact.map(Math.abs));
  expect(found.steps).toBeLessThanOrEqual(H.rows);
  found.largest.forEach(({ value }) => {
    expect(Math.min(...exact.map((e) => Math.abs(e - value)))).toBeLessThan(1e-10 * norm);
  });
  expect(Math.abs((found.largest[0]?.value as number) - (exact.at(-1) as number))).toBeLessThan(1e-10 * norm);
  expect(Math.abs((found.smallest[0]?.value as number) - (exact[0] as number))).toBeLessThan(1e-10 * norm);
});

test('the Hessian product is the derivative of the gradient', async () => {
  const data = classification(30, 4, 3);
  const model = tanhNetwork([4, 6, 5, 3]);
  await using H = await curvature('hessian', meanLoss(model, crossEntropy(), data), { dtype: 'float64' });
  const v = philoxNormal(2, 3, 0, H.rows);
  const step = Math.cbrt(2 ** -53);
  const moved = (sign: number) => {
    let at = 0;
    return {
      ...model,
      parameters: model.parameters.map((p) => {
        const start = at,
          values = p.values();
        at += values.length;
        return { ...p, values: () => Float64Array.from(values, (x, i) => x + sign * step * (v[start + i] as number)) };
      }),
    };
  };
  const plus = await lossAndGradient(meanLoss(moved(1), crossEntropy(), data), { dtype: 'float64' });
  const minus = await lossAndGradient(meanLoss(moved(-1), crossEntropy(), data), { dtype: 'float64' });
  const Hv = await H.applyVector(v);
  const scale = Math.sqrt(inner(Hv, Hv));
  const difference = Math.sqrt(
    Hv.reduce(
      (s, x, i) => s + (x - ((plus.gradient[i] as number) - (minus.gradient[i] as number)) / (2 * step)) ** 2,
      0,
    ),
  );
  // a central difference: truncation step², rounding u/step, each times a modest constant
  expect(difference / scale).toBeLessThan(100 * step * step * inner(v, v));
});

test('products leave the event loop free and do not leak', async () => {
  const f = meanLoss(tanhNetwork([64, 128, 10]), crossEntropy(), classification(256, 64, 10));
  await using H = await curvature('hessian', f, { dtype: 'float32' });
  const v = H.device.block('float32', H.rows, 1),
    w = H.device.block('float32', H.rows, 1);
  v.fillRandom('normal', 0, 0);
  const delays: number[] = [];
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    delays.push(now - last);
    last = now;
  }, 1);
  let early = 0;
  for (let i = 1; i <= 1000; i++) {
    await H.apply(v, w);
    if (i % 50 === 0) await w.norms();
    if (i === 100) {
      globalThis.gc?.();
      early = process.memoryUsage().rss;
    }
  }
  clearInterval(timer);
  globalThis.gc?.();
  const late = process.memoryUsage().rss;
  v.dispose();
  w.dispose();
  // Freed JavaScript garbage may come and go; 2 % of what is resident plus the collector's slack.
  expect(late).toBeLessThanOrEqual(early * 1.02 + 32 * 2 ** 20);
  expect(delays.length).toBeGreaterThan(5);
});
