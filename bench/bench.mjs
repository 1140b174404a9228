// npm run bench [-- --workloads mlp,resnet20,gpt --threads 2 --repeats 9 --no-rivals --out FILE]
// Gradient, single products and blocks of 8, float32, beside PyTorch and JAX where a Python with them is found.
// Prints one table a workload and writes bench/results/<date>-<commit>.json.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { crossEntropy, curvature, execute, GradientEvaluator, meanLoss, openDevice } from 'hessia';
import { workloads } from './workloads.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const { values: options } = parseArgs({
  options: {
    workloads: { type: 'string', default: 'mlp,resnet20,gpt' }, threads: { type: 'string', default: '0' }, repeats: { type: 'string', default: '9' },
    rivals: { type: 'boolean', default: true }, out: { type: 'string' }, 'embedded-only': { type: 'boolean', default: false },
  },
  allowNegative: true,
});
const repeats = Number(options.repeats);
const threads = Number(options.threads) || cpus().length;

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
/** seconds of each of `repeats` runs after two that do not count */
async function time(run) {
  const samples = [];
  for (let i = -2; i < repeats; i++) {
    const start = performance.now();
    await run();
    if (i >= 0) samples.push((performance.now() - start) / 1000);
  }
  return samples;
}

async function ours(name, library) {
  const device = openDevice({ threads, useOneDNN: library === 'oneDNN' });
  const { model, data, batch, classAxis } = workloads[name]();
  const f = meanLoss(model, crossEntropy({ classAxis }), data, { batchSize: batch });
  const rows = [];
  const add = (mode, what, block, retained, samples) =>
    rows.push({ library: `hessia (${library})`, mode, what, block, retained, secondsPerProduct: median(samples) / block, samples });
  const execution = await execute(f, { device });
  const evaluator = new GradientEvaluator(execution);
  const into = device.block('float32', execution.objective.dimension, 1);
  add('gradient', 'gradient', 1, false, await time(() => evaluator.evaluate({ output: into })));
  into.dispose();
  let flops = 0;
  for (const what of ['hessian', 'gauss-newton']) {
    const operator = await curvature(what, f, { device, block: 8 });
    await operator.prepare();
    flops = operator.flops.product;
    for (const block of [1, 8]) {
      const v = device.block('float32', operator.rows, block), w = device.block('float32', operator.rows, block);
      v.fillRandom('normal', 0, 0);
      const product = async () => { await operator.apply(v, w); await device.finish(); };
      add('retained', what, block, true, await time(product));
      rows.at(-1).gflops = flops / rows.at(-1).secondsPerProduct / 1e9;
      add('cold', what, block, false, await time(async () => { operator.invalidate(); await product(); }));
      v.dispose(); w.dispose();
    }
    operator.dispose();
  }
  execution.dispose();
  const { name: deviceName } = device;
  device.dispose();
  return { rows, deviceName };
}

/** A Python that has the library, or null: $HESSIA_BENCH_PYTHON, bench/.venv, python3. */
function python(library) {
  const candidates = [process.env.HESSIA_BENCH_PYTHON, join(here, '.venv/bin/python'), 'python3'].filter(Boolean);
  return candidates.find((p) => spawnSync(p, ['-c', `import ${library}`], { stdio: 'ignore' }).status === 0) ?? null;
}
function rival(library, workload) {
  const interpreter = python(library);
  if (!interpreter) {
    console.error(`${library} is not installed for any Python found; set HESSIA_BENCH_PYTHON to compare with it`);
    return [];
  }
  const run = spawnSync(interpreter, [join(here, `rivals/${library}_rival.py`), '--workload', workload, '--threads', String(threads), '--repeats', String(repeats), '--limit', '100'], { encoding: 'utf8', maxBuffer: 2 ** 26 });
  if (run.status !== 0) {
    console.error(`${library} on ${workload} failed: ${run.stderr.trim().split('\n').at(-1)}`);
    return [];
  }
  const { version, rows } = JSON.parse(run.stdout);
  return rows.map((r) => ({ library: `${library} ${version}`, ...r }));
}

function table(name, rows) {
  // a retained product competes with every mode (a compiled cold one can be faster), a cold one with cold modes
  const best = (what, block, retained) => Math.min(...rows.filter((r) => !r.library.startsWith('hessia') && r.what === what && r.block === block && (retained || !r.retained)).map((r) => r.secondsPerProduct));
  console.log(`\n${name}\n${'library'.padEnd(24)}${'mode'.padEnd(30)}${'what'.padEnd(14)}${'block'.padStart(5)}${'ms/product'.padStart(12)}${'GFLOP/s'.padStart(9)}${'best rival ÷ this'.padStart(19)}`);
  for (const r of rows) {
    const against = best(r.what, r.block, r.retained);
    const ratio = r.library.startsWith('hessia') && Number.isFinite(against) ? (against / r.secondsPerProduct).toFixed(2) : '';
    console.log(`${r.library.padEnd(24)}${r.mode.padEnd(30)}${r.what.padEnd(14)}${String(r.block).padStart(5)}${(r.secondsPerProduct * 1e3).toFixed(2).padStart(12)}${(r.gflops?.toFixed(0) ?? '').padStart(9)}${ratio.padStart(19)}`);
  }
}

const git = (...args) => { try { return execFileSync('git', args, { cwd: here, encoding: 'utf8' }).trim(); } catch { return 'unknown'; } };
const { version } = JSON.parse(readFileSync(join(here, '../package.json'), 'utf8'));
const result = { version, commit: git('rev-parse', '--short', 'HEAD'), date: new Date().toISOString(), cpu: cpus()[0].model, threads, repeats, node: process.version, workloads: {} };
for (const name of options.workloads.split(',')) {
  if (!workloads[name]) throw new Error(`no workload '${name}'; there are ${Object.keys(workloads).join(', ')}`);
  const rows = [];
  for (const library of options['embedded-only'] ? ['embedded'] : ['oneDNN', 'embedded']) {
    const { rows: measured, deviceName } = await ours(name, library);
    if (library === 'oneDNN' && !deviceName.includes('oneDNN')) continue;
    rows.push(...measured);
  }
  if (options.rivals) for (const library of ['torch', 'jax']) rows.push(...rival(library, name));
  table(name, rows);
  result.workloads[name] = rows;
}
const out = options.out ?? join(here, 'results', `${result.date.slice(0, 10)}-${result.commit}.json`);
if (!existsSync(dirname(out))) mkdirSync(dirname(out), { recursive: true });
writeFileSync(out, `${JSON.stringify(result, null, 1)}\n`);
console.log(`\nwritten to ${out}`);
