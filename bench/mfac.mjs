// Speed of M-FAC beside what the machine can do and beside PyTorch, in one run on the same threads:
//   a step (insert, precondition) against reading the window twice, and against the matrix form in PyTorch;
//   the static set-up (Gram matrix, factor, V) against the paper's recursion in PyTorch.
// Runs alternate with the measure they are compared with, and the best of each counts: other processes may share the
// machine, whose load is recorded. One window is held at a time. --quick: small sizes, to see that it runs.
//   node bench/mfac.mjs [--steps 270000x256,…] [--static 100000x256,…] [--repeats 6] [--threads N] [--no-rivals] [--quick] [--out FILE]
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { GradientWindow, openDevice, StaticFisher } from 'hessia';

const here = dirname(fileURLToPath(import.meta.url));
const { values: options } = parseArgs({
  options: {
    steps: { type: 'string' }, static: { type: 'string' }, quick: { type: 'boolean', default: false },
    repeats: { type: 'string' }, threads: { type: 'string', default: '0' }, rivals: { type: 'boolean', default: true }, out: { type: 'string' },
  },
  allowNegative: true,
});
const defaults = options.quick
  ? { steps: '20000x32,10000x64', static: '20000x32,10000x64', repeats: '3' }
  : { steps: '270000x256,270000x1024,5000000x256', static: '100000x256,25000x1024', repeats: '6' };
const { steps, static: statics, repeats: rounds } = { ...defaults, ...options };
const repeats = Number(rounds);
const threads = Number(options.threads) || cpus().length;
const sizes = (text) => text.split(',').filter(Boolean).map((s) => s.split('x').map(Number));
const device = openDevice({ threads });

/** seconds of the best of `repeats` rounds, by kind; the kinds take turns. `before` is not timed. */
async function race(kinds, before = () => undefined) {
  const best = Object.fromEntries(Object.keys(kinds).map((k) => [k, Number.POSITIVE_INFINITY]));
  for (let i = -1; i < repeats; i++) {
    for (const [kind, run] of Object.entries(kinds)) {
      before();
      await device.finish();
      const start = performance.now();
      await run();
      await device.finish();
      if (i >= 0) best[kind] = Math.min(best[kind], (performance.now() - start) / 1000);
    }
  }
  return best;
}

function randomBlock(d, m) {
  const block = device.block('float32', d, m);
  for (let r = 0; r < m; r += 32) {
    const part = block.rows(r, Math.min(m, r + 32));
    part.fillRandom('normal', 1, r);
    part.dispose();
  }
  return block;
}

/** One form of the window at a time, each beside the measure: the bytes of the float32 window read end to end, twice. */
async function step(d, m) {
  const g = device.block('float32', d, 1), s = device.block('float32', d, 1);
  const seconds = { read: Number.POSITIVE_INFINITY };
  let seed = 0, ofRead;
  // a piece of memory that no cache holds, read as often as it takes
  const bytes = 2 * 4 * d * m, most = 2 ** 28, elements = Math.min(d * m, most / 4), passes = (2 * d * m) / elements;
  const same = device.block('float32', elements, 1);
  same.zero();
  const row = { buffer: same.buffer, offset: 0, rows: 1, stride: elements };
  const read = async () => {
    for (let left = passes; left > 1e-9; left--) await device.native.gram('float32', left < 1 ? Math.floor(left * elements) : elements, row, row);
  };
  for (const [name, form] of Object.entries({ float32: {}, bfloat16: { storage: 'bfloat16' }, 'sparse 1 %': { sparsity: 0.99 } })) {
    const w = new GradientWindow({ capacity: m, dimension: d, device, ...form });
    for (let i = 0; i < m; i++) { g.fillRandom('normal', 2, seed++); await w.insert(g); }
    // a new gradient each time: equal ones would make the Gram matrix singular
    const best = await race({ step: () => w.precondition(g, s), read }, () => g.fillRandom('normal', 2, seed++));
    w.dispose();
    await device.finish();
    seconds[name] = best.step;
    seconds.read = Math.min(seconds.read, best.read);
    if (name === 'float32') ofRead = best.read / best.step;
  }
  for (const each of [same, g, s]) each.dispose();
  return { d, m, bytes, seconds, readBytesPerSecond: bytes / seconds.read, ofRead };
}

async function setUp(d, m) {
  const g = randomBlock(d, m);
  const best = await race({
    factor: async () => (await StaticFisher.create(g)).dispose(),
    'factor and V': async () => {
      const fisher = await StaticFisher.create(g);
      fisher.whitened().dispose();
      await device.finish();
      fisher.dispose();
    },
  });
  g.dispose();
  return { d, m, seconds: best };
}

function rival(task, d, m) {
  const interpreter = [process.env.HESSIA_BENCH_PYTHON, join(here, '.venv/bin/python'), 'python3'].filter(Boolean)
    .find((p) => spawnSync(p, ['-c', 'import torch'], { stdio: 'ignore' }).status === 0);
  if (!interpreter) return null;
  const run = spawnSync(interpreter, [join(here, 'rivals/mfac_rival.py'), task, String(d), String(m), String(threads), String(repeats)], { encoding: 'utf8' });
  if (run.status !== 0) throw new Error(run.stderr);
  return JSON.parse(run.stdout);
}

const ms = (seconds) => `${(1e3 * seconds).toFixed(1)} ms`;
const result = { date: new Date().toISOString(), cpu: cpus()[0].model, device: device.name, threads, repeats, quick: options.quick, load: { before: loadavg() }, node: process.version, steps: [], static: [] };
try { result.commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: here, encoding: 'utf8' }).trim(); } catch { result.commit = 'unknown'; }
result.version = JSON.parse(readFileSync(join(here, '../package.json'), 'utf8')).version;
for (const [d, m] of sizes(steps)) {
  const row = await step(d, m);
  if (options.rivals) row.torch = rival('step', d, m);
  result.steps.push(row);
  console.log(`step d=${d} m=${m}: ${Object.entries(row.seconds).map(([k, v]) => `${k} ${ms(v)}`).join(', ')}; ${(100 * row.ofRead).toFixed(0)} % of ${(row.readBytesPerSecond / 1e9).toFixed(1)} GB/s${row.torch ? `; PyTorch ${ms(row.torch.seconds)}, ${(row.torch.seconds / row.seconds.float32).toFixed(2)} times ours` : ''}`);
}
for (const [d, m] of sizes(statics)) {
  const row = await setUp(d, m);
  if (options.rivals) row.torch = rival('static', d, m);
  result.static.push(row);
  console.log(`static d=${d} m=${m}: ${Object.entries(row.seconds).map(([k, v]) => `${k} ${ms(v)}`).join(', ')}${row.torch ? `; the paper's recursion in PyTorch ${ms(row.torch.seconds)}, ${(row.torch.seconds / row.seconds['factor and V']).toFixed(1)} times ours` : ''}`);
}
device.dispose();
result.load.after = loadavg();
const out = options.out ?? join(here, 'results', `${result.date.slice(0, 10)}-mfac.json`);
mkdirSync(dirname(out), { recursive: true });
writeFileSync(out, `${JSON.stringify(result, null, 1)}\n`);
console.log(`written to ${out}`);
