/** Data that do not fit the budget: read ahead, in bounded memory, with the bits of data in memory; and read twice the same. */
import { afterAll, describe, expect, test } from 'vitest';
import { InputError, InterruptedError } from '../../src/base/errors.js';
import {
  type Batch,
  type Dataset,
  dataFingerprint,
  datasetFromArrays,
  datasetFromIterable,
  type NdArray,
} from '../../src/data/index.js';
import { openDevice } from '../../src/device/open.js';
import { Execution } from '../../src/model/execution.js';
import { crossEntropy } from '../../src/model/loss.js';
import { meanLoss } from '../../src/model/mean-loss.js';
import { Objective } from '../../src/model/objective.js';
import { curvature } from '../../src/operators/create.js';
import type { CurvatureOperator } from '../../src/operators/curvature.js';
import { gradientCovariance } from '../../src/operators/derivatives.js';
import { GradientEvaluator } from '../../src/operators/gradient.js';
import { normals } from '../reference/matrices.js';
import { tanhNetwork } from '../reference/models.js';

const device = openDevice({ threads: 1 });
afterAll(() => device.dispose());
const [samples, width, batchSize] = [1000, 512, 20];
const x = Float32Array.from(normals(samples * width, 3));
const y = Int32Array.from({ length: samples }, (_, i) => (i * 7) % 3);
const whole = datasetFromArrays({
  inputs: { x: { data: x, shape: [samples, width] } },
  target: { data: y, shape: [samples] },
});
const model = tanhNetwork([width, 4, 3]);
/** one batch on the device, bytes, but for its weights */
const each = batchSize * width * 4;
const f = (data: Dataset) => meanLoss(model, crossEntropy(), data, { batchSize });
const small = { device, memory: 30 * each };

/** yields copies, seven samples at a time, and notes how far it has come */
let yielded = 0;
function* chunks(): Generator<Record<string, { data: Float32Array | Int32Array; shape: number[] }>> {
  for (yielded = 0; yielded < samples; yielded += 7) {
    const n = Math.min(7, samples - yielded);
    yield {
      x: { data: x.slice(yielded * width, (yielded + n) * width), shape: [n, width] },
      target: { data: y.slice(yielded, yielded + n), shape: [n] },
    };
  }
}
/** the data, with something done at each batch */
const watched = (at: (start: number, count: number) => void | Promise<void>, data: Dataset = whole): Dataset => ({
  samples: data.samples,
  inputs: data.inputs,
  ...(data.target && { target: data.target }),
  batch: async (start, count) => {
    await at(start, count);
    return data.batch(start, count);
  },
  dispose: () => data.dispose(),
  [Symbol.asyncDispose]: () => data.dispose(),
});

test('products of streamed data have the bits of data in memory, in bounded memory', async () => {
  const v = Float32Array.from(normals(new Objective(f(whole)).dimension, 5));
  const resident = await curvature('hessian', f(whole), { device });
  const wanted = await resident.applyVector(v);
  resident.dispose();
  await device.finish();
  const before = device.allocatedBytes;

  const stream = await datasetFromIterable(chunks);
  let most = 0;
  let underWay = 0;
  const data = watched(async () => {
    underWay++;
    expect(underWay).toBe(1);
    most = Math.max(most, device.allocatedBytes - before);
    await new Promise(setImmediate);
    underWay--;
  }, stream);
  await using H = await curvature('hessian', f(data), small);
  const { plan } = H;
  // of the data's fifty batches
  expect(plan.data).toBeLessThan(12 * 1.01 * each);
  const planned = plan.parameters + plan.data + plan.scratch + plan.kept * plan.residuals;
  expect(planned).toBeLessThanOrEqual(small.memory);
  for (let i = 0; i < 2; i++) expect(await H.applyVector(v)).toEqual(wanted);
  // and input and output of the product
  expect(most).toBeLessThanOrEqual(planned + 2 * 4 * v.length + 4096);
  expect(most).toBeGreaterThan(each);
});

describe('read-ahead', () => {
  const open = async (data: Dataset, dataBudget: number): Promise<Execution> =>
    Execution.create(new Objective(f(data)), { device, dtype: 'float32', dataBudget });

  test('one batch, in order, while the device has the one before it', async () => {
    const log: string[] = [];
    const data = watched((start) => void log.push(`read ${start / batchSize}`));
    const execution = await open(data, 0);
    log.length = 0;
    for (let b = 0; b < 4; b++) {
      await execution.withData(b, async () => {
        log.push(`use ${b}`);
        await new Promise(setImmediate);
      });
    }
    expect(log).toEqual(['read 0', 'read 1', 'use 0', 'read 2', 'use 1', 'read 3', 'use 2', 'read 4', 'use 3']);
    // in any other order nothing is read in vain
    log.length = 0;
    for (const b of [9, 7, 30]) await execution.withData(b, () => undefined);
    expect(log).toEqual(['read 9', 'read 7', 'read 30']);
    execution.dispose();
  });

  test('an error is told by the batch that it belongs to, and the next pass starts clean', async () => {
    let failing = false;
    const data = watched((start) => {
      if (failing && start === 2 * batchSize) throw new InputError('the file is gone');
    });
    const execution = await open(data, 0);
    failing = true;
    await execution.withData(0, () => undefined);
    await execution.withData(1, () => new Promise(setImmediate));
    await expect(execution.withData(2, () => undefined)).rejects.toThrow('the file is gone');
    failing = false;
    const gradients = new GradientEvaluator(execution);
    const { gradient, loss } = await gradients.evaluate();
    expect(loss).toBe(await gradients.loss());
    gradient.dispose();
    execution.dispose();
  });

  test('an abandoned pass leaves nothing behind', async () => {
    const before = device.allocatedBytes;
    const controller = new AbortController();
    const data = watched((start) => {
      if (passes && start === 5 * batchSize) controller.abort();
    });
    let passes = false;
    const execution = await open(data, 0);
    passes = true;
    const pass = new GradientEvaluator(execution).loss(controller.signal);
    await expect(pass).rejects.toMatchObject({ code: 'ABORTED' });
    passes = false;
    expect(Number.isFinite(await new GradientEvaluator(execution).loss())).toBe(true);
    execution.dispose();
    await device.finish();
    expect(device.allocatedBytes).toBe(before);
  });
});

describe('data that differ between two readings', () => {
  /** the numbers of one sample's input change after so many batches */
  const moving = (sample: number, change: (values: Float32Array) => void, after: number): Dataset => {
    let reads = 0;
    return {
      ...watched(() => undefined),
      async batch(start, count): Promise<Batch> {
        const { inputs, target } = await whole.batch(start, count);
        if (++reads <= after || sample < start || sample >= start + count) return { inputs, ...(target && { target }) };
        const values = ((inputs.get('x') as NdArray).data as Float32Array).slice();
        change(values.subarray((sample - start) * width, (sample - start + 1) * width));
        return {
          inputs: new Map([['x', { dtype: 'float32', shape: [count, width], data: values }]]),
          ...(target && { target }),
        };
      },
    };
  };
  const batches = samples / batchSize;
  test.each([
    ['one bit', (v) => v.set([(v[100] as number) * (1 + 2 ** -23)], 100)],
    ['two signs', (v) => v.set([-(v[3] as number), v[4], v[5], v[6], -(v[7] as number)] as number[], 3)],
    ['every sign', (v) => v.set(v.map((value) => -value))],
    ['an exchange', (v) => v.set([v[4], v[1], v[2], v[3], v[0]] as number[])],
    ['a reversal', (v) => v.set(v.slice().reverse())],
  ] as [string, (v: Float32Array) => void][])('%s', async (_, change) => {
    for (const sample of [0, 537, samples - 1]) {
      await expect(
        (async () => {
          await using H = await curvature('hessian', f(moving(sample, change, batches)), small);
          await H.applyVector(new Float32Array(H.columns));
        })(),
      ).rejects.toMatchObject({ code: 'INPUT', message: expect.stringContaining(`first at sample ${sample};`) });
    }
  });
  test('are read no more than twice where they fit', async () => {
    let reads = 0;
    const data = watched((_, count) => {
      if (count === batchSize) reads++;
    });
    await using H: CurvatureOperator = await curvature('hessian', f(data), { device });
    const v = new Float32Array(H.columns).fill(1);
    for (let i = 0; i < 3; i++) await H.applyVector(v);
    // and the first batch once more, to see whether its samples influence one another
    expect(reads).toBe(2 * batches + 1);
  });
});

test('a signal stops the first pass over the data', async () => {
  const stop = new AbortController();
  let reads = 0;
  const watched: Dataset = {
    ...whole,
    samples,
    inputs: whole.inputs,
    target: whole.target!,
    batch: (start, count) => {
      if (++reads === 3) stop.abort();
      return whole.batch(start, count);
    },
    dispose: () => whole.dispose(),
    [Symbol.asyncDispose]: () => whole.dispose(),
  };
  const { signal } = stop;
  await expect(curvature('hessian', f(watched), { ...small, signal })).rejects.toThrow(InterruptedError);
  expect(reads).toBeLessThanOrEqual(4); // one is read ahead
  await expect(gradientCovariance(f(watched), { ...small, signal })).rejects.toThrow(InterruptedError);
  await expect(dataFingerprint(whole, { signal })).rejects.toThrow(InterruptedError);
});
