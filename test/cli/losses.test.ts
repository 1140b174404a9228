/** Every loss by its name on the command line, with its options, against the API's own. */
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { lossNames as commandNames } from '../../src/cli/options/loss.js';
import { datasetFromArrays, type NdArray, readNpz, writeNpy, writeNpz } from '../../src/data/index.js';
import {
  binaryCrossEntropy,
  crossEntropy,
  gaussianNll,
  huber,
  type Loss,
  lossNames,
  meanAbsoluteError,
  meanSquaredError,
  poissonNll,
  smoothL1,
} from '../../src/model/loss.js';
import { meanLoss } from '../../src/model/mean-loss.js';
import { loadOnnx } from '../../src/onnx/index.js';
import { lossAndGradient } from '../../src/operators/create.js';
import { fixture, golden, hessia, temporaryFolder } from './cli.js';

const folder = temporaryFolder();
const at = (name: string): string => join(folder, name);
const model = await loadOnnx(fixture('tiny-mlp.onnx'));
const x = (await readNpz(golden('tiny-mlp.npz'))).get('x') as NdArray;
const samples = x.shape[0] as number;
const outputs = model.parameters.at(-1)?.shape[0] as number;
const weights = Float32Array.from({ length: outputs }, (_, i) => i + 1);
const classes: NdArray = {
  dtype: 'int32',
  shape: [samples],
  data: Int32Array.from({ length: samples }, (_, i) => i % outputs),
};
const real = (columns: number): NdArray => ({
  dtype: 'float32',
  shape: [samples, columns],
  data: Float32Array.from({ length: samples * columns }, (_, i) => (i % 5) / 5),
});
const soft: NdArray = {
  ...real(outputs),
  data: Float32Array.from({ length: samples * outputs }, () => 1 / outputs),
} as NdArray;

beforeAll(() => writeNpy(at('weights.npy'), { dtype: 'float32', shape: [outputs], data: weights }));

const cases: [string, NdArray, Loss][] = [
  ['cross-entropy', classes, crossEntropy()],
  ['cross-entropy:label-smoothing=0.1', classes, crossEntropy({ labelSmoothing: 0.1 })],
  [
    `cross-entropy:class-weights=${at('weights.npy')},ignore-index=1`,
    classes,
    crossEntropy({ classWeights: weights, ignoreIndex: 1 }),
  ],
  ['cross-entropy:soft-targets', soft, crossEntropy({ softTargets: true })],
  ['bce-with-logits', real(outputs), binaryCrossEntropy()],
  ['bce-with-logits:positive-weight=2', real(outputs), binaryCrossEntropy({ positiveWeight: 2 })],
  ['mse', real(outputs), meanSquaredError()],
  ['l1', real(outputs), meanAbsoluteError()],
  ['huber:delta=0.3', real(outputs), huber({ delta: 0.3 })],
  ['smooth-l1:beta=0.3', real(outputs), smoothL1({ beta: 0.3 })],
  ['gaussian-nll:variance=2', real(outputs), gaussianNll({ variance: 2 })],
  ['poisson-nll', real(outputs), poissonNll()],
  ['poisson-nll:full', real(outputs), poissonNll({ full: true })],
];
test.each(cases)('%s', async (text, target, loss) => {
  const data = datasetFromArrays({ inputs: { x }, target });
  for (const l2 of [0, 0.5]) {
    const wanted = await lossAndGradient(meanLoss(model, loss, data, { l2 }), { dtype: 'float64' });
    await writeNpz(at('data.npz'), Object.entries({ x, target }));
    const { code, stdout, stderr } = await hessia([
      'product',
      fixture('tiny-mlp.onnx'),
      ...['--data', at('data.npz'), '--loss', text, '--operator', 'gradient', '--dtype', 'float64', '--json'],
      ...['--out', at('out.npz'), ...(l2 > 0 ? ['--l2', String(l2)] : [])],
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const found = JSON.parse(stdout) as { loss: number; norm: number };
    expect(Math.abs(found.loss - wanted.loss)).toBeLessThanOrEqual(1e-12 * Math.abs(wanted.loss));
    expect(Math.abs(found.norm - wanted.norm)).toBeLessThanOrEqual(1e-12 * wanted.norm);
  }
});
test('no loss is left out', () => {
  expect(commandNames).toEqual(lossNames);
  const tried = new Set(cases.map(([text]) => text.split(':')[0]));
  // 'output' is a model's own: product.test.ts
  expect(lossNames.filter((name) => !tried.has(name))).toEqual(['output']);
});

describe('what cannot be meant is refused', () => {
  test.each([
    ['hinge', 'Use one of: cross-entropy, mse'],
    ['mse:delta=1', 'mse has no options'],
    ['huber:beta=1', 'huber takes delta'],
    ['huber:delta=x', "'delta=x': write delta=NUMBER"],
    ['huber:delta=-1', 'delta must be a positive number'],
    ['huber:', 'huber takes delta'],
    ['poisson-nll:full=1', "'full=1': write full"],
    ['cross-entropy:class-weights=', 'write class-weights=FILE'],
    ['cross-entropy:class-weights=/nowhere.npy', 'cannot read /nowhere.npy'],
  ])('%s', async (text, message) => {
    const { code, stdout, stderr } = await hessia([
      'product',
      fixture('tiny-mlp.onnx'),
      ...['--data', at('data.npz'), '--loss', text, '--operator', 'gradient', '--out', at('out.npz')],
    ]);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^hessia: [^\n]*\n$/);
    expect(stderr).toContain(message);
    expect(code).toBe(2);
  });
});

test('what product writes can be multiplied again', async () => {
  await writeNpz(at('data.npz'), Object.entries({ x, target: classes }));
  const product = (vector: string, out: string): ReturnType<typeof hessia> =>
    hessia([
      'product',
      fixture('tiny-mlp.onnx'),
      ...['--data', at('data.npz'), '--vector', vector, '--out', at(out), '--dtype', 'float64'],
    ]);
  for (const [vector, out] of [
    ['random', 'first.npz'],
    [at('first.npz'), 'second.npz'],
  ] as const)
    expect(await product(vector, out)).toMatchObject({ code: 0, stderr: '' });
  const arrays = await readNpz(at('first.npz'));
  expect([...arrays.keys()]).toContain('loss');
  await writeNpz(at('extra.npz'), [...arrays, ['more', x]]);
  expect(await product(at('extra.npz'), 'third.npz')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("'more'"),
  });
});
