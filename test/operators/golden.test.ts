/** Products and matrices against PyTorch's float64 autograd (test/golden/make.py), through ONNX, compiler and kernels. */
import { describe, expect, test } from 'vitest';
import { toFloat64 } from '../../src/base/convert.js';
import type { NdArray } from '../../src/data/index.js';
import { datasetFromArrays, openDataset, readNpz } from '../../src/data/index.js';
import { lossByName } from '../../src/model/loss.js';
import type { MeanLoss, MeanLossOptions } from '../../src/model/mean-loss.js';
import { meanLoss } from '../../src/model/mean-loss.js';
import { loadOnnx } from '../../src/onnx/index.js';
import { curvature, lossAndGradient } from '../../src/operators/create.js';
import type { CurvatureName } from '../../src/operators/curvature.js';

const golden = (name: string): Promise<Map<string, NdArray>> => readNpz(`test/golden/${name}.npz`);
const values = (arrays: Map<string, NdArray>, name: string): Float64Array => toFloat64(arrays.get(name) as NdArray);
const norm = (v: ArrayLike<number>): number => Math.hypot(...Array.from(v));
/** ‖a − b‖ / ‖b‖; NaN where a length differs */
function relative(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.NaN;
  let difference = 0,
    scale = 0;
  for (let i = 0; i < b.length; i++) {
    difference += ((a[i] as number) - (b[i] as number)) ** 2;
    scale += (b[i] as number) ** 2;
  }
  return Math.sqrt(difference / scale);
}

async function tiny(
  name: string,
  file: string,
  lossName: string,
  options: MeanLossOptions = {},
): Promise<{ f: MeanLoss; arrays: Map<string, NdArray> }> {
  const arrays = await golden(name);
  const input = arrays.has('x') ? 'x' : 'tokens';
  const data = datasetFromArrays({
    inputs: { [input]: arrays.get(input) as NdArray },
    target: arrays.get('target') as NdArray,
  });
  const model = await loadOnnx(`test/fixtures/${file}.onnx`);
  return { f: meanLoss(model, lossByName(lossName), data, options), arrays };
}

const nets: [string, string, string, number][] = [
  ['tiny-mlp', 'tiny-mlp', 'cross-entropy', 1e-12],
  ['tiny-cnn', 'tiny-cnn', 'cross-entropy', 1e-9],
  ['tiny-cnn', 'tiny-cnn-classic', 'cross-entropy', 1e-9],
  ['tiny-residual', 'tiny-residual', 'cross-entropy', 1e-9],
  ['tiny-segmentation', 'tiny-segmentation', 'cross-entropy', 1e-12],
  ['tiny-mse', 'tiny-mse', 'mse', 1e-12],
  ['tiny-bce', 'tiny-bce', 'bce-with-logits', 1e-12],
  ['tiny-attention', 'tiny-attention', 'cross-entropy', 1e-6],
];

describe.each(nets)('%s (%s)', (name, file, loss, tolerance) => {
  test('loss and gradient', async () => {
    const { f, arrays } = await tiny(name, file, loss);
    const found = await lossAndGradient(f, { dtype: 'float64' });
    expect(relative([found.loss], values(arrays, 'loss'))).toBeLessThan(tolerance);
    expect(relative(found.gradient, values(arrays, 'gradient'))).toBeLessThan(tolerance);
  });
  test.each(['hessian', 'gauss-newton', 'empirical-fisher'] as const)(
    'dense %s, from products in blocks',
    async (operator) => {
      const { f, arrays } = await tiny(name, file, loss);
      const found = await dense(operator, f, 8);
      expect(relative(found, values(arrays, `matrix/${operator}`))).toBeLessThan(tolerance);
    },
  );
  test('any batch size gives the same matrix', async () => {
    const whole = await dense('hessian', (await tiny(name, file, loss)).f, 4);
    for (const batchSize of [1, 5, 7]) {
      const split = await dense('hessian', (await tiny(name, file, loss, { batchSize })).f, 16);
      expect(relative(split, whole)).toBeLessThan(1e-13);
    }
  });
});

async function dense(operator: CurvatureName, f: MeanLoss, block: number, memory?: number): Promise<Float64Array> {
  const A = await curvature(operator, f, { dtype: 'float64', block, ...(memory ? { memory } : {}) });
  const d = A.rows;
  const identity = new Float64Array(d * d);
  for (let i = 0; i < d; i++) identity[i * d + i] = 1;
  const result = await A.apply(identity);
  const out = await result.readFloat64();
  result.dispose();
  A.dispose();
  return out;
}

test('recomputing in lockstep equals keeping residuals', async () => {
  const { f } = await tiny('tiny-cnn', 'tiny-cnn', 'cross-entropy', { batchSize: 4 });
  const A = await curvature('hessian', f, { dtype: 'float64', block: 2 });
  const need = A.plan.parameters + A.plan.data + A.plan.scratch + 3 * A.plan.residuals;
  A.dispose();
  const kept = await dense('hessian', f, 2);
  const B = await curvature('hessian', f, { dtype: 'float64', memory: need });
  expect(B.plan.kept).toBeLessThan(B.plan.batches);
  B.dispose();
  const lockstep = await dense('hessian', f, 2, need);
  expect(relative(lockstep, kept)).toBeLessThan(1e-14);
});

describe('the Fishers', () => {
  test.each([
    ['tiny-mlp', 'cross-entropy'],
    ['tiny-mse', 'mse'],
    ['tiny-bce', 'bce-with-logits'],
    ['tiny-segmentation', 'cross-entropy'],
  ])('%s: the exact root gives the Gauss–Newton matrix', async (name, loss) => {
    const { f, arrays } = await tiny(name, name, loss);
    expect(relative(await dense('fisher-exact', f, 8), values(arrays, 'matrix/gauss-newton'))).toBeLessThan(1e-12);
  });
  test.each([
    ['tiny-mlp', 'cross-entropy'],
    ['tiny-mse', 'mse'],
    ['tiny-bce', 'bce-with-logits'],
  ])('%s: drawn labels approach it as 1/√draws', async (name, loss) => {
    const { f, arrays } = await tiny(name, name, loss);
    const exact = values(arrays, 'matrix/gauss-newton');
    const errors = await Promise.all(
      [16, 1024].map(async (fisherSamples) => {
        const A = await curvature('fisher', f, { dtype: 'float64', fisherSamples, seed: 3 });
        const d = A.rows;
        const identity = Float64Array.from({ length: d * d }, (_, i) => (i % (d + 1) === 0 ? 1 : 0));
        const block = await A.apply(identity);
        const error = relative(await block.readFloat64(), exact);
        A.dispose();
        return error;
      }),
    );
    const ratio = (errors[0] as number) / (errors[1] as number);
    // expected 8; a factor 2 either way is many standard deviations for errors averaged over d² entries
    expect(ratio).toBeGreaterThan(4);
    expect(ratio).toBeLessThan(16);
  });
});

const examples: [string, string, string, number][] = [
  ['mlp', 'examples/mlp.onnx', 'fashion-mnist-test', 1e-9],
  ['mlp', 'test/fixtures/mlp-classic.onnx', 'fashion-mnist-test', 1e-9],
  ['cnn', 'examples/cnn.onnx', 'fashion-mnist-test', 1e-9],
  ['cnn', 'test/fixtures/cnn-classic.onnx', 'fashion-mnist-test', 1e-9],
  ['gpt', 'examples/gpt.onnx', 'gpt-test', 1e-6],
];
describe.each(examples)('%s: %s', (name, file, dataName, tolerance) => {
  test.each([
    ['float64', tolerance],
    ['float32', 2e-4],
  ] as const)('products in %s', async (dtype, allowed) => {
    const arrays = await golden(name);
    const samples = values(arrays, 'samples')[0] as number;
    const model = await loadOnnx(file);
    await using data = await openDataset(`examples/${dataName}.npz`);
    const f = meanLoss(model, lossByName('cross-entropy', name === 'gpt' ? -1 : undefined), data, { samples });
    const check = (what: string, result: ArrayLike<number>): void => {
      let at = 0;
      for (const p of model.parameters) {
        const size = p.shape.reduce((a, b) => a * b, 1);
        const part = Float64Array.from({ length: size }, (_, i) => result[at + i] as number);
        at += size;
        const expected = arrays.get(`${what}/${p.name}`);
        if (!expected) throw new Error(`no golden ${what}/${p.name}`);
        const kept = expected.data.length === size ? part : part.filter((_, i) => i % 13 === 0);
        // a parameter whose part vanishes (a bias before a softmax) is judged by the scale of all
        const scale = Math.max(norm(toFloat64(expected)), 1e-6 * norm(result));
        let difference = 0;
        toFloat64(expected).forEach((e, i) => {
          difference += ((kept[i] as number) - e) ** 2;
        });
        expect(Math.sqrt(difference) / scale, `${what}/${p.name}`).toBeLessThan(allowed);
        expect(
          Math.abs(norm(part) - (values(arrays, `norm/${what}/${p.name}`)[0] as number)) / scale,
          `norm of ${what}/${p.name}`,
        ).toBeLessThan(allowed);
      }
    };
    const found = await lossAndGradient(f, { dtype });
    expect(Math.abs(found.loss / (values(arrays, 'loss')[0] as number) - 1)).toBeLessThan(
      dtype === 'float64' ? tolerance : 1e-6,
    );
    check('gradient', found.gradient);
    const v = Float64Array.from(model.parameters.flatMap((p) => Array.from(values(arrays, `vector/${p.name}`))));
    for (const operator of ['hessian', 'gauss-newton', 'empirical-fisher'] as const) {
      const A = await curvature(operator, f, { dtype });
      check(operator, await A.applyVector(v));
      A.dispose();
    }
  });
});

test('a model that ends in its own loss: Hessian, and Gauss–Newton from the value named', async () => {
  const arrays = await readNpz('test/fixtures/unusual/loss-in-graph.npz');
  const model = await loadOnnx('test/fixtures/unusual/loss-in-graph.onnx');
  const data = datasetFromArrays({
    inputs: { x: arrays.get('x') as NdArray, target: arrays.get('target') as NdArray },
  });
  const all = (what: string): Float64Array =>
    Float64Array.from(model.parameters.flatMap((p) => Array.from(values(arrays, `${what}/${p.name}`))));
  for (const batchSize of [6, 4]) {
    const f = meanLoss(model, lossByName('output'), data, { batchSize, output: 'logits' });
    const found = await lossAndGradient(f, { dtype: 'float64' });
    expect(relative([found.loss], values(arrays, 'loss'))).toBeLessThan(1e-12);
    expect(relative(found.gradient, all('gradient'))).toBeLessThan(1e-12);
    for (const operator of ['hessian', 'gauss-newton'] as const) {
      await using A = await curvature(operator, f, { dtype: 'float64' });
      expect(relative(await A.applyVector(all('vector')), all(operator))).toBeLessThan(1e-12);
    }
  }
  const unnamed = meanLoss(model, lossByName('output'), data);
  await expect(curvature('gauss-newton', unnamed, { dtype: 'float64' })).rejects.toThrow('--model-output');
});
