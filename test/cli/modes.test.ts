/** `--mode` and `--batch-coupled` against PyTorch (test/modes/make.py). */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readNpz } from '../../src/data/index.js';
import { error } from '../trace/compute.js';
import { hessia, root, temporaryFolder } from './cli.js';

const file = (name: string): string => join(root, 'test/modes', name);
const out = join(temporaryFolder(), 'gradient.npz');
const command = (model: string, ...more: string[]): string[] => [
  ...['product', file(model), '--operator', 'gradient', '--data', file('data.npz'), '--dtype', 'float64'],
  ...['--out', out, '--json', ...more],
];
const wanted = await readNpz(file('train.npz'));

test.each([
  ['one', []],
  ['fours', ['--batch-size', '4', '--batch-coupled', 'per-batch']],
] as const)('the gradient with the statistics of %s', async (key, more) => {
  const { code, stderr } = await hessia(command('kept.onnx', '--mode', 'train', ...more));
  expect([code, stderr]).toEqual([0, '']);
  const arrays = await readNpz(out);
  const found = [...arrays].filter(([name]) => name !== 'loss').flatMap(([, a]) => Array.from(a.data as Float64Array));
  expect(error(found, wanted.get(`${key}/gradient`)?.data as Float64Array)).toBeLessThanOrEqual(1e-9);
});

test.each([
  [['kept.onnx', '--mode', 'train', '--batch-size', '4'], '--batch-coupled per-batch'],
  [['training.onnx'], 'load the model in mode train'],
] as const)('%j is refused', async ([model, ...more], advice) => {
  const { code, stdout, stderr } = await hessia(command(model, ...more));
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toMatch(/^hessia: [^\n]*\n$/);
  expect(stderr).toContain(advice);
});
