// npm run check: types, lint, format, dependency directions, package exports, the API reference.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { root } from './setup.mjs';

const steps = [
  ['types', 'node_modules/typescript/bin/tsc', '-p', 'tsconfig.json'],
  ['lint and format', 'node_modules/@biomejs/biome/bin/biome', 'ci', '--error-on-warnings'],
  ['dependency directions', 'scripts/check-dependencies.mjs'],
  ['package.json', 'node_modules/publint/src/cli.js', '--strict'],
  // every export documented, every link and every type that is referred to there
  ['API reference', 'node_modules/typedoc/bin/typedoc', '--emit', 'none'],
];
let wrong = 0;
for (const [name, script, ...args] of steps) {
  const run = spawnSync(process.execPath, [join(root, script), ...args], { cwd: root, encoding: 'utf8' });
  if (run.status === 0) continue;
  wrong++;
  console.error(`check: ${name}\n${run.stdout}${run.stderr}`);
}
console.error(
  wrong === 0
    ? 'check: types, lint, format, dependencies, package and reference are fine'
    : `check: ${wrong} of ${steps.length} failed`,
);
process.exit(wrong === 0 ? 0 : 1);
