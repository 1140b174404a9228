/**
 * The CUDA plug-in, emulated: how it is found and what it says when something is missing, and small models from end to
 * end beside the CPU. That its numbers are right is shown here by the CPU, whose numbers PyTorch's confirm
 * (test/operators/golden.test.ts); kernel by kernel by native/test.
 */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import binding from '#binding';
import { OutOfMemoryError } from '../../src/base/errors.js';
import type { NdArray } from '../../src/data/index.js';
import { datasetFromArrays, readNpz } from '../../src/data/index.js';
import type { Device } from '../../src/device/device.js';
import { openDevice } from '../../src/device/open.js';
import { lossByName } from '../../src/model/loss.js';
import type { MeanLoss } from '../../src/model/mean-loss.js';
import { meanLoss } from '../../src/model/mean-loss.js';
import { loadOnnx } from '../../src/onnx/index.js';
import { hessian, lossAndGradient } from '../../src/operators/create.js';
import { spectrum } from '../../src/solvers/spectrum.js';
import { emulatedDevice } from '../reference/emulated.js';

const addon = fileURLToPath(new URL('../../build/Release/hessia.node', import.meta.url));

test('says which step of loading failed', () => {
  expect(binding.cudaInfo('/nowhere/hessia-cuda.so')).toEqual({
    available: false,
    reason: '/nowhere/hessia-cuda.so does not exist',
  });
  expect(binding.cudaInfo('package.json')).toMatchObject({ available: false, reason: /package.json does not load/ });
  expect(binding.cudaInfo(addon)).toMatchObject({ available: false, reason: /is not a plug-in/ });
  expect(() => binding.createCudaDevice('/nowhere/hessia-cuda.so')).toThrow(
    expect.objectContaining({ code: 'ENVIRONMENT' }),
  );
  expect(binding.cudaInfo('emulated')).toMatchObject({ available: true, name: 'emulated GPU' });
});

test('out of memory says what was asked for and what is free, and the device goes on', async () => {
  await using device = emulatedDevice();
  expect(() => device.block('float32', 2 ** 40, 1)).toThrow(OutOfMemoryError);
  expect(() => device.block('float32', 2 ** 40, 1)).toThrow(/4398046 MB asked for.* free of 8589 MB.*--batch-size/);
  using v = device.block('float64', 5, 2);
  v.fillRandom('normal', 3, 0);
  const gram = await v.gram(v);
  expect(gram[0]).toBeGreaterThan(0);
});

const models = ['tiny-cnn', 'tiny-residual', 'tiny-attention'];

describe.each(models)('%s', (name) => {
  let f: MeanLoss;
  let cpu: Device, cuda: Device;
  beforeAll(async () => {
    const arrays = await readNpz(`test/golden/${name}.npz`);
    const input = arrays.has('x') ? 'x' : 'tokens';
    const data = datasetFromArrays({
      inputs: { [input]: arrays.get(input) as NdArray },
      target: arrays.get('target') as NdArray,
    });
    f = meanLoss(await loadOnnx(`test/fixtures/${name}.onnx`), lossByName('cross-entropy'), data);
    cpu = openDevice({ device: 'cpu' });
    cuda = emulatedDevice();
  });
  afterAll(() => {
    cpu?.dispose();
    cuda?.dispose();
  });

  test('gradient and Hessian products in blocks as on the CPU', async () => {
    // Both sum the same terms in different orders: a few hundred roundings.
    for (const [dtype, eps] of [
      ['float64', 2 ** -53],
      ['float32', 2 ** -24],
    ] as const) {
      const results: Float64Array[][] = [];
      for (const device of [cpu, cuda]) {
        const { gradient } = await lossAndGradient(f, { dtype, device });
        await using H = await hessian(f, { dtype, device });
        using v = device.block(dtype, H.columns, 3);
        v.fillRandom('normal', 7, 0);
        using product = await H.apply(v);
        results.push([Float64Array.from(gradient), await product.readFloat64()]);
      }
      const [want, got] = results as [Float64Array[], Float64Array[]];
      for (const part of [0, 1]) expect(distance(got[part]!, want[part]!)).toBeLessThanOrEqual(1000 * eps);
    }
  });

  test('spectrum as on the CPU', async () => {
    const found = [];
    for (const device of [cpu, cuda]) {
      await using H = await hessian(f, { dtype: 'float64', device });
      found.push(await spectrum(H, { steps: 12, probes: 2 }));
    }
    const [want, got] = found as [Awaited<ReturnType<typeof spectrum>>, Awaited<ReturnType<typeof spectrum>>];
    expect(got.largest[0]!.value).toBeCloseTo(want.largest[0]!.value, 8);
    expect(got.trace.estimate).toBeCloseTo(want.trace.estimate, 8);
  });
});

/** ‖a − b‖ / ‖b‖ */
function distance(a: Float64Array, b: Float64Array): number {
  expect(a.length).toBe(b.length);
  let difference = 0,
    scale = 0;
  for (let i = 0; i < b.length; i++) {
    difference += (a[i]! - b[i]!) ** 2;
    scale += b[i]! ** 2;
  }
  return Math.sqrt(difference / scale);
}
