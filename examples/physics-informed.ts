// A physics-informed network for −u″ = π² sin(πx), u(0) = u(1) = 0: second derivatives in x inside the loss,
// second derivatives in the parameters around it.
import { datasetFromArrays, hessian, layers, nn, spectrum, traceFunction } from 'hessia';

const points = 32;
const x = Float64Array.from({ length: points }, (_, i) => (i + 0.5) / points);
const net = layers.sequential(layers.linear(1, 10), nn.tanh, layers.linear(10, 1));
const f = traceFunction(
  (p, { x }) => {
    // x(1 − x) makes the boundary values exact
    const u = nn.mul(nn.mul(x, nn.sub(1, x)), net.apply(p, x));
    const slope = nn.grad(nn.reduceSum(u), x);
    const bend = nn.grad(nn.reduceSum(slope), x);
    const residual = nn.add(bend, nn.mul(Math.PI ** 2, nn.sin(nn.mul(Math.PI, x))));
    return nn.mean(nn.square(residual));
  },
  {
    parameters: net.parameters,
    inputs: { x: [null, 1] },
    data: datasetFromArrays({ inputs: { x: { data: x, shape: [points, 1] } } }),
  },
);
await using H = await hessian(f, { dtype: 'float64' });
const { largest } = await spectrum(H, { steps: 20, probes: 2 });
console.log(`dimension ${H.rows}, largest eigenvalues ${largest.slice(0, 3).map((e) => e.value.toPrecision(5))}`);
