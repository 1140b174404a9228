/**
 * Reads damaged files number FROM up to TO of series SEED; started by run.mjs. Before each it writes its number to
 * descriptor 3, so that the parent knows which one ended the process; faults go to standard output, one JSON each.
 */
import { writeSync } from 'node:fs';
import { HessiaError } from '../../../dist/esm/base/errors.js';
import { Graph } from '../../../dist/esm/graph/index.js';
import { modelFromOnnx } from '../../../dist/esm/onnx/index.js';
import { decodeModel } from '../../../dist/esm/onnx/proto/index.js';
import { corpusOf } from './corpus.mjs';
import { damaged } from './mutate.mjs';

const limits = { milliseconds: 5000, bytes: 256 * 2 ** 20, perByte: 10 };

/** what a program does with a file before it computes: decode, find the parameters, read them, write the graph */
function attempt(bytes) {
  const model = modelFromOnnx({ path: 'damaged.onnx', bytes, model: decodeModel(bytes) });
  for (const p of model.parameters) p.values();
  const graph = new Graph();
  const inputs = new Map(
    model.inputs.map((i) => [
      i.name,
      graph.input(
        i.name,
        i.shape.map((d) => d ?? 2),
        i.dtype,
      ),
    ]),
  ); // prettier-ignore
  model.build({ graph, dtype: 'float32', inputs, parameters: new Map() });
}

/** why the file was not handled as it should be, or undefined */
function faultOf(bytes) {
  try {
    attempt(bytes);
    return undefined;
  } catch (error) {
    if (!(error instanceof HessiaError)) return String(error?.stack ?? error);
    if (error.code === 'INTERNAL') return `internal: ${error.stack}`;
    return /[\n\r]/.test(error.message) ? `not one line: ${error.message}` : undefined;
  }
}

const [seed, from, to] = process.argv.slice(2).map(Number);
const corpus = await corpusOf();
if (to === from) {
  process.stdout.write(`${JSON.stringify({ files: corpus.length })}\n`);
  process.exit(0);
}
for (const file of corpus) {
  const fault = faultOf(file.bytes);
  if (fault) process.stdout.write(`${JSON.stringify({ index: -1, name: file.name, fault: `undamaged: ${fault}` })}\n`);
}
globalThis.gc();
let peak = process.resourceUsage().maxRSS * 1024;
for (let index = from; index < to; index++) {
  const { name, bytes } = damaged(corpus, seed, index);
  writeSync(3, `${index}\n`);
  const before = process.cpuUsage();
  let fault = faultOf(bytes);
  const used = process.cpuUsage(before),
    took = (used.user + used.system) / 1000;
  const now = process.resourceUsage().maxRSS * 1024;
  if (!fault && took > limits.milliseconds) fault = `took ${Math.round(took)} ms`;
  if (!fault && now - peak > limits.bytes + limits.perByte * bytes.length) fault = `took ${now - peak} bytes`;
  if (fault) {
    process.stdout.write(`${JSON.stringify({ index, name, fault })}\n`);
    peak = Math.max(peak, now - limits.bytes / 2);
  }
  if (index % 200 === 0) globalThis.gc(); // what earlier files left does not count against later ones
}
writeSync(3, 'done\n');
