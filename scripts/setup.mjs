// Everything a fresh clone needs before it can run: packages, native core, TypeScript. Each step is skipped when
// nothing has changed, so that a second call takes a fraction of a second. Needs nothing but Node.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..');

function step(what, command, args) {
  const run = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (run.status !== 0) {
    console.error(`hessia: ${what} failed; the lines above say why`);
    process.exit(run.status ?? 1);
  }
}

export function setup() {
  const lock = join(root, 'package-lock.json'),
    installed = join(root, 'node_modules/.package-lock.json');
  if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(lock).mtimeMs) {
    console.error('installing packages …');
    step('npm install', 'npm', ['install', '--no-audit', '--no-fund', '--loglevel=error']);
  }
  step('the native build', process.execPath, [join(root, 'scripts/build-native.mjs')]);
  step('the TypeScript build', process.execPath, [join(root, 'scripts/build-ts.mjs')]);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) setup();
