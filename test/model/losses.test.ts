/** Every loss against PyTorch's float64 (test/model/make.py), through compiler and kernels, for any batch size. */
import { describe, expect, test } from 'vitest';
import { toFloat64 } from '../../src/base/convert.js';
import { datasetFromArrays, type NdArray, readNpz } from '../../src/data/index.js';
import type { Node } from '../../src/graph/index.js';
import * as losses from '../../src/model/loss.js';
import { meanLoss } from '../../src/model/mean-loss.js';
import { curvature, lossAndGradient } from '../../src/operators/create.js';
import type { CurvatureName } from '../../src/operators/curvature.js';
import { nn, trace } from '../../src/trace/index.js';
import { compute, differences, error } from '../trace/compute.js';

const golden = await readNpz('test/model/losses.npz');
const array = (name: string): NdArray => {
  const found = golden.get(name);
  if (!found) throw new Error(`no golden ${name}`);
  return found;
};
const values = (name: string): Float64Array => toFloat64(array(name));
const weights = [0.5, 2, 1.25];

const cases: [string, losses.Loss, number[]][] = [
  ['smoothed', losses.crossEntropy({ labelSmoothing: 0.2 }), [3]],
  ['weighted', losses.crossEntropy({ classWeights: weights }), [3]],
  ['both', losses.crossEntropy({ classWeights: weights, labelSmoothing: 0.1 }), [3]],
  ['ignored', losses.crossEntropy({ ignoreIndex: 0 }), [3]],
  ['soft', losses.crossEntropy({ softTargets: true }), [3]],
  ['softBoth', losses.crossEntropy({ softTargets: true, classWeights: weights, labelSmoothing: 0.1 }), [3]],
  ['positions', losses.crossEntropy({ classWeights: weights, labelSmoothing: 0.3 }), [3, 2]],
  ['binary', losses.binaryCrossEntropy(), [3]],
  ['binaryWeighted', losses.binaryCrossEntropy({ weights: [1, 0.5, 3], positiveWeight: [2, 0.25, 1] }), [3]],
  ['mse', losses.meanSquaredError(), [3]],
  ['l1', losses.meanAbsoluteError(), [3]],
  ['huber', losses.huber({ delta: 0.7 }), [3]],
  ['smoothL1', losses.smoothL1({ beta: 1.5 }), [3]],
  ['gaussian', losses.gaussianNll({ variance: 0.3 }), [3]],
  ['gaussianOwn', losses.gaussianNll(), [6]],
  ['poisson', losses.poissonNll({ full: true }), [3]],
];
const withoutFisher = ['l1', 'huber', 'smoothL1'];

function objective(
  name: string,
  loss: losses.Loss,
  shape: number[],
  options: { batchSize?: number; weight?: Float64Array } = {},
) {
  const model = trace((p, { x }) => nn.reshape(nn.linear(x, p.w), [x.shape[0] as number, ...shape]), {
    parameters: { w: { shape: array(`${name}/weight`).shape, values: options.weight ?? values(`${name}/weight`) } },
    inputs: { x: [null, 2] },
  });
  const data = datasetFromArrays({ inputs: { x: array(`${name}/x`) }, target: array(`${name}/target`) });
  return meanLoss(model, loss, data, options);
}
async function dense(
  operator: CurvatureName,
  f: ReturnType<typeof objective>,
  fisherSamples = 1,
): Promise<Float64Array> {
  await using A = await curvature(operator, f, { dtype: 'float64', fisherSamples });
  const d = A.rows;
  const block = await A.apply(Float64Array.from({ length: d * d }, (_, i) => (i % (d + 1) === 0 ? 1 : 0)));
  const out = await block.readFloat64();
  block.dispose();
  return out;
}

describe.each(cases)('%s', (name, loss, shape) => {
  // 5 samples, at most 6 outputs: sums of 30 terms of exp, log and products
  const tolerance = 30 * 2 ** -48;
  test.each([5, 1, 3])('loss, gradient and matrices in batches of %i', async (batchSize) => {
    const f = objective(name, loss, shape, { batchSize });
    const found = await lossAndGradient(f, { dtype: 'float64' });
    expect(error([found.loss], values(`${name}/loss`))).toBeLessThan(tolerance);
    expect(error(found.gradient, values(`${name}/gradient`))).toBeLessThan(tolerance);
    expect(error(await dense('hessian', f), values(`${name}/hessian`))).toBeLessThan(tolerance);
    // the model is linear, so its Gauss–Newton matrix is its Hessian
    expect(error(await dense('gauss-newton', f), values(`${name}/hessian`))).toBeLessThan(tolerance);
    expect(error(await dense('empirical-fisher', f), values(`${name}/fisher`))).toBeLessThan(tolerance);
  });
  test('the Hessian is the differences of the gradient', async () => {
    const at = values(`${name}/weight`);
    const d = at.length;
    const points: Float64Array[] = [];
    differences((w) => {
      points.push(w);
      return w;
    }, at);
    const gradients = await Promise.all(
      points.map(
        async (weight) =>
          (await lossAndGradient(objective(name, loss, shape, { weight }), { dtype: 'float64' })).gradient,
      ),
    );
    let next = 0;
    const columns = differences(() => gradients[next++] as Float64Array, at);
    const H = await dense('hessian', objective(name, loss, shape));
    expect(
      error(
        columns.flatMap((c) => Array.from(c)),
        H,
      ),
    ).toBeLessThan(1e-8);
    expect(columns).toHaveLength(d);
  });
  test('Fishers', async () => {
    const f = objective(name, loss, shape, { batchSize: 3 });
    if (withoutFisher.includes(name)) {
      await expect(dense('fisher-exact', f)).rejects.toThrow('needs a loss that is a likelihood');
      return;
    }
    const exact = await dense('fisher-exact', f);
    if (name !== 'gaussianOwn') expect(error(exact, values(`${name}/hessian`))).toBeLessThan(tolerance);
    // an entry deviates by about its size times √(2/draws); the largest relative to the largest entry, six deviations
    const draws = 4096;
    expect(error(await dense('fisher', f, draws), exact)).toBeLessThan(6 * Math.sqrt(2 / draws));
  });
});

test('the exact Fisher of a Gaussian with its own variance is diag(e^−s, ½) at the output', () => {
  const [s, t] = [0.7, -1.3];
  const { likelihood } = losses.gaussianNll().bind([1, 4], [1, 2]);
  const [root] = compute(
    [
      { shape: [1, 4], values: [5, 6, s, t] },
      { shape: [1, 4], values: [1, 1, 1, 1] },
    ],
    (o, v) => likelihood!.root(o as Node, v as Node),
  );
  expect(error(root as number[], [Math.exp(-s), Math.exp(-t), 0.5, 0.5])).toBeLessThanOrEqual(2 ** -50);
});
test('a uniform number above every rounded partial sum draws the last class', () => {
  const z = [0.3, -0.2, 0.9];
  const { likelihood } = losses.crossEntropy().bind([1, 3], [1]);
  const [score] = compute(
    [
      { shape: [1, 3], values: z },
      { shape: [1, 1], values: [1] },
    ],
    (o, u) => likelihood!.drawn(o as Node, u as Node),
  );
  const total = z.reduce((a, v) => a + Math.exp(v), 0);
  const want = z.map((v, c) => Math.exp(v) / total - (c === 2 ? 1 : 0));
  expect(error(score as number[], want)).toBeLessThanOrEqual(2 ** -50);
});

test('a loss of one’s own: log-cosh, mean over elements, with the closed form of its Hessian', async () => {
  const logCosh = losses.customLoss((y, t) => nn.log(nn.cosh(nn.sub(y, t))), { name: 'log-cosh' });
  const f = objective('mse', logCosh, [3], { batchSize: 2 });
  const [x, w, t] = [values('mse/x'), values('mse/weight'), values('mse/target')];
  let loss = 0;
  const H = new Float64Array(36);
  for (let n = 0; n < 5; n++) {
    for (let o = 0; o < 3; o++) {
      const [a, b] = [x[2 * n] as number, x[2 * n + 1] as number];
      const r = a * (w[2 * o] as number) + b * (w[2 * o + 1] as number) - (t[3 * n + o] as number);
      loss += Math.log(Math.cosh(r)) / 15;
      const s = 1 / Math.cosh(r) ** 2 / 15;
      [
        [a * a, a * b],
        [a * b, b * b],
      ].forEach((row, i) => {
        row.forEach((v, j) => {
          H[(2 * o + i) * 6 + 2 * o + j] = (H[(2 * o + i) * 6 + 2 * o + j] as number) + s * v;
        });
      });
    }
  }
  expect(error([(await lossAndGradient(f, { dtype: 'float64' })).loss], [loss])).toBeLessThan(1e-14);
  expect(error(await dense('hessian', f), H)).toBeLessThan(1e-13);
  expect(error(await dense('gauss-newton', f), H)).toBeLessThan(1e-13);
});

describe('what is refused', () => {
  const bind = (loss: losses.Loss, output: number[], target: number[]) => () => loss.bind(output, target);
  test.each([
    ['label smoothing must lie in 0…1, not 2', () => losses.crossEntropy({ labelSmoothing: 2 })],
    ['class weight 1 is -1', () => losses.crossEntropy({ classWeights: [1, -1] })],
    ['2 class weights for 3 classes', bind(losses.crossEntropy({ classWeights: [1, 1] }), [4, 3], [4])],
    [
      'soft targets: a target of shape [4] does not fit an output of shape [4,3]',
      bind(losses.crossEntropy({ softTargets: true }), [4, 3], [4]),
    ],
    ['2 weights for an output of shape [4,3]', bind(losses.binaryCrossEntropy({ weights: [1, 1] }), [4, 3], [4, 3])],
    ['delta must be a positive number, not 0', () => losses.huber({ delta: 0 })],
    ['does not hold a mean and a log variance for each target', bind(losses.gaussianNll(), [4, 3], [4, 3])],
    ['huber: a target of shape [4] does not fit', bind(losses.huber(), [4, 3], [4])],
    [
      "unknown loss 'hinge'; use cross-entropy, mse, bce-with-logits, l1, huber, smooth-l1, gaussian-nll, poisson-nll or output",
      () => losses.lossByName('hinge'),
    ],
  ])('%s', (message, run) => {
    expect(run).toThrow(message);
  });
  test('NaN', () => {
    expect(() => losses.gaussianNll({ variance: Number.NaN })).toThrow('variance must be a positive number');
  });
});
