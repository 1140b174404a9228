/** Training in mode 'train': PyTorch's steps (test/modes/make.py) through `train`, test data in evaluation mode, resumption. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type Dataset, datasetFromArrays, readNpz } from '../../src/data/index.js';
import { shuffled } from '../../src/data/shuffle.js';
import { crossEntropy } from '../../src/model/loss.js';
import { type MeanLoss, type MeanLossOptions, meanLoss } from '../../src/model/mean-loss.js';
import { parameterArrays } from '../../src/model/with-parameters.js';
import { loadOnnx, writeOnnx } from '../../src/onnx/index.js';
import { evaluate } from '../../src/operators/evaluation.js';
import { sgd } from '../../src/optimizers/index.js';
import { onHost, type TrainOptions, train, withFreshParameters } from '../../src/training/index.js';
import { hessia, temporaryFolder } from '../cli/cli.js';
import { error } from '../trace/compute.js';

const folder = mkdtempSync(join(tmpdir(), 'hessia-batch-norm-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string): string => `test/modes/${name}.onnx`;
const arrays = await readNpz('test/modes/train.npz');
const values = (name: string): Float64Array => Float64Array.from(arrays.get(name)?.data as Float64Array);
/** ε is stored as float32 */
const tolerance = 1e-9;

const n = 10;
const [x, target] = [values('x'), values('target')];
/** sample `order[i]` of make.py in place i */
function dataset(order: ArrayLike<number>): Dataset {
  const each = x.length / n;
  const rows = Array.from(order);
  return datasetFromArrays({
    inputs: {
      x: {
        dtype: 'float64',
        shape: [n, 1, 4, 4],
        data: Float64Array.from(rows.flatMap((s) => [...x.subarray(s * each, (s + 1) * each)])),
      },
    },
    target: { dtype: 'int32', shape: [n], data: Int32Array.from(rows, (s) => target[s] as number) },
  });
}
const plain = dataset(Array.from({ length: n }, (_, i) => i));
const open = async (mode: 'train' | 'eval', data = plain, more: MeanLossOptions = {}): Promise<MeanLoss> =>
  meanLoss(await loadOnnx(file('kept'), { mode }), crossEntropy(), data, { batchSize: 4, ...more });
const options = (more: Partial<TrainOptions> = {}): TrainOptions => ({
  ...{ epochs: 1, seed: 3, dtype: 'float64', learningRate: () => 0.1, describe: 'sgd' },
  algorithm: onHost(sgd({ learningRate: 0.1, momentum: 0 })),
  ...more,
});

test("PyTorch's three steps: losses, parameters and running statistics", async () => {
  const steps = [5, 0, 9, 3, 1, 8, 2, 4, 7, 6];
  const order = new Int32Array(n);
  shuffled(n, 3, 1).forEach((place, i) => {
    order[place] = steps[i] as number;
  });
  const { epochs, values: found } = await train(await open('train', dataset(order)), options());
  const mean = [4, 4, 2].reduce((sum, size, i) => sum + (size / n) * (values(`step${i}/loss`)[0] as number), 0);
  expect(error([epochs[0]?.trainLoss as number], [mean])).toBeLessThanOrEqual(tolerance);
  const wanted = Object.keys(found).map((name) =>
    values(name.includes('running') ? `step2/${name}` : `trained/${name}`),
  );
  for (const [i, got] of Object.values(found).entries())
    expect(error(got, wanted[i] as Float64Array)).toBeLessThanOrEqual(tolerance);
  expect(Object.keys(found).filter((name) => name.includes('running'))).toHaveLength(4);
});

describe('test data', () => {
  test.each([0, 0.3])('are evaluated with the statistics of the moment, as the written file is (l2 %f)', async (l2) => {
    const f = await open('train', plain, { l2 });
    const { epochs, values: found } = await train(
      f,
      options({ epochs: 2, dtype: 'float32', test: await open('eval', plain, { l2 }) }),
    );
    const path = join(folder, 'written.onnx');
    await writeOnnx(file('kept'), new Map(Object.entries(found)), path);
    const again = await evaluate(meanLoss(await loadOnnx(path), crossEntropy(), plain, { l2 }));
    const last = epochs.at(-1);
    expect(Math.abs((last?.testLoss as number) - again.loss)).toBeLessThanOrEqual(20 * 2 ** -24 * again.loss);
    expect(last?.testAccuracy).toBe(again.accuracy);
    // and not with those that the file came with
    const { '1.running_mean': _, '1.running_var': __, ...rest } = found;
    await writeOnnx(file('kept'), new Map(Object.entries(rest)), path);
    const stale = await evaluate(meanLoss(await loadOnnx(path), crossEntropy(), plain, { l2 }));
    expect(Math.abs(stale.loss - again.loss)).toBeGreaterThan(1e-4);
  });

  test('of a model in mode train, or of one without the statistics, are refused', async () => {
    await expect(train(await open('train'), options({ test: await open('train') }))).rejects.toThrow(
      /evaluated in mode eval/,
    );
    const gone = meanLoss(await loadOnnx(file('gone')), crossEntropy(), plain);
    await expect(train(await open('train'), options({ test: gone }))).rejects.toThrow(
      /gone.onnx, does not read '1.running_mean'/,
    );
  });
});

test('running statistics are in the checkpoint, and it resumes in the same bits', async () => {
  const path = join(folder, 'checkpoint.npz');
  const f = await open('train');
  const more = { dtype: 'float32', test: await open('eval') } as const;
  const whole = await train(f, options({ ...more, epochs: 4 }));
  await train(f, options({ ...more, epochs: 2, checkpoint: path }));
  const rest = await train(f, options({ ...more, epochs: 4, checkpoint: path }));
  expect(rest.resumed).toBe(2);
  expect(rest.values).toEqual(whole.values);
  expect(rest.epochs.map(({ seconds: _, ...e }) => e)).toEqual(whole.epochs.map(({ seconds: _, ...e }) => e));
});

test('a fresh start has fresh statistics, and leaves what is not trained as it is', async () => {
  const f = await open('train');
  const [first] = f.model.parameters;
  const name = first?.name as string;
  const fresh = withFreshParameters(f, 1, { freeze: [name] });
  expect(Object.keys(fresh.statistics)).toHaveLength(4);
  for (const [buffer, value] of Object.entries(fresh.statistics))
    expect([...new Set(value)]).toEqual([buffer.endsWith('mean') ? 0 : 1]);
  const drawn = parameterArrays(fresh.f.model);
  for (const p of f.model.parameters) {
    const same = error(drawn.get(p.name)?.data as Float64Array, Float64Array.from(p.values())) === 0;
    expect([p.name, same]).toEqual([p.name, p.name === name]);
  }
  expect(fresh.kept).toEqual([]);
  // after one step the statistics of both starts differ by what is kept of their beginnings
  const one = { ...options(), freeze: [name] };
  const [a, b] = await Promise.all([
    train(fresh.f, { ...one, statistics: fresh.statistics }),
    train(fresh.f, {
      ...one,
      statistics: Object.fromEntries(
        Object.keys(fresh.statistics).map((k) => [k, fresh.statistics[k]?.map((v) => v + 1) as Float64Array]),
      ),
    }),
  ]);
  for (const buffer of Object.keys(fresh.statistics)) {
    const keep = (buffer.startsWith('1') ? 0.875 : 0.75) ** 3;
    const moved = b.values[buffer]?.map((v, i) => v - (a.values[buffer]?.[i] as number)) as Float64Array;
    expect(
      error(
        moved,
        moved.map(() => keep),
      ),
    ).toBeLessThanOrEqual(1e-12);
  }
});

describe('hessia train --mode train', () => {
  const out = join(temporaryFolder(), 'trained.onnx');
  const run = (model: string, ...more: string[]) =>
    hessia(['train', file(model), '--data', 'test/modes/data.npz', '--epochs', '2', '--out', out, '--json', ...more]);

  test.each([[[]], [['--init', 'fresh']]])('tests in evaluation mode what it writes, %j', async (more) => {
    const { code, stdout, stderr } = await run(
      'kept',
      ...['--mode', 'train', '--batch-size', '5', '--lr', '0.05', '--test', 'test/modes/data.npz', ...more],
    );
    expect([code, stderr]).toEqual([0, '']);
    const { epochs } = JSON.parse(stdout) as { epochs: { testLoss: number; testAccuracy: number }[] };
    const again = await evaluate(meanLoss(await loadOnnx(out), crossEntropy(), plain));
    const last = epochs[1] as (typeof epochs)[0];
    expect(Math.abs(last.testLoss - again.loss)).toBeLessThanOrEqual(20 * 2 ** -24 * again.loss);
    expect(last.testAccuracy).toBe(again.accuracy);
  });

  test.each([
    ['merged', 'PRESERVE'],
    ['gone', 'optimize=False'],
  ])('refuses %s.onnx, naming how to export it', async (name, advice) => {
    const { code, stdout, stderr } = await run(name, '--mode', 'train');
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^hessia: [^\n]*\n$/);
    expect(stderr).toContain(advice);
  });
});
