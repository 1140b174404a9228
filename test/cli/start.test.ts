/** npm start's script, with a smaller job. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { root, temporaryFolder } from './cli.js';

test('runs the example and says where the report is', () => {
  const out = join(temporaryFolder(), 'report');
  const small = ['--samples', '16', '--steps', '4', '--probes', '2', '--out', out];
  const { status, stdout } = spawnSync(process.execPath, [join(root, 'scripts/start.mjs'), ...small], {
    encoding: 'utf8',
    cwd: '/',
  });
  expect(status).toBe(0);
  expect(stdout).toMatch(/Spectrum of the hessian/);
  expect(stdout.trimEnd().split('\n').at(-1)).toBe(`report: ${join(out, 'report.html')}`);
  expect(existsSync(join(out, 'report.html'))).toBe(true);
});

test('passes on what went wrong', () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'scripts/start.mjs'), '--steps', '0'], {
    encoding: 'utf8',
    cwd: '/',
  });
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr.trimEnd().split('\n').at(-1)).toMatch(/^hessia: .*--steps/);
});
