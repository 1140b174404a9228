/**
 * Damaged copies of real files are read or refused, in a process that must not die, hang or eat memory; see
 * fuzz/run.mjs, which also repeats a single one and runs for longer.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

test('5,000 damaged files', () => {
  const script = join(import.meta.dirname, 'fuzz/run.mjs');
  const run = spawnSync(process.execPath, [script, '--count', '5000', '--seconds', '55'], { encoding: 'utf8' });
  expect(run.stdout).toMatch(/^fuzz: \d+ damaged files, 0 faults/m);
  expect(run.status).toBe(0);
}, 90_000);
