// node bench/models/measure.mjs FOLDER   (after export.py and npm run build)
// Every network under FOLDER: forward error beside onnxruntime, gradient and Hessian product beside PyTorch in float64, where
// products.npz is there, else beside central differences of the float64 gradient; seconds and memory of import, compile and
// product in float32. Each network in a process of its own. Writes bench/results/models.json, which scripts/models-table.mjs shows.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { curvature, datasetFromArrays, execute, GradientEvaluator, lossByName, loadModel, meanLoss, openDevice, readNpz } from 'hessia';

const resultFile = join(import.meta.dirname, '../results/models.json');
const rss = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024;
const peak = () => Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024;
const seconds = async (run) => {
  const start = performance.now();
  const value = await run();
  return [value, (performance.now() - start) / 1000];
};
/** the largest difference over the largest value */
const difference = (found, expected) => {
  let worst = 0, scale = 0;
  for (let i = 0; i < expected.length; i++) {
    const d = Math.abs(found[i] - expected[i]);
    worst = Number.isNaN(worst) || d <= worst ? worst : d; // NaN stays
    scale = Math.max(scale, Math.abs(expected[i]));
  }
  return worst / scale;
};

async function errors(folder, model, data, fresh) {
  const forward = await readNpz(join(folder, 'forward.npz'));
  const loss = lossByName('mse');
  const out = {};
  const f = meanLoss(model, loss, data, { batchSize: data.samples });
  const stored = existsSync(join(folder, 'products.npz')) ? await readNpz(join(folder, 'products.npz')) : undefined;
  const names = model.parameters.map((p) => p.name);
  // a tied tensor may stand in the file under its other name
  for (const what of stored ? ['vector', 'gradient', 'hessian'] : []) {
    for (const [key, array] of [...stored]) {
      if (!key.startsWith(`${what}/`) || names.includes(key.slice(what.length + 1))) continue;
      const [other] = model.parameters.filter((p) => !stored.has(`${what}/${p.name}`) && p.shape.join() === array.shape.join());
      if (other) { stored.set(`${what}/${other.name}`, array); stored.delete(key); }
    }
  }
  const trained = stored ? names.filter((n) => stored.has(`vector/${n}`)) : names;
  const choice = { parameters: trained, dtype: 'float64', device: fresh };
  const H = await curvature('hessian', f, { ...choice, block: 1 });
  const { execution } = H;
  const { objective } = execution;
  // the output in float64
  const graph = execution.graph(0);
  const program = execution.load(graph, new Map(), [{ node: graph.output, binding: 'output' }]);
  const y = new Float64Array(graph.output.shape.reduce((n, d) => n * d, 1));
  const buffer = fresh.allocate(y.byteLength);
  await execution.withData(0, async (batch) => {
    const attached = execution.attachments(program, batch);
    attached.set('output', { buffer, byteOffset: 0 });
    program.run(attached, undefined);
  });
  await fresh.guardAsync(() => fresh.native.read(buffer, 0, y));
  buffer.dispose();
  out.forward = difference(y, forward.get('y').data);
  const evaluator = new GradientEvaluator(execution);
  const { gradient } = await evaluator.evaluate();
  const g = await gradient.read();
  const v = fresh.block('float64', H.rows, 1), w = fresh.block('float64', H.rows, 1);
  if (stored) {
    const flat = (what) => {
      const all = new Float64Array(H.rows);
      objective.parameters.forEach((p, i) => { all.set(stored.get(`${what}/${p.name}`).data, objective.offsets[i]); });
      return all;
    };
    v.write(flat('vector'));
    await H.apply(v, w);
    out.gradient = difference(g, flat('gradient'));
    out.hessian = difference(await w.read(), flat('hessian'));
    out.against = 'PyTorch';
    out.missing = [...stored.keys()].filter((k) => k.startsWith('vector/') && !names.includes(k.slice(7))).length;
  } else {
    out.against = 'differences';
  }
  for (const b of [v, w, gradient]) b.dispose();
  H.dispose();
  return out;
}

async function measure(folder) {
  const device = openDevice({ threads: Number(process.env.THREADS ?? cpus().length), useOneDNN: !process.env.EMBEDDED });
  const forward = await readNpz(join(folder, 'forward.npz'));
  const x = forward.get('x'), target = forward.get('target');
  const before = rss();
  const [model, importSeconds] = await seconds(() => loadModel(join(folder, 'model.onnx')));
  const importBytes = rss() - before;
  const [input] = model.inputs;
  const data = datasetFromArrays({ inputs: { [input.name]: { data: x.data, shape: x.shape } }, target: { data: target.data, shape: target.shape } });
  const f = meanLoss(model, lossByName('mse'), data, { batchSize: data.samples });
  const weights = model.parameters.reduce((n, p) => n + p.shape.reduce((a, b) => a * b, 1), 0);
  const [H, compileSeconds] = await seconds(() => curvature('hessian', f, { block: 1, device }));
  const compileBytes = rss() - before;
  const v = device.block('float32', H.rows, 1), w = device.block('float32', H.rows, 1);
  v.fillRandom('normal', 0, 0);
  await seconds(async () => { await H.apply(v, w); await device.finish(); });
  const times = [];
  for (let i = 0; i < 3; i++) times.push((await seconds(async () => { await H.apply(v, w); await device.finish(); }))[1]);
  const peakBytes = peak();
  v.dispose(); w.dispose(); H.dispose();
  const files = readdirSync(folder).filter((n) => n.startsWith('model.onnx')).reduce((n, name) => n + statSync(join(folder, name)).size, 0);
  const [network, exporter] = /^(.*)-(\w+)$/.exec(basename(folder)).slice(1);
  return {
    network, exporter, parameters: weights, tensors: model.parameters.length, fileBytes: files, input: x.shape, importSeconds, importBytes, compileSeconds, compileBytes, productSeconds: Math.min(...times), peakBytes,
    warnings: model.warnings, errors: await errors(folder, model, data, device),
  };
}

const [first, only] = process.argv.slice(2);
if (first === '--one') {
  console.log(JSON.stringify(await measure(only)));
  process.exit(0);
}
const known = existsSync(resultFile) ? JSON.parse(readFileSync(resultFile, 'utf8')) : { networks: [] };
const byName = new Map(known.networks.map((r) => [`${r.network}-${r.exporter}`, r]));
for (const name of readdirSync(first).sort()) {
  if (!existsSync(join(first, name, 'forward.npz')) || (only && !name.includes(only))) continue;
  try {
    const text = execFileSync(process.execPath, [fileURLToPath(import.meta.url), '--one', join(first, name)], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 1 << 26 });
    const row = JSON.parse(text.trim().split('\n').at(-1));
    byName.set(name, row);
    console.log(name, JSON.stringify({ ...row.errors, import: row.importSeconds, compile: row.compileSeconds, product: row.productSeconds, peak: row.peakBytes / 2 ** 20, warnings: row.warnings }));
  } catch (error) {
    console.log(name, 'FAILED', String(error.stderr ?? error).slice(-600));
  }
  writeFileSync(resultFile, `${JSON.stringify({ machine: cpus()[0].model, threads: cpus().length, node: process.version, networks: [...byName.values()] }, null, 1)}\n`);
}
