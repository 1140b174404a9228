/** Training against a loop written by hand, resumption bit for bit, and what goes wrong. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { ComputationError, InputError, InterruptedError } from '../../src/base/errors.js';
import { philoxNormal } from '../../src/base/philox.js';
import { datasetFromArrays } from '../../src/data/index.js';
import { shuffled } from '../../src/data/shuffle.js';
import { crossEntropy, meanSquaredError } from '../../src/model/loss.js';
import { type MeanLoss, meanLoss } from '../../src/model/mean-loss.js';
import { adam, cosine, sgd } from '../../src/optimizers/index.js';
import { layerTaps } from '../../src/taps/index.js';
import { nn, trace } from '../../src/trace/index.js';
import {
  type AlgorithmFactory,
  onDevice,
  onHost,
  type TrainOptions,
  train,
  withFreshParameters,
} from '../../src/training/index.js';

const folder = mkdtempSync(join(tmpdir(), 'hessia-training-'));
afterAll(() => rmSync(folder, { recursive: true }));

const [samples, features, classes] = [37, 5, 3];
const x = philoxNormal(1, 0, 0, samples * features);
const y = philoxNormal(1, 1, 0, samples);

/** ½-free mean square of x·w + b − y */
function regression(batchSize: number): MeanLoss {
  const model = trace((p, { x: input }) => nn.add(nn.matmul(input, p.w), p.b), {
    parameters: { w: { shape: [features, 1], values: [1, 2, 3, 4, 5] }, b: { shape: [1], values: [0.5] } },
    inputs: { x: [null, features] },
  });
  const data = datasetFromArrays({
    inputs: { x: { dtype: 'float64', shape: [samples, features], data: x } },
    target: { dtype: 'float64', shape: [samples, 1], data: y },
  });
  return meanLoss(model, meanSquaredError(), data, { batchSize });
}
function classification(batchSize = 8): MeanLoss {
  const model = trace((p, { x: input }) => nn.add(nn.matmul(nn.tanh(nn.matmul(input, p.a)), p.w), p.b), {
    parameters: { a: { shape: [features, 6] }, w: { shape: [6, classes] }, b: { shape: [classes] } },
    inputs: { x: [null, features] },
  });
  const data = datasetFromArrays({
    inputs: { x: { dtype: 'float64', shape: [samples, features], data: x } },
    target: { dtype: 'int32', shape: [samples], data: Int32Array.from(y, (v) => (v < -0.4 ? 0 : v < 0.4 ? 1 : 2)) },
  });
  return meanLoss(model, crossEntropy(), data, { batchSize });
}

const base = { epochs: 3, seed: 7, dtype: 'float64', learningRate: () => 1 } as const;
const options = (name: string, algorithm: AlgorithmFactory, more: Partial<TrainOptions> = {}): TrainOptions => ({
  ...base,
  algorithm,
  describe: name,
  ...more,
});
const algorithms: [string, () => AlgorithmFactory][] = [
  ['sgd', () => onHost(sgd({ learningRate: 0.05, momentum: 0.9, nesterov: true }))],
  ['adam', () => onHost(adam({ learningRate: 0.02 }))],
  ['mfac', () => onDevice({ learningRate: 0.05, capacity: 4, damping: 0.1, momentum: 0.5 })],
];

describe('train', () => {
  test('is gradient descent with momentum over the shuffled minibatches, the short one too', async () => {
    const [rate, momentum, size] = [0.02, 0.8, 10];
    const theta = [1, 2, 3, 4, 5, 0.5];
    const velocity = theta.map(() => 0);
    const losses: number[] = [];
    for (let epoch = 1; epoch <= 3; epoch++) {
      const order = shuffled(samples, 7, epoch);
      let sum = 0;
      for (let from = 0; from < samples; from += size) {
        const batch = order.slice(from, from + size);
        const gradient = theta.map(() => 0);
        for (const n of batch) {
          const row = [...x.subarray(n * features, (n + 1) * features), 1];
          const error = row.reduce((s, v, i) => s + v * (theta[i] as number), 0) - (y[n] as number);
          sum += error * error;
          row.forEach((v, i) => {
            gradient[i] = (gradient[i] as number) + (2 * error * v) / batch.length;
          });
        }
        gradient.forEach((g, i) => {
          velocity[i] = momentum * (velocity[i] as number) + g;
          theta[i] = (theta[i] as number) - rate * (velocity[i] as number);
        });
      }
      losses.push(sum / samples);
    }
    const { epochs, values, steps } = await train(
      regression(size),
      options('sgd', onHost(sgd({ learningRate: rate, momentum }))),
    );
    const found = [...(values.w ?? []), ...(values.b ?? [])];
    for (const [i, t] of theta.entries()) expect(Math.abs((found[i] as number) - t)).toBeLessThanOrEqual(1e-12);
    for (const [i, l] of losses.entries())
      expect(Math.abs((epochs[i]?.trainLoss as number) - l)).toBeLessThanOrEqual(1e-12 * (1 + l));
    expect(steps).toBe(12);
  });

  test.each(algorithms)('%s resumes in the same bits', async (name, algorithm) => {
    const path = join(folder, `${name}.npz`);
    const f = classification();
    const more: Partial<TrainOptions> = { dtype: 'float32', test: f };
    const whole = await train(f, options(name, algorithm(), { ...more, epochs: 5 }));
    await train(f, options(name, algorithm(), { ...more, epochs: 2, checkpoint: path }));
    // stopped in the middle of the fourth epoch
    const stop = new AbortController();
    const onProgress: TrainOptions['onProgress'] = ({ step }) => {
      if (step === 17) stop.abort();
    };
    await expect(
      train(f, options(name, algorithm(), { ...more, epochs: 5, checkpoint: path, signal: stop.signal, onProgress })),
    ).rejects.toThrow(InterruptedError);
    const rest = await train(f, options(name, algorithm(), { ...more, epochs: 5, checkpoint: path }));
    expect(rest.resumed).toBe(3);
    expect(rest.values).toEqual(whole.values);
    const metrics = (epochs: typeof rest.epochs) => epochs.map(({ seconds: _, ...e }) => e);
    expect(metrics(rest.epochs)).toEqual(metrics(whole.epochs));
    // another seed is another run
    const other = await train(f, options(name, algorithm(), { ...more, epochs: 5, seed: 8 }));
    expect(other.values).not.toEqual(whole.values);
  });

  test('learns what can be learned, and reports its best epoch', async () => {
    const f = classification();
    const { epochs, best } = await train(
      f,
      options('adam', onHost(adam({ learningRate: 0.05, schedule: cosine(150) })), { epochs: 30, test: f }),
    );
    expect(epochs.at(-1)?.trainLoss).toBeLessThan(0.8 * (epochs[0]?.trainLoss as number));
    expect(best.testLoss).toBe(Math.min(...epochs.map((e) => e.testLoss as number)));
    expect(best.testAccuracy).toBeGreaterThan(0.5);
  });

  test('refuses the checkpoint of another run, naming what differs, and files that are none', async () => {
    const path = join(folder, 'other.npz');
    const f = classification();
    const [, make] = algorithms[0] as (typeof algorithms)[0];
    await train(f, options('sgd', make(), { epochs: 2, checkpoint: path }));
    const again = (more: Partial<TrainOptions>) => train(f, options('sgd', make(), { checkpoint: path, ...more }));
    await expect(again({ seed: 1 })).rejects.toThrow(/its seed is 7, not 1/);
    await expect(again({ describe: 'adam' })).rejects.toThrow(/its algorithm is sgd, not adam/);
    await expect(again({ dtype: 'float32' })).rejects.toThrow(/its dtype/);
    await expect(again({ epochs: 1 })).rejects.toThrow(/2 epochs behind it/);
    await expect(train(classification(9), options('sgd', make(), { checkpoint: path }))).rejects.toThrow(/batch size/);
    writeFileSync(join(folder, 'text.npz'), 'text');
    await expect(again({ checkpoint: join(folder, 'text.npz') })).rejects.toThrow(InputError);
    await expect(again({ epochs: 0 })).rejects.toThrow(InputError);
  });

  test('a loss that overflows names the step, what is saved and what to try', async () => {
    const path = join(folder, 'overflow.npz');
    const f = regression(10);
    const wild = (rate: (done: number) => number) => onHost(sgd({ learningRate: 1, schedule: rate }));
    const run = (checkpoint?: string) =>
      train(
        f,
        options(
          'wild',
          wild((done) => (done < 5 ? 1e-3 : 1e200)),
          checkpoint === undefined ? {} : { checkpoint },
        ),
      );
    await expect(run()).rejects.toThrow(ComputationError);
    await expect(run()).rejects.toThrow(/^step \d+ \(epoch 2\).*nothing was saved.*smaller learning rate/);
    await expect(run(path)).rejects.toThrow(/overflow.npz holds the state after epoch 1/);
  });
});

describe('a fresh start', () => {
  test('draws every kind of parameter as its layer does, and trains from there', async () => {
    const { loadOnnx } = await import('../../src/onnx/index.js');
    const { openDataset } = await import('../../src/data/index.js');
    const gpt = meanLoss(
      await loadOnnx('examples/gpt.onnx'),
      crossEntropy(),
      await openDataset('examples/gpt-test.npz'),
    );
    const { f, kept } = withFreshParameters(gpt, 3);
    expect(kept).toEqual([]);
    const taps = layerTaps(gpt);
    expect(new Set(taps.map((t) => t.kind)).size).toBeGreaterThanOrEqual(4);
    for (const { name, values } of f.model.parameters) {
      const tap = taps.find((t) => t.parameter === name);
      const drawn = Float64Array.from(values());
      const mean = drawn.reduce((a, b) => a + b, 0) / drawn.length;
      const variance = drawn.reduce((a, b) => a + (b - mean) ** 2, 0) / drawn.length;
      const most = drawn.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
      const fan = tap?.kind === 'shift' ? taps.find((t) => t.parameter === tap.weight)?.in : tap?.in;
      // the relative error of a variance of n numbers is about √(2/n)
      const near = (expected: number) =>
        expect(Math.abs(variance / expected - 1)).toBeLessThanOrEqual(6 * Math.sqrt(2 / drawn.length));
      if (tap?.kind === 'scale') expect([...new Set(drawn)]).toEqual([1]);
      else if (tap?.kind === 'embedding') near(1);
      else if (fan === undefined) expect([...new Set(drawn)]).toEqual([0]);
      else {
        near(1 / (3 * fan));
        expect(most).toBeLessThanOrEqual(1 / Math.sqrt(fan));
      }
    }
    expect(withFreshParameters(gpt, 3).f.model.fingerprint).toBe(f.model.fingerprint);
    expect(withFreshParameters(gpt, 4).f.model.fingerprint).not.toBe(f.model.fingerprint);
  });
});
