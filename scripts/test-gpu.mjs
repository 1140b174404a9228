// npm run test:gpu: the kernel tests and whole models on a GPU, with plain Node from dist/. Needs no network and nothing but
// what `npm run build -- -DHESSIA_CUDA=ON` made. `--emulated` runs the same on the processor.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './setup.mjs';

const emulated = process.argv.includes('--emulated');
const library = join(root, 'build/Release', emulated ? 'hessia-cuda-emulated.so' : 'hessia-cuda.so');
for (const file of [library, join(root, 'build/hessia_tests'), join(root, 'dist/esm/index.js')]) {
  if (existsSync(file)) continue;
  console.error(`test-gpu: ${file} is missing; run npm run build:native -- -DHESSIA_CUDA=ON and npm run build`);
  process.exit(1);
}
process.env.HESSIA_CUDA = library;
let passed = 0;
let failed = 0;
const count = (name, ok) => {
  ok ? passed++ : failed++;
  console.log(`${ok ? 'ok    ' : 'FAILED'} ${name}`);
};

const kernels = spawnSync(join(root, 'build/hessia_tests'), ['--cuda'], { encoding: 'utf8', maxBuffer: 2 ** 26 });
process.stdout.write(kernels.stdout.replace(/^(\d+ passed, \d+ failed)$/gm, 'kernel tests: $1'));
process.stderr.write(kernels.stderr);
count('kernel tests', kernels.status === 0);

// Dense matrices of small models, built from products, beside those of PyTorch's float64 autograd.
const { curvature, datasetFromArrays, dense, loadModel, lossByName, meanLoss, openDevice, readNpz, spectrum } =
  await import(join(root, 'dist/esm/index.js'));
const device = openDevice({ device: 'cuda' });
const cpu = openDevice({ device: 'cpu' });
console.log(device.name);
for (const [name, loss, tolerance] of [
  ['tiny-mlp', 'cross-entropy', 1e-12],
  ['tiny-cnn', 'cross-entropy', 1e-9],
  ['tiny-residual', 'cross-entropy', 1e-9],
  ['tiny-attention', 'cross-entropy', 1e-6],
]) {
  const arrays = await readNpz(join(root, `test/golden/${name}.npz`));
  const input = arrays.has('x') ? 'x' : 'tokens';
  const data = datasetFromArrays({ inputs: { [input]: arrays.get(input) }, target: arrays.get('target') });
  const f = meanLoss(await loadModel(join(root, `test/fixtures/${name}.onnx`)), lossByName(loss), data);
  for (const operator of ['hessian', 'gauss-newton', 'empirical-fisher']) {
    const A = await curvature(operator, f, { dtype: 'float64', device });
    const error = distance((await dense(A)).to1DArray(), arrays.get(`matrix/${operator}`).data);
    A.dispose();
    count(`${name} ${operator}: relative error ${error.toExponential(1)}, limit ${tolerance}`, error <= tolerance);
  }
  const found = [];
  for (const on of [device, cpu]) {
    const H = await curvature('hessian', f, { dtype: 'float32', device: on });
    found.push((await spectrum(H, { steps: 20, probes: 2 })).largest[0].value);
    H.dispose();
  }
  const error = Math.abs(found[0] - found[1]) / Math.abs(found[1]);
  count(`${name} largest eigenvalue in float32, beside the CPU: ${error.toExponential(1)}`, error <= 1e-4);
}
device.dispose();
cpu.dispose();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);

function distance(a, b) {
  let difference = a.length === b.length ? 0 : Number.NaN;
  let scale = 0;
  for (let i = 0; i < b.length; i++) {
    difference += (a[i] - b[i]) ** 2;
    scale += b[i] ** 2;
  }
  return Math.sqrt(difference / scale);
}
