// A loss of one's own: differentiated exactly because it is written in primitives.
import { customLoss, datasetFromArrays, eigs, hessian, layers, lossAndGradient, meanLoss, nn, trace } from 'hessia';

const net = layers.sequential(layers.linear(1, 8), nn.tanh, layers.linear(8, 1));
const model = trace((p, { x }) => net.apply(p, x), { parameters: net.parameters, inputs: { x: [null, 1] } });
const x = Float64Array.from({ length: 50 }, (_, i) => i / 25 - 1);
const data = datasetFromArrays({
  inputs: { x: { data: x, shape: [50, 1] } },
  target: { data: x.map((v) => Math.sin(3 * v)), shape: [50, 1] },
});

// Cauchy's loss: outliers pull little
const cauchy = customLoss((y, t) => nn.log1p(nn.square(nn.sub(y, t))), { name: 'cauchy' });
const f = meanLoss(model, cauchy, data, { l2: 1e-3 });
const { loss, norm } = await lossAndGradient(f, { dtype: 'float64' });
await using H = await hessian(f, { dtype: 'float64' });
const { eigenvalues } = await eigs(H, { k: 3, which: 'largest' });
console.log(
  `loss ${loss.toFixed(5)}, gradient ${norm.toFixed(5)}, eigenvalues ${eigenvalues.map((e) => e.value.toFixed(5))}`,
);
