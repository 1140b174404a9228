// A network written in TypeScript, trained by gradient descent, and the curvature where it ends.
import { crossEntropy, datasetFromArrays, eigs, hessian, layers, lossAndGradient, meanLoss, nn, trace } from 'hessia';

const net = layers.sequential(layers.linear(2, 8), nn.tanh, layers.linear(8, 2));
let model = trace((p, { x }) => net.apply(p, x), {
  parameters: net.parameters,
  inputs: { x: [null, 2] },
  seed: 1,
});

// two classes: inside and outside a circle
const samples = 64;
const points = Float64Array.from({ length: 2 * samples }, (_, i) => 2 * Math.sin(1 + 12.9898 * i * i));
const inside = Int32Array.from({ length: samples }, (_, i) =>
  Math.hypot(points[2 * i] ?? 0, points[2 * i + 1] ?? 0) < 1.5 ? 1 : 0,
);
const data = datasetFromArrays({
  inputs: { x: { data: points, shape: [samples, 2] } },
  target: { data: inside, shape: [samples] },
});

for (let step = 0; step <= 60; step++) {
  const { loss, gradient } = await lossAndGradient(meanLoss(model, crossEntropy(), data), { dtype: 'float64' });
  if (step % 20 === 0) console.log(`step ${step}: loss ${loss.toFixed(4)}`);
  const theta = model.vector();
  model = model.withVector(theta.map((t, i) => t - 0.5 * (gradient[i] ?? 0)));
}
await using H = await hessian(meanLoss(model, crossEntropy(), data), { dtype: 'float64' });
const { eigenvalues } = await eigs(H, { k: 2, which: 'largest' });
console.log(`largest eigenvalues of the Hessian: ${eigenvalues.map((e) => e.value.toFixed(4))}`);
