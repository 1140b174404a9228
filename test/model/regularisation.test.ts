/** meanLoss's l2: value, gradient and matrices gain (λ/2)‖θ‖², λθ and λI, whatever the batches; the Fishers nothing. */
import { describe, expect, test } from 'vitest';
import { datasetFromArrays } from '../../src/data/index.js';
import { crossEntropy, outputLoss } from '../../src/model/loss.js';
import { type MeanLoss, meanLoss } from '../../src/model/mean-loss.js';
import { curvature, lossAndGradient } from '../../src/operators/create.js';
import { nn, trace } from '../../src/trace/index.js';
import { tanhNetwork } from '../reference/models.js';
import { error, random } from '../trace/compute.js';

const l2 = 0.3;
const x = { data: Float64Array.from(random(21)), shape: [7, 3] };
const classes = datasetFromArrays({
  inputs: { x },
  target: { data: Int32Array.of(0, 1, 1, 0, -100, 1, 0), shape: [7] },
});
const network = tanhNetwork([3, 4, 2]);
const scalar = trace((p, { x: v }) => nn.mean(nn.square(nn.tanh(nn.linear(v, p.w)))), {
  parameters: { w: [2, 3] },
  inputs: { x: [null, 3] },
});

const cases: [string, (options: { l2?: number; batchSize?: number }) => MeanLoss][] = [
  ['cross-entropy with an ignored target', (o) => meanLoss(network, crossEntropy(), classes, o)],
  ['a model that ends in its loss', (o) => meanLoss(scalar, outputLoss(), datasetFromArrays({ inputs: { x } }), o)],
];
describe.each(cases)('%s', (name, make) => {
  const theta = make({}).model.parameters.flatMap((p) => Array.from(p.values()));
  const v = Float64Array.from(random(theta.length, 4));
  test.each([7, 2, 3])('in batches of %i', async (batchSize) => {
    const [plain, with2] = [make({ batchSize }), make({ batchSize, l2 })];
    const before = await lossAndGradient(plain, { dtype: 'float64' }),
      after = await lossAndGradient(with2, { dtype: 'float64' });
    expect(error([after.loss], [before.loss + (l2 / 2) * theta.reduce((s, t) => s + t * t, 0)])).toBeLessThan(1e-14);
    expect(
      error(
        after.gradient,
        before.gradient.map((g, i) => g + l2 * (theta[i] as number)),
      ),
    ).toBeLessThan(1e-14);
    for (const operator of ['hessian', 'gauss-newton', 'fisher-exact'] as const) {
      if (name !== cases[0]?.[0] && operator !== 'hessian') continue;
      await using A = await curvature(operator, plain, { dtype: 'float64' });
      await using B = await curvature(operator, with2, { dtype: 'float64' });
      const added = operator === 'fisher-exact' ? 0 : l2;
      expect(
        error(
          await B.applyVector(v),
          (await A.applyVector(v)).map((h, i) => h + added * (v[i] as number)),
        ),
      ).toBeLessThan(1e-14);
      expect(B.fingerprint).not.toBe(A.fingerprint);
    }
  });
  test('a negative or unknown λ is refused', async () => {
    for (const bad of [-1, Number.NaN])
      await expect(lossAndGradient(make({ l2: bad }))).rejects.toThrow('l2 must be a finite number of at least 0');
  });
});
