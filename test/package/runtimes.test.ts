/**
 * The built package in every way a program can take it in: ESM, CommonJS, TypeScript run by tsx, worker threads, and
 * several computations at once. All must find the same numbers, to the last bit.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
// inside the package, so that its own name resolves as it would for a program that installed it
const folder = mkdtempSync(join(root, 'build', 'runtimes-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Trace of a Hessian's square and the largest eigenvalue: a computation that uses data, products and a solver. */
const work = `async function work(hessia) {
  const model = await hessia.loadModel(${JSON.stringify(join(root, 'examples/mlp.onnx'))});
  const data = await hessia.openDataset(${JSON.stringify(join(root, 'examples/fashion-mnist-test.npz'))});
  const f = hessia.meanLoss(model, hessia.crossEntropy(), data, { samples: 32 });
  await using H = await hessia.hessian(f, { threads: 1 });
  const { largest, trace } = await hessia.spectrum(H, { steps: 4, probes: 1 });
  return [largest[0].value, trace.estimate];
}`;
const print = `.then((r) => console.log(JSON.stringify(r)))`;
const worker = `
  const { Worker, isMainThread, parentPort } = require('node:worker_threads');
  const hessia = require('hessia');
  if (!isMainThread) work(hessia).then((r) => parentPort.postMessage(r));
  else {
    const one = () => new Promise((resolve, reject) => new Worker(__filename).on('message', resolve).on('error', reject));
    Promise.all([one(), one(), work(hessia), work(hessia)])${print};
  }`;

// Node 20 has no \`await using\` yet: TypeScript lowers it, plain programs write try … finally
const plain = work.replace('await using H =', 'const H =').replace(
  /const { largest[\s\S]*?return (.*);/,
  (_, value: string) => `try {
    const { largest, trace } = await hessia.spectrum(H, { steps: 4, probes: 1 });
    return ${value};
  } finally { H.dispose(); }`,
);

const run = promisify(execFile);
async function output(file: string, text: string, ...before: string[]): Promise<unknown> {
  const path = join(folder, file);
  writeFileSync(path, text);
  const { stdout } = await run(process.execPath, [...before, path], { cwd: folder });
  return JSON.parse(stdout);
}

let expected: unknown;
beforeAll(async () => {
  expected = await output('a.mjs', `import * as hessia from 'hessia';\n${plain}\nwork(hessia)${print};`);
});

test('ESM', () => {
  expect(expected).toEqual([expect.any(Number), expect.any(Number)]);
});
test('CommonJS', async () => {
  expect(await output('b.cjs', `const hessia = require('hessia');\n${plain}\nwork(hessia)${print};`)).toEqual(expected);
});
test('TypeScript under tsx, with await using', async () => {
  const text = `import * as hessia from 'hessia';\n${work.replace('(hessia)', '(hessia: typeof import("hessia"))')}\nwork(hessia)${print};`;
  expect(await output('c.mts', text, '--import', import.meta.resolve('tsx'))).toEqual(expected);
});
test('two workers and two computations of the main thread at once', async () => {
  expect(await output('d.cjs', `${plain}\n${worker}`)).toEqual([expected, expected, expected, expected]);
});
