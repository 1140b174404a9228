// A network written in TypeScript, trained by stochastic gradient descent, and the curvature where it ends.
import {
  crossEntropy,
  datasetFromArrays,
  eigs,
  hessian,
  layers,
  meanLoss,
  nn,
  shuffled,
  TrainingStep,
  trace,
} from 'hessia';

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

{
  await using trainer = await TrainingStep.create(meanLoss(model, crossEntropy(), data, { batchSize: 16 }));
  const batches = samples / trainer.batchSize;
  for (let epoch = 0; epoch <= 60; epoch++) {
    const order = shuffled(samples, 0, epoch);
    let mean = 0;
    for (let b = 0; b < batches; b++) {
      const { loss, gradient } = await trainer.step(order.subarray(b * trainer.batchSize, (b + 1) * trainer.batchSize));
      trainer.parameters.addScaled(-0.2, gradient);
      mean += loss / batches;
    }
    if (epoch % 20 === 0) console.log(`epoch ${epoch}: mean loss of its steps ${mean.toFixed(4)}`);
  }
  model = model.withValues(await trainer.values());
}
await using H = await hessian(meanLoss(model, crossEntropy(), data), { dtype: 'float64' });
const { eigenvalues } = await eigs(H, { k: 2, which: 'largest' });
console.log(`largest eigenvalues of the Hessian: ${eigenvalues.map((e) => e.value.toFixed(4))}`);
