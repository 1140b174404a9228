// Dependencies point one way (docs/architecture.md). Each folder of src may import only those listed for it.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', 'src');
const allowed = {
  base: [],
  program: [],
  graph: ['base', 'program'],
  transform: ['base', 'program', 'graph'],
  device: ['base', 'program'],
  data: ['base'],
  onnx: ['base', 'program', 'graph', 'transform', 'data', 'model/model'],
  model: ['base', 'program', 'graph', 'transform', 'device', 'data'],
  trace: ['base', 'program', 'graph', 'transform', 'device', 'data', 'model', 'operators'],
  operators: ['base', 'program', 'graph', 'transform', 'device', 'data', 'model'],
  // solvers know operators by their interface alone
  solvers: ['base', 'program', 'device', 'operators/linear-operator'],
  // gradients and the matrices made of them: operators whose insides are gradient rows
  mfac: ['base', 'program', 'graph', 'transform', 'device', 'data', 'model', 'operators'],
  // what the layers of a model read and receive, and statistics made of that
  taps: ['base', 'program', 'graph', 'transform', 'device', 'data', 'model', 'operators', 'mfac'],
  optimizers: ['base', 'program', 'device', 'mfac', 'operators/linear-operator'],
  training: ['base', 'program', 'device', 'data', 'model', 'operators', 'taps', 'trace', 'mfac', 'optimizers'],
  // scores and masks: above training, which it runs under a mask
  pruning: [
    'base',
    'program',
    'graph',
    'transform',
    'device',
    'data',
    'model',
    'operators',
    'taps',
    'mfac',
    'training',
  ],
  // weights in few bits, by the layer-wise methods that pruning has, too
  quantization: ['base', 'program', 'graph', 'device', 'data', 'model', 'operators', 'taps', 'pruning'],
  report: ['base', 'program', 'solvers', 'operators', 'model'],
  cli: null,
};
const problems = [];
function* files(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* files(path);
    else if (path.endsWith('.ts')) yield path;
  }
}
for (const file of files(root)) {
  const from = relative(root, file).split('/');
  if (from.length === 1) continue; // src/index.ts gathers everything
  const rule = allowed[from[0]];
  if (rule === undefined) problems.push(`src/${from.join('/')}: no rule for folder '${from[0]}'`);
  if (rule === null || rule === undefined) continue;
  for (const [, target] of readFileSync(file, 'utf8').matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)) {
    const to = relative(root, resolve(dirname(file), target)).replace(/\.js$/, '');
    const fits = to.startsWith(`${from[0]}/`) || rule.some((r) => to === r || to.startsWith(`${r}/`));
    if (!fits) problems.push(`src/${from.join('/')} may not import src/${to}`);
  }
}
for (const p of problems) console.error(p);
console.error(
  problems.length === 0 ? 'dependency directions: fine' : `dependency directions: ${problems.length} wrong`,
);
process.exit(problems.length === 0 ? 0 : 1);
