// Builds the native core through cmake-js if its sources are newer than the last build.
//   node scripts/build-native.mjs             Release  → build/Release/hessia.node, build/hessia_tests
//   node scripts/build-native.mjs --debug     Debug    → build-debug/
//   node scripts/build-native.mjs --sanitize  unit tests with address and undefined-behaviour sanitizers, and runs them
//   --force rebuilds; --test runs the unit tests afterwards; -DNAME=VALUE goes to CMake
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const args = process.argv.slice(2);
const flag = (name) => args.includes(name);
const definitions = args.filter((a) => a.startsWith('-D')).map((a) => a.slice(2));
const sanitize = flag('--sanitize');
const debug = flag('--debug');
const out = sanitize ? 'build-sanitize' : debug ? 'build-debug' : 'build';
const started = performance.now();

function fail(message) {
  console.error(`build-native: ${message}`);
  process.exit(1);
}

/** Names, sizes and times of everything the build reads. */
function fingerprint() {
  const hash = createHash('sha256').update(definitions.join(' '));
  const visit = (path) => {
    const s = statSync(join(root, path));
    if (s.isDirectory()) for (const name of readdirSync(join(root, path)).sort()) visit(join(path, name));
    else hash.update(`${path} ${s.size} ${s.mtimeMs}\n`);
  };
  for (const path of ['native', 'CMakeLists.txt', 'scripts/build-native.mjs']) visit(path);
  return hash.digest('hex');
}

function need(tool, install) {
  if (spawnSync(tool, ['--version'], { stdio: 'ignore' }).error) fail(`${tool} not found; install ${install}`);
}

function run(command, parameters, log) {
  const result = spawnSync(command, parameters, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28 });
  const text = `${result.stdout ?? ''}${result.stderr ?? ''}`;
  writeFileSync(log, text, { flag: 'a' });
  if (result.status !== 0) {
    const lines = text.split('\n');
    const errors = lines.filter((l) => /\berror\b|CMake Error|undefined reference/i.test(l));
    console.error((errors.length > 0 ? errors.slice(0, 20) : lines.slice(-20)).join('\n'));
    fail(`failed; the whole log is in ${log}`);
  }
}

function build(product) {
  const stamp = join(root, out, '.stamp');
  const print = fingerprint();
  if (!flag('--force') && existsSync(product) && existsSync(stamp) && readFileSync(stamp, 'utf8') === print) {
    console.log(`native core is up to date: ${product.slice(root.length + 1)}`);
    return;
  }
  need('cmake', 'cmake 3.18 or later (Debian: apt-get install cmake)');
  need(process.env.CXX ?? 'c++', 'a C++17 compiler (Debian: apt-get install g++ make)');
  console.log(`building the native core in ${out}/, which takes a minute or a few …`);
  mkdirSync(join(root, out), { recursive: true });
  const log = join(root, out, 'build.log');
  writeFileSync(log, '');
  const jobs = process.env.HESSIA_BUILD_JOBS ?? String(availableParallelism());
  if (sanitize) {
    run(
      'cmake',
      ['-S', '.', '-B', out, '-DCMAKE_BUILD_TYPE=Debug', '-DHESSIA_SANITIZE=ON', ...definitions.map((d) => `-D${d}`)],
      log,
    );
    run('cmake', ['--build', out, '-j', jobs], log);
  } else {
    let cmakeJs;
    try {
      cmakeJs = join(dirname(fileURLToPath(import.meta.resolve('cmake-js'))), '..', 'bin', 'cmake-js');
    } catch {
      fail('cmake-js not found; run npm install');
    }
    const options = ['-O', out, '-p', jobs, ...(debug ? ['--debug'] : []), ...definitions.map((d) => `--CD${d}`)];
    if (definitions.length > 0) run(process.execPath, [cmakeJs, 'configure', ...options], log);
    // Not `compile`: that deletes the folder and starts anew when a file does not compile.
    run(process.execPath, [cmakeJs, 'build', ...options], log);
  }
  writeFileSync(stamp, print);
  console.log(`built ${product.slice(root.length + 1)} in ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

const tests = join(root, out, 'hessia_tests');
build(sanitize ? tests : join(root, out, debug ? 'Debug' : 'Release', 'hessia.node'));
if (sanitize || flag('--test')) {
  try {
    execFileSync(tests, { stdio: 'inherit' });
  } catch {
    process.exit(1);
  }
}
