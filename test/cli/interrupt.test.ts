/** Ctrl-C: within a second, exit 130, one line, no files; at any time. */
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { example, hessia, temporaryFolder } from './cli.js';

const folder = temporaryFolder();

// While starting, while compiling, while computing. A large batch, so that single instructions take long too.
test.for([
  ['SIGINT', 250],
  ['SIGTERM', 900],
  ['SIGINT', 2500],
  ['SIGINT', 4000],
] as const)('%s after %i ms', async ([signal, after]) => {
  const place = join(folder, `${signal}-${after}`);
  mkdirSync(place);
  const timing: { toEnd?: number } = {};
  const ended = await hessia(
    [
      'spectrum',
      example('cnn.onnx'),
      '--data',
      example('fashion-mnist-test.npz'),
      '--batch-size',
      '1000',
      '--out',
      join(place, 'deep/report'),
    ],
    { interrupt: { signal, after }, timing },
  );
  // On a busy machine Node itself may not have started yet: then the signal ends it, which shells report as 130 too.
  if (ended.signal === null)
    expect(ended).toEqual({ code: 130, signal: null, stdout: '', stderr: 'hessia: interrupted\n' });
  else expect([after < 1000, ended]).toEqual([true, { code: null, signal, stdout: '', stderr: '' }]);
  // A second, and what a machine that is busy with other tests adds.
  expect(timing.toEnd).toBeLessThan(1500);
  expect(readdirSync(place)).toEqual([]);
});

test('a product leaves no file', async () => {
  const out = join(folder, 'product.npz');
  const ended = await hessia(
    [
      'product',
      example('cnn.onnx'),
      '--data',
      example('fashion-mnist-test.npz'),
      '--batch-size',
      '1000',
      '--vector',
      'random',
      '--dtype',
      'float64',
      '--out',
      out,
    ],
    { interrupt: { signal: 'SIGINT', after: 1500 } },
  );
  expect(ended).toMatchObject({ code: 130, stdout: '' });
  expect(existsSync(out)).toBe(false);
  expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
});
