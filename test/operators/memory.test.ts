/** The memory plan holds: what it says fits the budget, and the device never holds more. And nothing stays behind. */
import { afterAll, describe, expect, test, vi } from 'vitest';
import { InputError, OutOfMemoryError } from '../../src/base/errors.js';
import { philoxNormal } from '../../src/base/philox.js';
import type { Dataset } from '../../src/data/index.js';
import { datasetFromArrays } from '../../src/data/index.js';
import type { Device } from '../../src/device/device.js';
import { openDevice } from '../../src/device/open.js';
import { crossEntropy } from '../../src/model/loss.js';
import type { MeanLoss } from '../../src/model/mean-loss.js';
import { meanLoss } from '../../src/model/mean-loss.js';
import type { CurvatureOptions } from '../../src/operators/create.js';
import { fisher, gaussNewton, hessian, lossAndGradient } from '../../src/operators/create.js';
import { tanhNetwork } from '../reference/models.js';

const [samples, inputs, classes] = [480, 300, 5];
const data: Dataset = datasetFromArrays({
  inputs: { x: { data: philoxNormal(1, 0, 0, samples * inputs), shape: [samples, inputs] } },
  target: { data: Int32Array.from({ length: samples }, (_, i) => (i * i) % classes), shape: [samples] },
});
const network = (batchSize: number): MeanLoss =>
  meanLoss(tanhNetwork([inputs, 40, 30, classes]), crossEntropy(), data, { batchSize });
const device = openDevice({ device: 'cpu', threads: 2 });
afterAll(() => device.dispose());

/** The most bytes that are held after any allocation from now on. */
function watch(on: Device): { most: number; stop(): void } {
  const allocate = on.allocate.bind(on);
  const spy = vi.spyOn(on, 'allocate').mockImplementation((bytes) => {
    const buffer = allocate(bytes);
    record.most = Math.max(record.most, on.allocatedBytes);
    return buffer;
  });
  const record = { most: 0, stop: () => spy.mockRestore() };
  return record;
}

describe.each([
  ['hessian', hessian],
  ['gauss-newton', gaussNewton],
])('%s', (_, make) => {
  test('every budget is either held or refused', async () => {
    const f = network(16);
    const options: CurvatureOptions = { dtype: 'float64', device };
    await using free = await make(f, options);
    const { plan } = free;
    expect(plan.kept).toBe(plan.batches);
    const everything = plan.parameters + plan.data + plan.batches * plan.residuals + plan.scratch;
    const v = philoxNormal(0, 1, 0, free.columns * 3);
    const expected = await (await free.apply(v)).readFloat64();
    await device.finish();
    let [held, refused, partial] = [0, 0, 0];
    for (let share = 1.3; share > 0.02; share *= 0.8) {
      const memory = Math.round(share * everything);
      const before = device.allocatedBytes;
      const seen = watch(device);
      try {
        await using A = await make(f, { ...options, memory });
        const { parameters, data: batches, residuals, kept, scratch } = A.plan;
        const planned = parameters + batches + kept * residuals + scratch;
        expect(planned).toBeLessThanOrEqual(memory);
        const vectors = device.block('float64', A.columns, 6);
        await A.apply(vectors.rows(0, 3), vectors.rows(3, 6));
        const product = await (await A.apply(v)).readFloat64();
        // programs' constants and alignment are a few kilobytes, and the two blocks just made
        const own = 12 * A.columns * 8 + 16384;
        expect(seen.most - before - own, `with ${memory} bytes, kept ${kept}`).toBeLessThanOrEqual(planned);
        expect(Math.max(...product.map((x, i) => Math.abs(x - (expected[i] as number))))).toBeLessThan(1e-13);
        held++;
        if (kept > 0 && kept < A.plan.batches) partial++;
      } catch (error) {
        if (!(error instanceof OutOfMemoryError)) throw error;
        expect(error.message).toContain('--memory');
        refused++;
      } finally {
        seen.stop();
      }
    }
    expect(Math.min(held, refused, partial)).toBeGreaterThan(0);
  });
});

test('a wanted block is cut to the budget, and must be a number of products', async () => {
  await using A = await hessian(network(64), { device, block: 3 });
  expect(A.plan.block).toBe(3);
  const { parameters, data: batches, scratch, residuals } = A.plan;
  await using B = await hessian(network(64), {
    device,
    block: 1000,
    memory: 4 * (parameters + batches + scratch + residuals),
  });
  expect(B.plan.block).toBeGreaterThan(3);
  expect(B.plan.block).toBeLessThan(1000);
  for (const block of [0, -1, 2.5, Number.NaN])
    await expect(hessian(network(64), { device, block })).rejects.toThrow(InputError);
});

test('nothing stays on the device, and no thread, when operators come and go', async () => {
  const own = openDevice({ threads: 1 });
  const v = new Float32Array(network(64).model.parameters.reduce((n, p) => n + p.values().length, 0)).fill(1);
  for (const memory of [2 ** 30, 2 ** 20]) {
    const A = await hessian(network(32), { device: own, memory });
    // the second product meets batches that the first is still reading
    const products = [A.applyVector(v), new Promise(setImmediate).then(() => A.applyVector(v))];
    await Promise.all(products);
    const late = A.applyVector(v).then(
      () => null,
      (error: unknown) => error,
    );
    A.dispose();
    A.dispose();
    expect((await late) ?? new InputError('done before it was disposed')).toBeInstanceOf(InputError);
    await expect(A.applyVector(v)).rejects.toThrow(InputError);
  }
  await own.finish();
  expect(own.allocatedBytes).toBe(0);
  own.dispose();
});

test('operators that name the same threads share a device, which is not opened again', async () => {
  await using A = await hessian(network(64), { threads: 1 });
  await using B = await gaussNewton(network(64), { device: 'cpu', threads: 1 });
  await using C = await hessian(network(64), { threads: 2 });
  expect(A.device).toBe(B.device);
  expect(A.device).not.toBe(C.device);
});

test('data that break off while they are read leave nothing behind', async () => {
  const own = openDevice({ threads: 1 });
  let reads = 0;
  const broken: Dataset = {
    ...data,
    samples: data.samples,
    inputs: data.inputs,
    ...(data.target && { target: data.target }),
    batch: (start, count) => {
      if (++reads > 12) throw new InputError('the file is gone');
      return data.batch(start, count);
    },
  };
  const f = { ...network(64), data: broken };
  await expect(lossAndGradient(f, { device: own })).rejects.toThrow('the file is gone');
  await own.finish();
  expect(own.allocatedBytes).toBe(0);
  own.dispose();
});

test('fingerprints tell apart what differs, and nothing else', async () => {
  const print = async (f: MeanLoss, options: CurvatureOptions, make = fisher): Promise<string> => {
    await using A = await make(f, { device, ...options });
    return A.fingerprint;
  };
  const f = network(64);
  const base = await print(f, { seed: 1 });
  expect(await print(network(7), { seed: 1, memory: 2 ** 29, block: 2 })).toBe(base);
  const others = [
    await print(f, { seed: 2 }),
    await print(f, { seed: 1, fisherSamples: 2 }),
    await print(f, { seed: 1, dtype: 'float64' }),
    await print({ ...f, samples: 100 }, { seed: 1 }),
    await print(f, {}, hessian),
    await print(f, {}, gaussNewton),
  ];
  expect(new Set([base, ...others]).size).toBe(others.length + 1);
  // the Hessian draws no labels, so that the seed is nothing to it
  expect(await print(f, { seed: 5 }, hessian)).toBe(others.at(-2));
});
