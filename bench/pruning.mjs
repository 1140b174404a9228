// node bench/pruning.mjs --data FOLDER [--part mlp|cnn|all] [--seeds 3] [--threads N] [--cache FOLDER] [--out FILE]
// Accuracy after pruning, method by method, on Fashion-MNIST (the folder of Debian's dataset-fashion-mnist, unpacked):
//   mlp   784-40-20-10, trained here by seed; one-shot at 50 to 98 %, the published comparison of Fisher approximations
//   cnn   examples/cnn.onnx at 90 to 98 %, one-shot, and gradually with fine-tuning
// Prints tables and writes bench/results/pruning.json.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  crossEntropy, layers, loadModel, meanLoss, nn, onHost, openDataset, openDevice, optimizers, prune, pruningMethods, readSafetensors, trace, train,
  withFreshParameters, withParameters, writeSafetensors,
} from 'hessia';

const here = dirname(fileURLToPath(import.meta.url));
const { values: options } = parseArgs({
  options: {
    data: { type: 'string' }, part: { type: 'string', default: 'all' }, seeds: { type: 'string', default: '3' }, threads: { type: 'string', default: '0' },
    cache: { type: 'string' }, out: { type: 'string' },
  },
});
if (!options.data) throw new Error('--data FOLDER: where train-images-idx3-ubyte and its three siblings are');
const device = openDevice(Number(options.threads) > 0 ? { threads: Number(options.threads) } : {});
const open = (set) =>
  openDataset(join(options.data, `${set}-images-idx3-ubyte`), { target: join(options.data, `${set}-labels-idx1-ubyte`), scale: 1 / 255 });
const [trainData, testData] = [await open('train'), await open('t10k')];
const percent = (x) => (100 * x).toFixed(1);
const mean = (list) => list.reduce((a, b) => a + b, 0) / list.length;
const deviation = (list) => Math.sqrt(list.reduce((s, x) => s + (x - mean(list)) ** 2, 0) / Math.max(1, list.length - 1));

/** trained here, or as an earlier run left it in the cache */
async function mlp(seed) {
  const net = layers.sequential(layers.linear(784, 40), nn.relu, layers.linear(40, 20), nn.relu, layers.linear(20, 10));
  const model = trace((p, { x }) => net.apply(p, nn.reshape(x, [x.shape[0], 784])), { parameters: net.parameters, inputs: { x: [null, 28, 28] } });
  const file = options.cache && join(options.cache, `mlp-${seed}.safetensors`);
  if (file && existsSync(file)) return withParameters(model, await readSafetensors(file));
  const f = meanLoss(model, crossEntropy(), trainData, { batchSize: 64 });
  const epochs = 12, learningRate = 0.05;
  const schedule = optimizers.cosine(Math.ceil(trainData.samples / 64) * epochs);
  const { values } = await train(withFreshParameters(f, seed).f, {
    device, seed, epochs, algorithm: onHost(optimizers.sgd({ learningRate, momentum: 0.9, schedule })), learningRate: (t) => learningRate * schedule(t),
    describe: 'sgd',
  });
  const arrays = new Map(model.parameters.map(({ name, shape }) => [name, { dtype: 'float64', shape, data: values[name] }]));
  if (file) await writeSafetensors(file, arrays);
  return withParameters(model, arrays);
}

function record(results, where, r) {
  const { method, sparsity, before, after, predictedIncrease, measuredIncrease, seconds } = r;
  results.push({ ...where, method, sparsity, before, after, predictedIncrease, measuredIncrease, seconds });
  console.log(Object.values(where).join(' '), method, percent(sparsity), `accuracy ${percent(after.accuracy)} loss ${after.loss.toFixed(4)} (+${measuredIncrease.toFixed(4)}, predicted ${predictedIncrease?.toFixed(4)}) ${seconds.toFixed(1)} s`);
}

/** one table: methods by sparsity, mean ± standard deviation over seeds */
function table(title, results) {
  const sparsities = [...new Set(results.map((r) => r.wanted))].sort((a, b) => a - b);
  console.log(`\n${title}\n${'method'.padEnd(28)}${sparsities.map((s) => `${100 * s} %`.padStart(14)).join('')}`);
  for (const key of new Set(results.map((r) => `${r.method} ${r.how ?? ''}`))) {
    const cells = sparsities.map((s) => {
      const own = results.filter((r) => `${r.method} ${r.how ?? ''}` === key && r.wanted === s).map((r) => r.after.accuracy);
      return (own.length === 0 ? '' : `${percent(mean(own))} ± ${percent(deviation(own))}`).padStart(14);
    });
    console.log(key.padEnd(28) + cells.join(''));
  }
}

async function mlpPart() {
  const sparsity = [0.8, 0.9, 0.95, 0.98];
  const results = [];
  for (let seed = 0; seed < Number(options.seeds); seed++) {
    const model = await mlp(seed);
    const f = meanLoss(model, crossEntropy(), trainData, { samples: 10000, batchSize: 1000 });
    const test = meanLoss(model, crossEntropy(), testData, { batchSize: 1000 });
    const runs = [
      ['random', {}], ['magnitude', {}], ['obs-diagonal', { gradients: 4096, damping: 1e-5 }], ['woodfisher', { gradients: 4096, damping: 1e-5 }],
      ['woodfisher', { gradients: 4096, damping: 1e-4 }], ['obs-diagonal', { gradients: 2048, damping: 1e-4 }, 8],
      ['woodfisher', { gradients: 2048, damping: 1e-4 }, 8], ['mfac', { gradients: 512, damping: 1e-5 }],
    ];
    for (const [name, fisher, steps = 1] of runs) {
      const how = name in { random: 1, magnitude: 1 } ? '' : `m=${fisher.gradients} λ=${fisher.damping}${steps > 1 ? `, ${steps} steps` : ''}`;
      for (const r of await prune(f, { device, method: pruningMethods[name](fisher), sparsity: steps === 1 ? sparsity : 0.95, steps, seed, test }))
        record(results, { seed, how, wanted: Math.round(1e3 * r.sparsity) / 1e3 }, r);
    }
  }
  table('784-40-20-10, test accuracy in %', results);
  return results;
}

async function cnnPart() {
  const model = await loadModel(join(here, '../examples/cnn.onnx'));
  const test = meanLoss(model, crossEntropy(), testData, { batchSize: 500, samples: 2000 });
  const results = [];
  const [explicit, stored] = [{ gradients: 512, damping: 1e-4 }, { gradients: 256, damping: 1e-5 }];
  const f = meanLoss(model, crossEntropy(), trainData, { samples: 512, batchSize: 128 });
  for (const [name, fisher, steps, sparsity] of [
    ['magnitude', {}, 1, [0.8, 0.9, 0.95, 0.98]], ['obs-diagonal', explicit, 1, [0.8, 0.9, 0.95]], ['woodfisher', explicit, 1, [0.8, 0.9, 0.95]],
    ['mfac', stored, 1, [0.8, 0.9, 0.95]], ['woodfisher', explicit, 8, [0.9, 0.95, 0.98]], ['mfac', stored, 8, [0.9, 0.95]],
  ])
    for (const r of await prune(f, { device, method: pruningMethods[name](fisher), sparsity, steps, test }))
      record(results, { how: steps === 1 ? 'one-shot' : `${steps} steps`, wanted: Math.round(1e3 * r.sparsity) / 1e3 }, r);
  // three events, an epoch over a tenth of the training data after each
  const tuned = meanLoss(model, crossEntropy(), trainData, { samples: 6000, batchSize: 64 });
  const fineTuning = { epochs: 1, algorithm: onHost(optimizers.adam({ learningRate: 1e-3 })) };
  const wanted = [0.95, 0.98];
  for (const name of ['magnitude', 'woodfisher'])
    for (const [i, r] of (
      await prune(tuned, { device, method: pruningMethods[name](name === 'mfac' ? stored : explicit), sparsity: wanted, steps: 2, events: 3, fineTuning, test })
    ).entries())
      record(results, { how: 'gradual', wanted: wanted[i] }, r);
  table('examples/cnn.onnx, test accuracy in %', results);
  return results;
}

const document = { date: new Date().toISOString().slice(0, 10), device: device.name, threads: device.threads };
if (options.part !== 'cnn') document.mlp = await mlpPart();
if (options.part !== 'mlp') document.cnn = await cnnPart();
const out = options.out ?? join(here, 'results', 'pruning.json');
mkdirSync(dirname(out), { recursive: true });
writeFileSync(out, `${JSON.stringify(document, null, 1)}\n`);
console.log(`\nwritten ${out}`);
