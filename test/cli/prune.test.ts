/** hessia prune from end to end: what it prints, what it writes, and how it fails. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openDataset, readNpz } from '../../src/data/index.js';
import { crossEntropy } from '../../src/model/loss.js';
import { meanLoss } from '../../src/model/mean-loss.js';
import { loadOnnx } from '../../src/onnx/index.js';
import { evaluate } from '../../src/operators/evaluation.js';
import type { PruningDocument } from '../../src/report/pruning.js';
import { example, hessia, temporaryFolder } from './cli.js';

const folder = temporaryFolder();
const data = example('fashion-mnist-test.npz');
const at = (name: string): string => join(folder, name);
const run = (...args: string[]) => hessia(['prune', example('mlp.onnx'), '--data', data, '--samples', '200', ...args]);

/** zeros in the file are exactly those of the mask */
async function check(file: string, mask: string): Promise<number> {
  const masks = await readNpz(mask);
  const model = await loadOnnx(file);
  let gone = 0;
  for (const [name, { data: kept, shape }] of masks) {
    const parameter = model.parameters.find((p) => p.name === name);
    expect(parameter?.shape).toEqual(shape);
    parameter?.values().forEach((v, j) => {
      expect(v === 0).toBe(Number(kept[j]) === 0);
      gone += Number(v === 0);
    });
  }
  return gone;
}

describe('prune', () => {
  test.each(['random', 'obs-diagonal', 'mfac', 'exact-obs', 'sparsegpt'])(
    '%s leaves the share that was asked for',
    async (method) => {
      const { code, stdout, stderr } = await run(
        ...['--method', method, '--sparsity', '0.6', '--steps', '2', '--out', at(`${method}.onnx`), '--json'],
      );
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      const d = JSON.parse(stdout) as PruningDocument;
      expect(d.method).toBe(method);
      // half a weight more or less; for sparsegpt half a weight in each block of 128 columns (7 and 1 of them, 64 and 32 rows …)
      expect(Math.abs(d.sparsity - 0.6)).toBeLessThanOrEqual(method === 'sparsegpt' ? 0.5 / 640 : 0.5 / 52_544);
      const pruned = new Set(d.layers.map((l) => l.name));
      const weights = (await loadOnnx(at(`${method}.onnx`))).parameters.filter((p) => pruned.has(p.name));
      const all = weights.flatMap((p) => [...p.values()]);
      expect(all.filter((w) => w === 0).length).toBe(Math.round(d.sparsity * all.length));
    },
  );
  test('writes a file that does what the document says, its masks and a report', async () => {
    const { code, stdout, stderr } = await run(
      ...[
        '--test',
        data,
        '--method',
        'woodfisher,magnitude',
        '--sparsity',
        '0.5,0.9',
        '--steps',
        '2',
        '--out',
        at('a.onnx'),
      ],
      ...['--mask', at('a.npz'), '--report', at('a.html'), '--json'],
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const d = JSON.parse(stdout) as PruningDocument;
    const total = 784 * 64 + 64 * 32 + 32 * 10;
    expect(d).toMatchObject({ schemaVersion: 1, method: 'woodfisher', pattern: 'unstructured', weights: total });
    expect(d.runs.map((r) => [r.method, Math.round(100 * r.sparsity)])).toEqual([
      ['woodfisher', 50],
      ['woodfisher', 90],
      ['magnitude', 50],
      ['magnitude', 90],
    ]);
    expect(await check(at('a.onnx'), at('a.npz'))).toBe(Math.round(0.9 * total));
    expect(d.layers.map((l) => l.name)).toHaveLength(3);
    const sum = d.layers.reduce((n, l) => n + (l.predictedIncrease as number), 0);
    expect(Math.abs(sum - (d.predictedIncrease as number))).toBeLessThanOrEqual(1e-9 * Math.abs(sum));
    const found = await evaluate(meanLoss(await loadOnnx(at('a.onnx')), crossEntropy(), await openDataset(data)));
    expect(Math.abs(found.loss - d.after.loss)).toBeLessThanOrEqual(1e-6 * found.loss);
    expect(found.accuracy).toBe(d.after.accuracy);
    const page = readFileSync(at('a.html'), 'utf8');
    expect(page.match(/<svg class="chart"/g)).toHaveLength(3);
    expect(page).toContain('woodfisher, predicted');
    expect(page).not.toMatch(/https?:|NaN|undefined/);
  });

  test('prunes by events with fine-tuning, and by 2:4', async () => {
    const gradual = await run(
      ...[
        '--method',
        'mfac',
        '--gradients',
        '64',
        '--sparsity',
        '0.8',
        '--events',
        '2',
        '--steps',
        '2',
        '--finetune-epochs',
        '1',
      ],
      ...['--optimizer', 'adam', '--batch-size', '50', '--out', at('b.onnx'), '--mask', at('b.npz'), '--json'],
    );
    expect(gradual.stderr).toBe('');
    const d = JSON.parse(gradual.stdout) as PruningDocument;
    expect(await check(at('b.onnx'), at('b.npz'))).toBe(Math.round(0.8 * d.weights));
    const pattern = await run(
      '--method',
      'obs-diagonal',
      '--pattern',
      '2:4',
      '--out',
      at('c.onnx'),
      '--mask',
      at('c.npz'),
    );
    expect(pattern.stderr).toBe('');
    expect(await check(at('c.onnx'), at('c.npz'))).toBe(d.weights / 2);
  });

  const some = ['--sparsity', '0.5'];
  test.each<[string, number, string[], RegExp]>([
    ['sparsity 1', 2, ['--sparsity', '1'], /at least 0 and below 1/],
    ['no sparsity', 2, [], /give a sparsity/],
    ['a method that is none', 2, [...some, '--method', 'obs'], /'obs' is not one of magnitude/],
    ['a pattern that does not divide', 2, [...some, '--pattern', '3x1'], /3x1 does not divide .*--freeze/],
    ['more gradients than samples', 2, [...some, '--gradients', '201'], /201 gradients .* hold 200/],
    ['no damping', 2, [...some, '--fisher-damping', '0'], /--fisher-damping/],
    ['events without training', 2, [...some, '--events', '2'], /--finetune-epochs/],
    ['two dampings', 2, [...some, '--fisher-damping', '1', '--relative-damping', '1'], /cannot be used with/],
    ['a parameter that is not there', 2, [...some, '--params', 'nothing'], /matches no parameter/],
  ])('%s ends with one line and no file', async (_, status, args, message) => {
    const { code, stdout, stderr } = await run('--out', at('bad.onnx'), ...args);
    expect({ code, stdout }).toEqual({ code: status, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(existsSync(at('bad.onnx'))).toBe(false);
    expect(readdirSync(folder).filter((f) => f.includes('tmp'))).toEqual([]);
  });
});
