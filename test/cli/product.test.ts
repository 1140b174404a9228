/** `hessia product` against PyTorch in float64 (test/golden/make.py), and what it writes and prints. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { toFloat64 } from '../../src/base/convert.js';
import { type NdArray, readNpz, writeNpz } from '../../src/data/index.js';
import { example, fixture, golden, hessia, temporaryFolder, tinyData } from './cli.js';

const folder = temporaryFolder();
const data = { mlp: 'fashion-mnist-test.npz', cnn: 'fashion-mnist-test.npz', gpt: 'gpt-test.npz' } as const;
type Name = keyof typeof data;

/** Large tensors are kept at every 13th entry. */
function kept(whole: Float64Array, like: Float64Array): Float64Array {
  return whole.length === like.length ? whole : whole.filter((_, i) => i % 13 === 0);
}

/** The golden vector with the shapes of the parameters, which the golden file does not keep for large ones. */
async function writeVector(name: Name): Promise<{ path: string; parameters: string[] }> {
  const { stdout } = await hessia(['info', example(`${name}.onnx`), '--json']);
  const { parameters } = JSON.parse(stdout) as { parameters: { name: string; shape: number[] }[] };
  const stored = await readNpz(golden(`${name}.npz`));
  const path = join(folder, `vector-${name}.npz`);
  await writeNpz(
    path,
    parameters.map((p) => [p.name, { ...(stored.get(`vector/${p.name}`) as NdArray), shape: p.shape }]),
  );
  return { path, parameters: parameters.map((p) => p.name) };
}
const vectors = { mlp: await writeVector('mlp'), cnn: await writeVector('cnn'), gpt: await writeVector('gpt') };

const cases: [Name, string, 'float64' | 'float32', string[]][] = [
  ['cnn', 'gradient', 'float64', []],
  ['cnn', 'hessian', 'float64', ['--batch-size', '7']],
  ['cnn', 'gauss-newton', 'float64', []],
  ['cnn', 'empirical-fisher', 'float64', []],
  ['mlp', 'hessian', 'float64', []],
  ['gpt', 'hessian', 'float64', []],
  ['gpt', 'empirical-fisher', 'float64', ['--batch-size', '3']],
  ['mlp', 'hessian', 'float32', []],
  ['cnn', 'hessian', 'float32', ['--threads', '1']],
  ['gpt', 'gauss-newton', 'float32', []],
];

describe('equals PyTorch', { concurrent: true }, () => {
  test.for(cases)('%s, %s, %s', { timeout: 60_000 }, async ([name, operator, dtype, more]) => {
    const stored = await readNpz(golden(`${name}.npz`));
    const { path, parameters } = vectors[name];
    const out = join(folder, `${name}-${operator}-${dtype}.npz`);
    const samples = Number(stored.get('samples')?.data[0]);
    const ended = await hessia([
      'product',
      example(`${name}.onnx`),
      '--data',
      example(data[name]),
      '--samples',
      String(samples),
      '--operator',
      operator,
      '--vector',
      path,
      '--dtype',
      dtype,
      '--out',
      out,
      '--json',
      ...more,
    ]);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    const written = await readNpz(out);
    expect([...written.keys()].sort()).toEqual([...parameters, 'loss'].sort());

    let error = 0;
    let size = 0;
    let squares = 0;
    for (const parameter of parameters) {
      const array = written.get(parameter) as NdArray;
      expect(array.dtype).toBe(dtype);
      const expected = toFloat64(stored.get(`${operator}/${parameter}`) as NdArray);
      const whole = toFloat64(array);
      const found = kept(whole, expected);
      squares += whole.reduce((s, v) => s + v * v, 0);
      expected.forEach((v, i) => {
        error += ((found[i] as number) - v) ** 2;
        size += v * v;
      });
    }
    const tolerance = dtype === 'float64' ? 1e-9 : 2e-4;
    expect(Math.sqrt(error / size)).toBeLessThan(tolerance);
    const loss = written.get('loss');
    expect(loss).toMatchObject({ dtype: 'float64', shape: [] });
    const expectedLoss = Number(stored.get('loss')?.data[0]);
    expect(Math.abs(Number(loss?.data[0]) / expectedLoss - 1)).toBeLessThan(tolerance);

    const document = JSON.parse(ended.stdout) as Record<string, number>;
    expect(document).toMatchObject({
      schemaVersion: 1,
      operator,
      samples,
      dtype,
      device: 'cpu',
      loss: Number(loss?.data[0]),
    });
    expect(Math.abs((document.norm as number) / Math.sqrt(squares) - 1)).toBeLessThan(1e-5);
    for (const field of ['dimension', 'seconds', 'threads']) expect(document[field]).toBeGreaterThan(0);
  });
});

test('a random vector is standard normal, saved, and the same for the same seed', async () => {
  const [first, again, other] = await Promise.all(
    [
      ['7', 'a'],
      ['7', 'b'],
      ['8', 'c'],
    ].map(async ([seed, name]) => {
      const out = join(folder, `random-${name}.npz`);
      const ended = await hessia([
        'product',
        fixture('tiny-mlp.onnx'),
        '--data',
        await tinyData('tiny-mlp', folder),
        '--vector',
        'random',
        '--seed',
        seed as string,
        '--out',
        out,
      ]);
      expect(ended.stderr).toBe('');
      return readNpz(out);
    }),
  );
  const values = (file: Map<string, NdArray> | undefined): number[] =>
    [...(file ?? [])].filter(([name]) => name.startsWith('vector/')).flatMap(([, a]) => Array.from(toFloat64(a)));
  expect(values(first)).toHaveLength(53);
  expect(values(again)).toEqual(values(first));
  expect(values(other)).not.toEqual(values(first));
  const spread = Math.sqrt(values(first).reduce((s, v) => s + v * v, 0) / 53);
  expect(Math.abs(spread - 1)).toBeLessThan(0.4); // four standard deviations of a χ of 53
});

test.for([
  ['hessian', []],
  ['gauss-newton', ['--model-output', 'logits']],
] as const)('a model that ends in its own loss, %s', async ([operator, more]) => {
  const stored = await readNpz(fixture('unusual/loss-in-graph.npz'));
  const pick = (prefix: string): [string, NdArray][] =>
    [...stored].filter(([key]) => key.startsWith(prefix)).map(([key, a]) => [key.slice(prefix.length), a]);
  const [inputs, vector, out] = ['own-data.npz', 'own-vector.npz', `own-${operator}.npz`].map((file) =>
    join(folder, file),
  ) as [string, string, string];
  await writeNpz(
    inputs,
    [...stored].filter(([key]) => key === 'x' || key === 'target'),
  );
  await writeNpz(vector, pick('vector/'));
  const ended = await hessia([
    'product',
    fixture('unusual/loss-in-graph.onnx'),
    '--data',
    inputs,
    '--loss',
    'output',
    '--operator',
    operator,
    '--vector',
    vector,
    '--dtype',
    'float64',
    '--out',
    out,
    ...more,
  ]);
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  const written = await readNpz(out);
  for (const [name, expected] of pick(`${operator}/`)) {
    const found = toFloat64(written.get(name) as NdArray);
    toFloat64(expected).forEach((v, i) => {
      expect(found[i]).toBeCloseTo(v, 9);
    });
  }
});

test('Gauss–Newton of such a model asks for the value before the loss', async () => {
  const ended = await hessia([
    'product',
    fixture('unusual/loss-in-graph.onnx'),
    '--data',
    join(folder, 'own-data.npz'),
    '--loss',
    'output',
    '--operator',
    'gauss-newton',
    '--vector',
    'random',
    '--out',
    join(folder, 'none.npz'),
  ]);
  expect(ended).toMatchObject({ code: 2, stdout: '' });
  expect(ended.stderr).toMatch(/--model-output/);
});

test('images in IDX files are the same data', async () => {
  const ask = async (...data: string[]): Promise<number> => {
    const ended = await hessia([
      'product',
      example('mlp.onnx'),
      ...data,
      '--operator',
      'gradient',
      '--dtype',
      'float64',
      '--json',
      '--out',
      join(folder, 'idx.npz'),
    ]);
    expect(ended.stderr).toBe('');
    return (JSON.parse(ended.stdout) as { loss: number }).loss;
  };
  const idx = await ask(
    '--data',
    fixture('fashion-100-images.idx3-ubyte'),
    '--target',
    fixture('fashion-100-labels.idx1-ubyte'),
    '--scale',
    '1/255',
  );
  const npz = await ask('--data', example('fashion-mnist-test.npz'), '--samples', '100');
  expect(Math.abs(idx / npz - 1)).toBeLessThan(1e-5); // the archive's images were rounded to float32
});
