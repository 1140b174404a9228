/** A physics-informed loss, −u'' = q with u a tanh network: gradient and Hessian against differences and a closed form. */
import { expect, test } from 'vitest';
import { datasetFromArrays } from '../../src/data/index.js';
import type { Node } from '../../src/graph/index.js';
import { hessian, lossAndGradient } from '../../src/operators/create.js';
import { nn, traceFunction } from '../../src/trace/index.js';
import { differences, error, random } from './compute.js';

const width = 4,
  points = 7;
const xs = Float64Array.from({ length: points }, (_, i) => (i + 0.5) / points);
const q = (x: number): number => Math.sin(3 * x);
const data = datasetFromArrays({ inputs: { x: { data: xs, shape: [points, 1] } } });

const u = (p: { a: Node; b: Node; c: Node }, x: Node): Node => nn.linear(nn.tanh(nn.linear(x, p.a, p.b)), p.c);
const residual = (theta: ArrayLike<number>, batchSize?: number) => {
  const v = Array.from(theta);
  return traceFunction(
    (p, { x }) => {
      const du = nn.grad(nn.reduceSum(u(p, x)), x);
      const ddu = nn.grad(nn.reduceSum(du), x);
      return nn.reshape(nn.square(nn.add(ddu, nn.sin(nn.mul(3, x)))), [x.shape[0] as number]);
    },
    {
      parameters: {
        a: { shape: [width, 1], values: v.slice(0, width) },
        b: { shape: [width], values: v.slice(width, 2 * width) },
        c: { shape: [1, width], values: v.slice(2 * width) },
      },
      inputs: { x: [null, 1] },
      data,
      ...(batchSize ? { batchSize } : {}),
    },
  );
};
const theta = random(3 * width, 5);

/** u = Σ c·tanh(ax + b): tanh'' = −2 tanh (1 − tanh²) */
function closedForm(t: ArrayLike<number>): number {
  let sum = 0;
  for (const x of xs) {
    let second = 0;
    for (let i = 0; i < width; i++) {
      const [a, b, c] = [t[i], t[width + i], t[2 * width + i]] as [number, number, number];
      const h = Math.tanh(a * x + b);
      second += c * a * a * -2 * h * (1 - h * h);
    }
    sum += (second + q(x)) ** 2;
  }
  return sum / points;
}

test('loss and gradient of the residual', async () => {
  const found = await lossAndGradient(residual(theta), { dtype: 'float64' });
  expect(error([found.loss], [closedForm(theta)])).toBeLessThan(1e-14 * points);
  expect(
    error(
      found.gradient,
      differences((t) => [closedForm(t)], theta).map((d) => d[0] as number),
    ),
  ).toBeLessThan(1e-9);
});

test('its Hessian is the differences of its gradient, for any batch size', async () => {
  const gradient = async (t: Float64Array): Promise<Float64Array> =>
    (await lossAndGradient(residual(t), { dtype: 'float64' })).gradient;
  const d = theta.length,
    h = 1e-3;
  for (const batchSize of [points, 3]) {
    await using H = await hessian(residual(theta, batchSize), { dtype: 'float64' });
    for (const j of [0, width + 1, 2 * width + 2]) {
      const e = Float64Array.from({ length: d }, (_, i) => (i === j ? 1 : 0));
      const at = (s: number): Promise<Float64Array> =>
        gradient(Float64Array.from(theta, (v, i) => v + s * (e[i] as number)));
      const [a, b, c, f] = (await Promise.all([at(h), at(-h), at(2 * h), at(-2 * h)])) as [
        Float64Array,
        Float64Array,
        Float64Array,
        Float64Array,
      ];
      const want = a.map((v, i) => (8 * (v - (b[i] as number)) - ((c[i] as number) - (f[i] as number))) / (12 * h));
      expect(error(await H.applyVector(e), want)).toBeLessThan(1e-8);
    }
  }
});

test('a function of parameters alone: Rosenbrock has the Hessian [[802, −400], [−400, 200]] at (1, 1)', async () => {
  const f = traceFunction(
    ({ x }) => {
      const a = nn.at(x, 0, 0),
        b = nn.at(x, 0, 1);
      return nn.add(nn.square(nn.sub(1, a)), nn.mul(100, nn.square(nn.sub(b, nn.square(a)))));
    },
    { parameters: { x: { shape: [2], values: [1, 1] } } },
  );
  await using H = await hessian(f, { dtype: 'float64' });
  expect(Array.from(await H.applyVector(Float64Array.of(1, 0)))).toEqual([802, -400]);
  expect(Array.from(await H.applyVector(Float64Array.of(0, 1)))).toEqual([-400, 200]);
});

test('the first samples alone', async () => {
  const x = [1, 2, 3, 10];
  const f = traceFunction((p, { x: v }) => nn.reduceSum(nn.mul(v, p.w), [1]), {
    parameters: { w: { shape: [1], values: [2] } },
    inputs: { x: [null, 1] },
    data: datasetFromArrays({ inputs: { x: { data: Float64Array.from(x), shape: [4, 1] } } }),
    samples: 3,
  });
  expect((await lossAndGradient(f, { dtype: 'float64' })).loss).toBe(4);
});
