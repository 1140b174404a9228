/** info, bench, doctor, help, version; streams that close early. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readOnnxFile } from '../../src/onnx/proto/index.js';
import { example, fixture, hessia, main, root, temporaryFolder, tinyData } from './cli.js';

const folder = temporaryFolder();

async function document<T = Record<string, unknown>>(...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await hessia([...args, '--json']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout) as T;
}

interface Info {
  parameters: { name: string; shape: number[]; count: number; consumers: string[]; layers: object[] | null }[];
  dimension: number;
  flops: { forward: number; gradient: number; hessianProduct: number; per: string } | null;
  bytes: { residuals: number; perProduct: number; batchSize: number } | null;
  modules: { path: string; count: number; parameters: string[] }[];
  frozen: { name: string; count: number; why: string }[];
  omitted: string | null;
  unsupported: string[];
}

describe('info', () => {
  test('counts parameters and operations', async () => {
    const d = await document<Info>('info', example('mlp.onnx'));
    expect(Object.keys(d)).toEqual(
      expect.arrayContaining([
        'schemaVersion',
        'inputs',
        'outputs',
        'parameters',
        'dimension',
        'buffers',
        'operators',
        'unsupported',
        'flops',
        'bytes',
      ]),
    );
    const file = await readOnnxFile(example('mlp.onnx'));
    expect(d.parameters.map((p) => p.name)).toEqual(file.model.graph.initializers.map((t) => t.name));
    expect(d.dimension).toBe(d.parameters.reduce((n, p) => n + p.count, 0));
    for (const p of d.parameters) expect(p.consumers.length).toBeGreaterThan(0);
    expect(d.parameters.slice(0, 2).map((p) => p.layers)).toEqual([
      [
        expect.objectContaining({
          kind: 'linear',
          consumer: d.parameters[0]?.consumers[0],
          positions: 1,
          in: 784,
          out: 64,
        }),
      ],
      [expect.objectContaining({ kind: 'shift', weight: d.parameters[0]?.name })],
    ]);
    expect(d.modules[0]).toEqual({
      path: d.parameters[0]?.name.replace(/\.weight$/, ''),
      count: (d.parameters[0]?.count ?? 0) + (d.parameters[1]?.count ?? 0),
      parameters: d.parameters.slice(0, 2).map((p) => p.name),
    });
    expect(d.frozen).toEqual([]);
    // Two operations per weight forwards; the first layer's input needs no gradient.
    const weights = d.parameters.filter((p) => p.shape.length === 2).map((p) => p.count);
    const forward = 2 * weights.reduce((a, b) => a + b, 0);
    expect(d.flops).toMatchObject({ forward, gradient: 3 * forward - 2 * (weights[0] as number), per: 'sample' });
    expect(d.bytes?.residuals).toBeGreaterThan(0);
  });

  test('says why it does not count where sizes are open, and counts with data', async () => {
    const open = await document<Info>('info', example('gpt.onnx'));
    const closed = await document<Info>('info', example('gpt.onnx'), '--data', example('gpt-test.npz'));
    expect(closed.flops?.hessianProduct).toBeGreaterThan(0);
    if (open.flops === null) expect(open.omitted).toMatch(/--data/);
    expect(closed.dimension).toBe(open.dimension);
  });

  test('keeps and freezes parameters', async () => {
    const d = await document<Info>('info', example('mlp.onnx'), '--params', '*.weight', '--freeze', 'fc1.*');
    expect(d.parameters.every((p) => p.name.endsWith('.weight') && !p.name.startsWith('fc1'))).toBe(true);
    expect(d.parameters).toHaveLength(2);
  });

  test('lists all that is not supported; other commands refuse with the same list', async () => {
    // The Gemm and the Tanh of a good file, renamed in place to operators of the same length that nobody has.
    const bytes = readFileSync(fixture('tiny-mlp.onnx'));
    for (const [from, to] of [
      ['Gemm', 'Gxmm'],
      ['Tanh', 'Txnh'],
    ] as const) {
      for (let i = bytes.indexOf(from); i >= 0; i = bytes.indexOf(from, i + 1)) bytes.write(to, i);
    }
    const path = join(folder, 'unsupported.onnx');
    writeFileSync(path, bytes);
    const d = await document<Info>('info', path);
    expect(d.unsupported.join()).toMatch(/Gxmm.*Txnh|Txnh.*Gxmm/);
    expect(d.flops).toBeNull();
    const ended = await hessia(['spectrum', path, '--data', await tinyData('tiny-mlp', folder)]);
    expect(ended).toMatchObject({ code: 2, stdout: '' });
    expect(ended.stderr).toMatch(/^hessia: [^\n]*Gxmm[^\n]*Txnh[^\n]*\n$|^hessia: [^\n]*Txnh[^\n]*Gxmm[^\n]*\n$/);
  });

  test('for people', async () => {
    const { stdout } = await hessia(['info', fixture('tiny-mlp.onnx')]);
    expect(stdout).toMatch(/53 parameters in 4 tensors/);
    expect(stdout).not.toMatch(/undefined|NaN|\[object/);
  });
});

interface Bench {
  gradient: { seconds: number; peakBytes: number };
  products: { block: number; secondsPerProduct: number; peakBytes: number }[];
  primal: { seconds: number };
  flopsPerProduct: number;
  matmulFlopsPerSecond: number;
  threads: number;
  profile: { block: number; instructions: { label: string; seconds: number; share: number; flops: number }[] };
}

test('bench measures what it says; the profile adds up', async () => {
  const d = await document<Bench>(
    'bench',
    example('mlp.onnx'),
    '--data',
    example('fashion-mnist-test.npz'),
    '--samples',
    '64',
    '--repeats',
    '2',
    '--blocks',
    '4,1',
    '--profile',
    '--threads',
    '1',
  );
  expect(d.products.map((p) => p.block)).toEqual([1, 4]);
  for (const seconds of [d.gradient.seconds, d.primal.seconds, ...d.products.map((p) => p.secondsPerProduct)])
    expect(seconds).toBeGreaterThan(0);
  for (const bytes of [d.gradient.peakBytes, ...d.products.map((p) => p.peakBytes)])
    expect(bytes).toBeGreaterThan(4 * 52_650);
  expect(d.matmulFlopsPerSecond).toBeGreaterThan(1e8);
  expect(d.threads).toBe(1);
  const { instructions } = d.profile;
  expect(instructions.reduce((s, i) => s + i.share, 0)).toBeCloseTo(1, 9);
  expect(instructions.reduce((s, i) => s + i.flops, 0)).toBe(4 * d.flopsPerProduct);
  expect(instructions.map((i) => i.seconds)).toEqual(instructions.map((i) => i.seconds).sort((a, b) => b - a));
});

test('doctor', async () => {
  const d = await document('doctor');
  expect(d).toMatchObject({
    cpu: { features: expect.any(Array), isa: expect.any(String), threads: expect.any(Number) },
    matmul: { library: expect.any(String), flopsPerSecond: expect.any(Number) },
    cuda: { available: expect.any(Boolean) },
    mpi: { available: false },
    node: process.version,
  });
  const { stdout } = await hessia(['doctor']);
  if (/built-in\), float64/.test(stdout)) expect(stdout).toMatch(/apt-get install libdnnl-dev/);
});

describe('help and version', () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  test('--version', async () =>
    expect(await hessia(['--version'])).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: '' }));
  test.for(['', 'help', '--help'])('hessia %s lists every command', async (word) => {
    const { code, stdout, stderr } = await hessia(word === '' ? [] : [word]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const command of ['info', 'product', 'spectrum', 'eigs', 'trace', 'diag', 'bench', 'doctor'])
      expect(stdout).toMatch(new RegExp(`^  ${command}\\b`, 'm'));
  });
  test('help of a command is the same either way', async () => {
    const [a, b] = await Promise.all([hessia(['help', 'spectrum']), hessia(['spectrum', '--help'])]);
    expect(a).toEqual(b);
    expect(a.stdout).toMatch(/--probes <n>/);
  });
  test('needs no native core', async () => {
    const { code, stdout } = await hessia(['help'], { env: { HESSIA_NATIVE: '/nowhere/hessia.node' } });
    expect(code).toBe(0);
    expect(stdout).toMatch(/spectrum/);
  });
});

test('a native core that cannot be loaded is one line and exit 2', async () => {
  const broken = join(folder, 'hessia.node');
  writeFileSync(broken, 'not a library');
  const ended = await hessia(['doctor'], { env: { HESSIA_NATIVE: broken } });
  expect(ended).toMatchObject({ code: 2, stdout: '' });
  expect(ended.stderr).toMatch(/^hessia: [^\n]*build:native[^\n]*\n$/);
});

test('a reader that has gone is no error', () => {
  // The reader ends at once; the pipe is closed before anything is written.
  const command = `(sleep 0.3; exec "${process.execPath}" "${main}" help) | true; exit "\${PIPESTATUS[0]}"`;
  expect(spawnSync('bash', ['-c', command], { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
});

test('standard output that cannot be written is', () => {
  const full = spawnSync('bash', ['-c', `"${process.execPath}" "${main}" help > /dev/full`], { encoding: 'utf8' });
  expect(full.status).toBe(2);
  expect(full.stderr).toMatch(/^hessia: cannot write[^\n]*\n$/);
});
