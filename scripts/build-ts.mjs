// TypeScript → dist/esm and dist/cjs, when a source is newer than the last build.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const stamp = join(root, 'dist', '.built');

function newest(path) {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return readdirSync(path).reduce((latest, name) => Math.max(latest, newest(join(path, name))), stat.mtimeMs);
}
const sources = [
  'src',
  'native/addon/binding.cjs',
  'package.json',
  'tsconfig.json',
  'tsconfig.esm.json',
  'tsconfig.cjs.json',
  'scripts/build-ts.mjs',
];
const latest = Math.max(...sources.map((s) => newest(join(root, s))));
if (existsSync(stamp) && statSync(stamp).mtimeMs >= latest && !process.argv.includes('--force')) process.exit(0);

const started = Date.now();
for (const config of ['tsconfig.esm.json', 'tsconfig.cjs.json']) {
  const tsc = spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', join(root, config)], {
    stdio: 'inherit',
  });
  if (tsc.status !== 0) {
    console.error(`build: tsc -p ${config} failed`);
    process.exit(1);
  }
}
// Within dist/cjs the nearest package.json says that files are CommonJS; '#binding' is then out of reach, so the one
// file that loads the native core gets a copy of its loader beside it.
writeFileSync(join(root, 'dist/cjs/package.json'), '{ "type": "commonjs" }\n');
copyFileSync(join(root, 'native/addon/binding.cjs'), join(root, 'dist/cjs/device/binding.cjs'));
const loading = join(root, 'dist/cjs/device/open.js');
writeFileSync(
  loading,
  readFileSync(loading, 'utf8')
    .replace("require('#binding')", "require('./binding.cjs')")
    .replace('require("#binding")', 'require("./binding.cjs")'),
);
// An optional library may be a module, which a require cannot load in every Node.
const peers = join(root, 'dist/cjs/data/peers.js');
const lowered = readFileSync(peers, 'utf8');
const kept = lowered.replace(/Promise\.resolve\(`\$\{name\}`\)\.then\(.*?require\(s\)\)\)/, 'import(name)');
if (kept === lowered) {
  console.error('build: dist/cjs/data/peers.js does not import its libraries as expected');
  process.exit(1);
}
writeFileSync(peers, kept);
writeFileSync(stamp, '');
// Dates hold whole milliseconds, file times more: rounded down, the stamp would always be older than its sources.
utimesSync(stamp, new Date(), new Date(Math.ceil(latest)));
console.error(`built TypeScript in ${((Date.now() - started) / 1000).toFixed(1)} s`);
