/** hessia train from end to end: what it prints, what it writes, and how it fails. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openDataset } from '../../src/data/index.js';
import { crossEntropy } from '../../src/model/loss.js';
import { meanLoss } from '../../src/model/mean-loss.js';
import { loadOnnx } from '../../src/onnx/index.js';
import { evaluate } from '../../src/operators/evaluation.js';
import type { TrainingDocument } from '../../src/report/training.js';
import { example, hessia, temporaryFolder } from './cli.js';

const folder = temporaryFolder();
const data = example('fashion-mnist-test.npz');
const at = (name: string): string => join(folder, name);
const run = (...args: string[]) =>
  hessia(['train', example('mlp.onnx'), '--data', data, '--samples', '200', '--batch-size', '64', ...args]);

describe('train', () => {
  test('writes the trained file, metrics and a report that agree', async () => {
    const { code, stdout, stderr } = await run(
      ...['--test', data, '--epochs', '3', '--lr', '0.005', '--schedule', 'cosine', '--warm-up', '0.5'],
      ...['--out', at('a.onnx'), '--metrics', at('a.jsonl'), '--report', at('a.html'), '--json'],
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const d = JSON.parse(stdout) as TrainingDocument;
    expect(d).toMatchObject({ schemaVersion: 1, optimizer: 'sgd', samples: 200, batchSize: 64, steps: 12, resumed: 0 });
    expect(d.epochs.map((e) => e.epoch)).toEqual([1, 2, 3]);
    expect(d.epochs[2]?.trainLoss).toBeLessThan(d.epochs[0]?.trainLoss as number);
    expect(d.best.testLoss).toBe(Math.min(...d.epochs.map((e) => e.testLoss as number)));
    const lines = readFileSync(at('a.jsonl'), 'utf8').trim().split('\n');
    expect(lines.map((l) => JSON.parse(l) as unknown)).toEqual(d.epochs);
    const page = readFileSync(at('a.html'), 'utf8');
    expect(page.match(/<svg class="chart"/g)).toHaveLength(2);
    expect(page).not.toMatch(/https?:/);
    const found = await evaluate(meanLoss(await loadOnnx(at('a.onnx')), crossEntropy(), await openDataset(data)));
    const last = d.epochs[2] as TrainingDocument['best'];
    expect(Math.abs(found.loss - (last.testLoss as number))).toBeLessThanOrEqual(1e-6 * found.loss);
    expect(found.accuracy).toBe(last.testAccuracy);
  });

  test.each(['adam', 'adamw', 'mfac'])('%s goes on from its checkpoint to the same bytes', async (optimizer) => {
    const more = optimizer === 'mfac' ? ['--window', '3', '--damping', '0.01', '--momentum', '0.5'] : ['--clip', '1'];
    const args = (out: string, epochs: string, ...rest: string[]) =>
      run('--optimizer', optimizer, ...more, '--epochs', epochs, '--out', at(out), ...rest);
    const name = `${optimizer}.npz`;
    expect((await args('whole.onnx', '2')).code).toBe(0);
    expect((await args('part.onnx', '1', '--checkpoint', at(name))).code).toBe(0);
    expect((await args('rest.onnx', '2', '--checkpoint', at(name))).code).toBe(0);
    expect(readFileSync(at('rest.onnx')).equals(readFileSync(at('whole.onnx')))).toBe(true);
    expect(readFileSync(at('part.onnx')).equals(readFileSync(at('whole.onnx')))).toBe(false);
  });

  test.each<[string, number, string[], RegExp]>([
    ['a rate that overflows', 1, ['--lr', '1e30'], /^hessia: step \d+ \(epoch 1\): .*smaller learning rate/],
    ['an option of another optimizer', 2, ['--window', '3'], /^hessia: --window means nothing to --optimizer sgd/],
    ['milestones of no step', 2, ['--milestones', '1'], /--schedule step/],
    ['momentum of 1', 2, ['--momentum', '1'], /momentum must be at least 0 and below 1/],
    ['a warm-up without end', 2, ['--warm-up', '9'], /leaves none/],
    ['a test set that is not there', 2, ['--test', 'nowhere.npz'], /nowhere.npz/],
    ['a report that cannot be written', 2, ['--report', '/proc/none/r.html'], /\/proc\/none/],
  ])('%s ends with one line and no file', async (_, status, args, message) => {
    const { code, stdout, stderr } = await run('--epochs', '1', '--out', at('bad.onnx'), ...args);
    expect({ code, stdout }).toEqual({ code: status, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(existsSync(at('bad.onnx'))).toBe(false);
    expect(readdirSync(folder).filter((f) => f.includes('tmp'))).toEqual([]);
  });
});
