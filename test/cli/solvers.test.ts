/** spectrum, eigs, trace and diag of tiny networks against their dense matrices from PyTorch. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { toFloat64 } from '../../src/base/convert.js';
import { type NdArray, readNpz } from '../../src/data/index.js';
import type { SpectrumDocument } from '../../src/report/document.js';
import { fixture, golden, hessia, temporaryFolder, tinyData } from './cli.js';

const folder = temporaryFolder();
const name = 'tiny-attention';
const model = fixture(`${name}.onnx`);
const data = await tinyData(name, folder);
const stored = await readNpz(golden(`${name}.npz`));
const numbers = (key: string): Float64Array => toFloat64(stored.get(key) as NdArray);
const eigenvalues = numbers('eigenvalues/hessian');
const n = eigenvalues.length;
const matrix = numbers('matrix/hessian');
const diagonal = Float64Array.from({ length: n }, (_, i) => matrix[i * n + i] as number);
const trace = diagonal.reduce((a, b) => a + b, 0);
const top = eigenvalues[n - 1] as number;
const shared = [model, '--data', data, '--dtype', 'float64', '--json'];

async function document<T>(...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await hessia(args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout) as T;
}

describe('spectrum', () => {
  test('has every field of the contract, right for as many steps as dimensions', async () => {
    const out = join(folder, 'a', 'report');
    const d = await document<SpectrumDocument>(
      'spectrum',
      ...shared,
      '--steps',
      String(n),
      '--probes',
      '3',
      '--seed',
      '5',
      '--out',
      out,
    );
    expect(Object.keys(d)).toEqual(
      expect.arrayContaining([
        'schemaVersion',
        'operator',
        'dimension',
        'samples',
        'batchSize',
        'loss',
        'gradientNorm',
        'largest',
        'smallest',
        'trace',
        'density',
        'ritz',
        'steps',
        'probes',
        'products',
        'converged',
        'seconds',
        'device',
        'dtype',
        'threads',
        'seed',
        'version',
      ]),
    );
    expect(d).toMatchObject({
      schemaVersion: 1,
      operator: 'hessian',
      dimension: n,
      samples: 8,
      batchSize: 8,
      steps: n,
      probes: 3,
      seed: 5,
      converged: true,
      device: 'cpu',
      dtype: 'float64',
    });
    expect(d.loss).toBeCloseTo(Number(stored.get('loss')?.data[0]), 12);
    expect(d.gradientNorm).toBeCloseTo(Math.hypot(...numbers('gradient')), 10);
    expect(d.largest[0]?.value).toBeCloseTo(top, 8);
    expect(d.smallest[0]?.value).toBeCloseTo(eigenvalues[0] as number, 8);
    expect(d.largest.map((e) => e.value)).toEqual([...d.largest.map((e) => e.value)].sort((a, b) => b - a));
    expect(d.smallest.map((e) => e.value)).toEqual([...d.smallest.map((e) => e.value)].sort((a, b) => a - b));
    // A standard normal estimate is off by more than five of its standard errors once in millions.
    expect(Math.abs(d.trace.estimate - trace)).toBeLessThan(
      5 * Math.SQRT2 * Math.sqrt(matrix.reduce((s, v) => s + v * v, 0) / 3),
    );
    const { grid, value, lower, upper, unreliable } = d.density;
    expect([value.length, lower.length, upper.length, unreliable.length]).toEqual([
      grid.length,
      grid.length,
      grid.length,
      grid.length,
    ]);
    const mass = grid
      .slice(1)
      .reduce((s, g, i) => s + (g - (grid[i] as number)) * (((value[i] as number) + (value[i + 1] as number)) / 2), 0);
    expect(mass).toBeCloseTo(1, 6);
    for (const { nodes, weights } of d.ritz) {
      expect(nodes).toHaveLength(n);
      expect(weights.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 9);
    }
    expect(d.products).toBeGreaterThanOrEqual(3 * n);

    expect(readdirSync(out).sort()).toEqual(['report.html', 'spectrum.json', 'spectrum.npz']);
    expect(JSON.parse(readFileSync(join(out, 'spectrum.json'), 'utf8'))).toEqual(d);
    const arrays = await readNpz(join(out, 'spectrum.npz'));
    expect(arrays.get('ritz/nodes')?.shape).toEqual([3, n]);
    expect(Array.from(toFloat64(arrays.get('density/value') as NdArray))).toEqual(value);
    expect(readFileSync(join(out, 'report.html'), 'utf8')).toContain(`spectrum ${model}`);
  });

  test('one probe has no errors to tell', async () => {
    const d = await document<SpectrumDocument>(
      'spectrum',
      ...shared,
      '--steps',
      '5',
      '--probes',
      '1',
      '--operator',
      'gauss-newton',
    );
    expect(d.trace.standardError).toBeNull();
    expect(new Set(d.density.lower)).toEqual(new Set([null]));
  });

  test('prints a summary for people, or nothing', async () => {
    const args = ['spectrum', model, '--data', data, '--steps', '5', '--probes', '2'];
    const loud = await hessia(args);
    expect(loud).toMatchObject({ code: 0, stderr: '' });
    expect(loud.stdout).toMatch(/dimension +131\n/);
    expect(loud.stdout).toMatch(/memory: budget/);
    expect(loud.stdout).not.toMatch(/\p{Cc}\[|NaN|undefined/u);
    expect(await hessia([...args, '--quiet'])).toMatchObject({ code: 0, stdout: '', stderr: '' });
  });
});

interface Eigs {
  eigenvalues: { value: number; residual: number; converged: boolean }[];
  products: number;
  converged: boolean;
}

test('eigs finds both ends, and its vectors are eigenvectors', async () => {
  const out = join(folder, 'vectors.npz');
  const d = await document<Eigs>(
    'eigs',
    ...shared,
    '--k',
    '6',
    '--which',
    'both',
    '--tolerance',
    '1e-9',
    '--vectors',
    out,
  );
  expect(d.converged).toBe(true);
  const expected = [...eigenvalues.slice(-3).reverse(), ...eigenvalues.slice(0, 3).reverse()];
  d.eigenvalues.forEach((e, i) => {
    expect(Math.abs(e.value - (expected[i] as number))).toBeLessThan(1e-8 * top);
    expect(e.residual).toBeLessThan(1e-8 * top);
  });
  const arrays = await readNpz(out);
  expect(Array.from(toFloat64(arrays.get('eigenvalues') as NdArray))).toEqual(d.eigenvalues.map((e) => e.value));
  const parameters = [...arrays.keys()].filter((key) => key !== 'eigenvalues' && key !== 'residuals');
  const vectors = d.eigenvalues.map((_, v) =>
    parameters.flatMap((p) => {
      const { data: all, shape } = arrays.get(p) as NdArray;
      expect(shape[0]).toBe(6);
      const size = all.length / 6;
      return Array.from(all as Float64Array).slice(v * size, (v + 1) * size);
    }),
  );
  vectors.forEach((vector, k) => {
    expect(Math.hypot(...vector)).toBeCloseTo(1, 9);
    const image = vector.map((_, i) => vector.reduce((s, v, j) => s + (matrix[i * n + j] as number) * v, 0));
    const value = expected[k] as number;
    expect(Math.hypot(...image.map((v, i) => v - value * (vector[i] as number)))).toBeLessThan(1e-7 * top);
  });
});

interface Trace {
  estimate: number;
  standardError: number;
  method: string;
  products: number;
}

test.for([
  ['hutchinson', 'identity', ['--products', '60'], trace],
  ['hutch++', 'identity', ['--products', '60'], trace],
  ['xtrace', 'identity', ['--products', '60'], trace],
  ['slq', 'square', ['--steps', '20', '--probes', '30'], eigenvalues.reduce((s, v) => s + v * v, 0)],
] as const)('trace by %s of %s', async ([method, f, more, expected]) => {
  const d = await document<Trace>('trace', ...shared, '--method', method, '--function', f, ...more);
  expect(d.method).toBe(method);
  expect(d.products).toBeGreaterThan(0);
  expect(Math.abs(d.estimate - expected)).toBeLessThan(6 * d.standardError + 1e-9 * Math.abs(expected));
});

test('diag, exact and estimated', async () => {
  const [exact, rough] = [join(folder, 'exact.npz'), join(folder, 'rough.npz')];
  const d = await document<{ sum: number; products: number }>('diag', ...shared, '--method', 'exact', '--out', exact);
  expect(d.sum).toBeCloseTo(trace, 8);
  expect(d.products).toBe(n);
  const flat = async (file: string, prefix: string): Promise<number[]> => {
    const arrays = await readNpz(file);
    const names = [...stored.keys()].filter((key) => key.startsWith('offset/')).map((key) => key.slice(7));
    return names.flatMap((p) => Array.from((arrays.get(prefix + p) as NdArray).data as Float64Array));
  };
  const found = await flat(exact, '');
  expect(Math.max(...found.map((v, i) => Math.abs(v - (diagonal[i] as number))))).toBeLessThan(1e-9 * top);
  await document('diag', ...shared, '--products', '200', '--out', rough);
  const [estimate, error] = [await flat(rough, ''), await flat(rough, 'error/')];
  // Most entries lie within three of their standard errors.
  const off = estimate.filter(
    (v, i) => Math.abs(v - (diagonal[i] as number)) > 3 * (error[i] as number) + 1e-12,
  ).length;
  expect(off).toBeLessThan(0.05 * n);
});
