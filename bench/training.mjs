// M-FAC beside SGD in training: epochs and seconds to a target loss, test accuracy, learning curves.
//
// SGD's grid is fixed beforehand: 5 learning rates × 2 momenta × 3 decays, each over the seeds (for nets with `finalists`
// the whole grid at seed 0, and so many of the best over all seeds). The target is SGD's best median final training loss.
// M-FAC: the authors' recipe (λ 1e-5, no momentum, decay in the gradient) with a small grid at seed 0, then all seeds.
// Both take the same epochs, batches and schedule (×0.1 at 1/2 and 3/4 of the run) from the same initial values.
// Losses and epochs do not depend on the machine's load; seconds do.
//   node bench/training.mjs [--nets mlp,cnn] [--quick] [--threads N] [--out FILE]
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ComputationError, crossEntropy, loadModel, meanLoss, onDevice, onHost, openDataset, openDevice, optimizers, train, withFreshParameters } from 'hessia';

const here = dirname(fileURLToPath(import.meta.url));
const images = '/usr/share/datasets/fashion-mnist'; // the Debian package dataset-fashion-mnist
const { values: options } = parseArgs({
  options: { nets: { type: 'string', default: 'mlp,cnn' }, quick: { type: 'boolean', default: false }, threads: { type: 'string', default: '0' }, out: { type: 'string' } },
});
const threads = Number(options.threads) || cpus().length;
const device = openDevice({ threads });

const nets = {
  mlp: { file: 'mlp.onnx', mode: 'eval', samples: 5000, testSamples: 2000, batchSize: 128, epochs: 12, window: 256 },
  cnn: { file: 'cnn.onnx', mode: 'train', samples: 2048, testSamples: 1000, batchSize: 128, epochs: 8, window: 256, finalists: 3 },
};
const grid = { learningRate: [0.01, 0.03, 0.1, 0.3, 1], momentum: [0, 0.9], weightDecay: [0, 5e-4, 3e-3] };
const mfacGrid = { learningRate: [1e-3, 3e-3, 1e-2], damping: [1e-5, 1e-4], weightDecay: [0, 3e-3] };
let seeds = [0, 1, 2];
if (options.quick) {
  seeds = [0, 1];
  Object.assign(grid, { learningRate: [0.03, 0.1], momentum: [0.9], weightDecay: [0] });
  Object.assign(mfacGrid, { learningRate: [1e-3], damping: [1e-5], weightDecay: [0] });
  for (const net of Object.values(nets)) Object.assign(net, { samples: 256, testSamples: 128, batchSize: 64, epochs: 2, window: 4, finalists: undefined });
}

/** every choice of one value each */
const combinations = (lists) =>
  Object.entries(lists).reduce((all, [key, values]) => all.flatMap((c) => values.map((v) => ({ ...c, [key]: v }))), [{}]);
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const final = (run) => run.epochs?.at(-1).trainLoss ?? Number.POSITIVE_INFINITY;

function open(part, samples) {
  const stem = join(images, part);
  return openDataset(`${stem}-images-idx3-ubyte.gz`, { target: `${stem}-labels-idx1-ubyte.gz`, scale: '1/255', samples });
}

async function compare(net) {
  const { file, mode, batchSize, epochs, window, finalists } = net;
  const [data, test] = await Promise.all([open('train', net.samples), open('t10k', net.testSamples)]);
  const [model, tested] = await Promise.all([mode, 'eval'].map((m) => loadModel(join(here, '../examples', file), { mode: m })));
  const f = meanLoss(model, crossEntropy(), data, { batchSize });
  const perEpoch = Math.ceil(net.samples / batchSize);
  const schedule = optimizers.stepDecay([0.5, 0.75].map((part) => Math.round(part * epochs) * perEpoch), 0.1);

  /** a run that diverges has no epochs */
  async function run(method, choice, seed) {
    const start = withFreshParameters(f, seed);
    const algorithm = method === 'sgd' ? onHost(optimizers.sgd({ ...choice, schedule })) : onDevice({ ...choice, schedule, capacity: window });
    try {
      const result = await train(start.f, {
        algorithm, epochs, seed, device, statistics: start.statistics, describe: method,
        learningRate: (done) => choice.learningRate * schedule(done), test: meanLoss(tested, crossEntropy(), test),
      });
      return { seed, epochs: result.epochs };
    } catch (error) {
      if (!(error instanceof ComputationError)) throw error;
      return { seed, diverged: error.message };
    }
  }
  /** the whole grid at the first seed, then `count` of the best at the others */
  async function search(method, lists, count) {
    const tried = [];
    for (const choice of combinations(lists)) {
      tried.push({ choice, runs: [await run(method, choice, seeds[0])] });
      process.stderr.write(`\r${file} ${method} ${tried.length} `);
    }
    const ranked = [...tried].sort((a, b) => final(a.runs[0]) - final(b.runs[0]));
    for (const each of ranked.slice(0, count ?? ranked.length)) {
      for (const seed of seeds.slice(1)) each.runs.push(await run(method, each.choice, seed));
      each.median = median(each.runs.map(final));
      process.stderr.write('.');
    }
    process.stderr.write('\n');
    const best = ranked.filter((t) => t.median !== undefined).sort((a, b) => a.median - b.median)[0];
    return { grid: lists, tried: tried.map((t) => ({ ...t.choice, final: t.runs.map(final), median: t.median })), best };
  }
  const sgd = await search('sgd', grid, finalists);
  const mfac = await search('mfac', mfacGrid, 1);
  const target = sgd.best.median;
  const summary = ({ best }) => ({
    options: best.choice,
    median: best.median,
    runs: best.runs.map((r) => {
      const reached = r.epochs?.findIndex((e) => e.trainLoss <= target) ?? -1;
      return {
        seed: r.seed, final: final(r), testAccuracy: r.epochs?.at(-1).testAccuracy ?? null,
        epochsToTarget: reached < 0 ? null : reached + 1,
        secondsToTarget: reached < 0 ? null : r.epochs.slice(0, reached + 1).reduce((sum, e) => sum + e.seconds, 0),
        seconds: r.epochs?.reduce((sum, e) => sum + e.seconds, 0) ?? null,
        curve: r.epochs?.map(({ epoch, trainLoss, testLoss, testAccuracy, seconds }) => ({ epoch, trainLoss, testLoss, testAccuracy, seconds })) ?? [],
      };
    }),
  });
  await Promise.all([data.dispose(), test.dispose()]);
  return {
    ...net, parameters: f.model.parameters.reduce((sum, p) => sum + p.shape.reduce((a, b) => a * b, 1), 0), target,
    sgd: { ...summary(sgd), grid: sgd.grid, tried: sgd.tried }, mfac: { ...summary(mfac), grid: mfac.grid, tried: mfac.tried },
  };
}

const result = {
  date: new Date().toISOString(), cpu: cpus()[0].model, device: device.name, threads, node: process.version, quick: options.quick, seeds,
  note: 'losses and epochs do not depend on the load of the machine, seconds do; the training loss is the mean over minibatches before their updates',
  load: { before: loadavg() }, nets: {},
};
try { result.commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: here, encoding: 'utf8' }).trim(); } catch { result.commit = 'unknown'; }
result.version = JSON.parse(readFileSync(join(here, '../package.json'), 'utf8')).version;
const out = options.out ?? join(here, 'results', `${result.date.slice(0, 10)}-training.json`);
mkdirSync(dirname(out), { recursive: true });
const started = performance.now();
for (const name of options.nets.split(',')) {
  const row = await compare(nets[name]);
  result.nets[name] = row;
  result.load.after = loadavg();
  result.seconds = (performance.now() - started) / 1000;
  writeFileSync(out, `${JSON.stringify(result, null, 1)}\n`);
  console.log(`${name}: target ${row.target.toFixed(4)} (SGD ${JSON.stringify(row.sgd.options)}; M-FAC ${JSON.stringify(row.mfac.options)}, median ${row.mfac.median.toFixed(4)})`);
  for (const method of ['sgd', 'mfac'])
    for (const r of row[method].runs)
      console.log(`  ${method.padEnd(4)} seed ${r.seed}: loss ${r.final.toFixed(4)}, accuracy ${r.testAccuracy}, target after ${r.epochsToTarget ?? '–'} of ${row.epochs} epochs, ${r.secondsToTarget?.toFixed(1) ?? '–'} s of ${r.seconds?.toFixed(1) ?? '–'} s`);
}
device.dispose();
console.log(`written to ${out}`);
