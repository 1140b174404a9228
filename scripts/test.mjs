// npm test: set up, run every kind of test, and end with one line "N passed, N failed".
// npm test -- --quick leaves out the checks and the C++ tests; further arguments go to vitest.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root, setup } from './setup.mjs';

setup();
const args = process.argv.slice(2);
const quick = args.includes('--quick');
let passed = 0;
let failed = 0;

function count(name, ok) {
  if (ok) passed++;
  else {
    failed++;
    console.error(`FAILED: ${name}`);
  }
}
const run = (script, ...rest) =>
  spawnSync(process.execPath, [join(root, script), ...rest], { cwd: root, stdio: 'inherit' }).status === 0;

if (!quick) {
  count('npm run check', run('scripts/check.mjs'));
  // The C++ tests print their own "N passed, N failed".
  const native = spawnSync('npm', ['run', '--silent', 'test:native'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  process.stdout.write(native.stdout.replace(/^(\d+ passed, \d+ failed)$/gm, 'native tests: $1'));
  process.stderr.write(native.stderr);
  const counts = /^(\d+) passed, (\d+) failed$/m.exec(native.stdout);
  if (counts) {
    passed += Number(counts[1]);
    failed += Number(counts[2]);
  }
  count('native tests', native.status === 0 && counts !== null);
}

const folder = mkdtempSync(join(tmpdir(), 'hessia-test-'));
const report = join(folder, 'report.json');
const ok = run(
  'node_modules/vitest/vitest.mjs',
  'run',
  '--reporter=default',
  '--reporter=json',
  `--outputFile.json=${report}`,
  ...args.filter((a) => a !== '--quick'),
);
try {
  const { numPassedTests, numFailedTests, numFailedTestSuites } = JSON.parse(readFileSync(report, 'utf8'));
  passed += numPassedTests;
  failed += numFailedTests;
  // a file that fails to load, or an error outside any test, fails no test of its own
  if (!ok && numFailedTests === 0) failed += Math.max(1, numFailedTestSuites);
} catch {
  count('vitest', false);
}
rmSync(folder, { recursive: true, force: true });

console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
