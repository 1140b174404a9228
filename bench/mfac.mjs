// Speed of M-FAC beside what the machine can do and beside PyTorch, in one run on the same threads:
//   a step (insert, precondition) against reading the window twice, and against the matrix form in PyTorch;
//   the static set-up (Gram matrix, factor, V) against the paper's recursion in PyTorch.
// Runs of the kinds alternate, and the best of each counts: other processes may share the machine.
//   node bench/mfac.mjs [--steps 270000x256,…] [--static 100000x256,…] [--repeats 10] [--threads N] [--no-rivals] [--out FILE]
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { GradientWindow, openDevice, StaticFisher } from 'hessia';

const here = dirname(fileURLToPath(import.meta.url));
const { values: options } = parseArgs({
  options: {
    steps: { type: 'string', default: '270000x256,270000x1024,5000000x256' }, static: { type: 'string', default: '100000x256,100000x1024' },
    repeats: { type: 'string', default: '10' }, threads: { type: 'string', default: '0' }, rivals: { type: 'boolean', default: true }, out: { type: 'string' },
  },
  allowNegative: true,
});
const repeats = Number(options.repeats);
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

async function step(d, m) {
  const g = device.block('float32', d, 1), s = device.block('float32', d, 1);
  const forms = { float32: {}, bfloat16: { storage: 'bfloat16' }, 'sparse 1 %': { sparsity: 0.99 } };
  const kinds = {};
  const windows = [];
  let seed = 0;
  for (const [name, form] of Object.entries(forms)) {
    const w = new GradientWindow({ capacity: m, dimension: d, device, ...form });
    windows.push(w);
    for (let i = 0; i < m; i++) { g.fillRandom('normal', 2, seed++); await w.insert(g); }
    kinds[name] = () => w.precondition(g, s);
  }
  // the measure: the same bytes read from end to end, twice
  const same = device.block('float32', d, m);
  same.zero();
  const row = { buffer: same.buffer, offset: 0, rows: 1, stride: d * m };
  kinds.read = async () => { for (let pass = 0; pass < 2; pass++) await device.native.gram('float32', d * m, row, row); };
  // a new gradient each time: equal ones would make the Gram matrix singular
  const best = await race(kinds, () => g.fillRandom('normal', 2, seed++));
  for (const each of [...windows, same, g, s]) each.dispose();
  const bytes = 2 * 4 * d * m;
  return { d, m, bytes, seconds: best, readBytesPerSecond: bytes / best.read, ofRead: best.read / best.float32 };
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
const result = { date: new Date().toISOString(), cpu: cpus()[0].model, device: device.name, threads, repeats, node: process.version, steps: [], static: [] };
try { result.commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: here, encoding: 'utf8' }).trim(); } catch { result.commit = 'unknown'; }
result.version = JSON.parse(readFileSync(join(here, '../package.json'), 'utf8')).version;
for (const [d, m] of sizes(options.steps)) {
  const row = await step(d, m);
  if (options.rivals) row.torch = rival('step', d, m);
  result.steps.push(row);
  console.log(`step d=${d} m=${m}: ${Object.entries(row.seconds).map(([k, v]) => `${k} ${ms(v)}`).join(', ')}; ${(100 * row.ofRead).toFixed(0)} % of ${(row.readBytesPerSecond / 1e9).toFixed(1)} GB/s${row.torch ? `; PyTorch ${ms(row.torch.seconds)}, ${(row.torch.seconds / row.seconds.float32).toFixed(2)} times ours` : ''}`);
}
for (const [d, m] of sizes(options.static)) {
  const row = await setUp(d, m);
  if (options.rivals) row.torch = rival('static', d, m);
  result.static.push(row);
  console.log(`static d=${d} m=${m}: ${Object.entries(row.seconds).map(([k, v]) => `${k} ${ms(v)}`).join(', ')}${row.torch ? `; the paper's recursion in PyTorch ${ms(row.torch.seconds)}, ${(row.torch.seconds / row.seconds['factor and V']).toFixed(1)} times ours` : ''}`);
}
device.dispose();
const out = options.out ?? join(here, 'results', `${result.date.slice(0, 10)}-mfac.json`);
mkdirSync(dirname(out), { recursive: true });
writeFileSync(out, `${JSON.stringify(result, null, 1)}\n`);
console.log(`written to ${out}`);
