/**
 * Whatever is wrong with options, files or environment: exit 2 (1 where the computation fails), nothing on
 * stdout, exactly one line on stderr that starts "hessia: " and names the culprit, no file written.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { toFloat64 } from '../../src/base/convert.js';
import { type NdArray, readNpz, writeNpz } from '../../src/data/index.js';
import { example, fixture, golden, hessia, temporaryFolder } from './cli.js';

const folder = temporaryFolder();
const at = (name: string): string => join(folder, name);
const mlp = fixture('tiny-mlp.onnx');
const data = golden('tiny-mlp.npz');
const out = at('out.npz');

const model = readFileSync(mlp);
writeFileSync(at('truncated.onnx'), model.subarray(0, model.length / 2));
writeFileSync(at('random.onnx'), Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * i * 31 + 17 * i) % 251)));
writeFileSync(at('empty.onnx'), '');
const golden0 = readFileSync(data);
writeFileSync(at('truncated.npz'), golden0.subarray(0, 3000));
writeFileSync(at('random.npz'), Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * i * 31 + 17 * i) % 251)));
mkdirSync(at('folder'));
writeFileSync(at('file'), 'here');

const stored = await readNpz(data);
const inputs = stored.get('x');
const targets = stored.get('target');
if (!inputs || !targets) throw new Error('the golden file has changed');
const [samples = 0, width = 0] = inputs.shape;
const x = { dtype: 'float64' as const, shape: inputs.shape, data: toFloat64(inputs) };
const target = { dtype: 'int32' as const, shape: targets.shape, data: Int32Array.from(toFloat64(targets)) };
const good = { x, target };
await writeNpz(at('good.npz'), Object.entries(good));
await writeNpz(
  at('wide.npz'),
  Object.entries({ ...good, x: { ...x, shape: [samples, width + 1], data: new Float64Array(samples * (width + 1)) } }),
);
await writeNpz(
  at('nan.npz'),
  Object.entries({ ...good, x: { ...x, data: x.data.map((v, i) => (i === 5 ? Number.NaN : v)) } }),
);
await writeNpz(at('class.npz'), Object.entries({ ...good, target: { ...target, data: target.data.map(() => 99) } }));
await writeNpz(at('no-target.npz'), [['x', x]]);
await writeNpz(
  at('one-short.npz'),
  Object.entries({ ...good, target: { ...target, shape: [samples - 1], data: target.data.slice(1) } }),
);

/** The file with the bytes of its first float32 tensor's first value replaced by NaN. */
function withNaN(): Buffer {
  const copy = Buffer.from(model);
  // raw_data of the first initializer: field 9, length-delimited, at least one float long
  const first = copy.indexOf(Buffer.from([0x4a]), 0);
  for (let i = first; i < copy.length - 70; i += 1) {
    const length = copy[i + 1] as number;
    if (copy[i] === 0x4a && length >= 16 && length < 128 && length % 4 === 0) {
      copy.writeFloatLE(Number.NaN, i + 2);
      return copy;
    }
  }
  throw new Error('no raw data found');
}
writeFileSync(at('nan.onnx'), withNaN());

const goodVector = new Map<string, NdArray>();
{
  const info = JSON.parse((await hessia(['info', mlp, '--json'])).stdout) as {
    parameters: { name: string; shape: number[]; count: number }[];
  };
  for (const p of info.parameters)
    goodVector.set(p.name, { dtype: 'float64', shape: p.shape, data: new Float64Array(p.count).fill(1) });
  const [first] = info.parameters;
  if (!first) throw new Error('no parameters');
  const entry = (shape: number[], fill: number): NdArray => ({
    dtype: 'float64',
    shape,
    data: new Float64Array(first.count).fill(fill),
  });
  await writeNpz(at('v-good.npz'), goodVector);
  await writeNpz(at('v-missing.npz'), [...goodVector].slice(1));
  await writeNpz(at('v-extra.npz'), [...goodVector, ['more', entry([first.count], 1)]]);
  await writeNpz(
    at('v-shape.npz'),
    [...goodVector, [first.name, entry([first.count], 1)]].slice(1) as [string, never][],
  );
  await writeNpz(
    at('v-nan.npz'),
    [...goodVector, [first.name, entry(first.shape, Number.NaN)]].slice(1) as [string, never][],
  );
}

const productOf = (...more: string[]): string[] => [
  'product',
  mlp,
  '--data',
  at('good.npz'),
  '--out',
  out,
  '--vector',
  'random',
  ...more,
];
const spectrumOf = (...more: string[]): string[] => [
  'spectrum',
  mlp,
  '--data',
  at('good.npz'),
  '--steps',
  '3',
  '--probes',
  '2',
  ...more,
];

/** what, arguments, what the line must name */
const cases: [string, string[], RegExp][] = [
  ['an unknown command', ['spectra'], /spectra.*spectrum/],
  ['an unknown option', spectrumOf('--step', '3'), /--step/],
  ['an unknown topic of help', ['help', 'nothing'], /nothing/],
  ['too many arguments', ['doctor', 'here'], /argument/],
  ['no model', ['product', '--data', at('good.npz'), '--out', out], /model/],
  ['no data', ['product', mlp, '--out', out], /--data/],
  ['no output', ['product', mlp, '--data', at('good.npz')], /--out/],
  ['no vector', ['product', mlp, '--data', at('good.npz'), '--out', out], /--vector/],
  ['no steps', spectrumOf('--steps', '0'), /--steps/],
  ['steps that are no number', spectrumOf('--steps', 'many'), /--steps/],
  ['half a step', spectrumOf('--steps', '2.5'), /--steps/],
  ['no probes', spectrumOf('--probes', '0'), /--probes/],
  ['no samples', spectrumOf('--samples', '0'), /--samples/],
  ['more samples than there are', spectrumOf('--samples', '100000'), /100000/],
  ['no batch', spectrumOf('--batch-size', '0'), /--batch-size/],
  ['a negative seed', spectrumOf('--seed', '-1'), /--seed/],
  ['a memory that is no size', spectrumOf('--memory', 'plenty'), /--memory.*plenty/],
  ['memory that is not there', spectrumOf('--memory', '900TiB'), /900/],
  ['no threads', spectrumOf('--threads', '0'), /--threads/],
  ['a million threads', spectrumOf('--threads', '1000000'), /--threads/],
  ['a precision there is not', spectrumOf('--dtype', 'float16'), /--dtype.*float32/],
  ['a matrix there is not', spectrumOf('--operator', 'hesse'), /--operator.*hessian/],
  ['a loss there is not', spectrumOf('--loss', 'hinge'), /--loss.*mse/],
  ['a GPU where there is none', spectrumOf('--device', 'cuda'), /cuda.*build/i],
  ['a pattern that matches nothing', spectrumOf('--params', 'layer9.*'), /layer9/],
  ['every parameter frozen', spectrumOf('--freeze', '*'), /parameter/],
  ['a class axis outside the output', spectrumOf('--class-axis', '5'), /axis 5/],
  ['an output there is not', spectrumOf('--model-output', 'nowhere'), /nowhere/],
  ['a loss that is no scalar', spectrumOf('--loss', 'output'), /scalar/],
  ['a scale that is no number', spectrumOf('--scale', '1/x'), /scale/],
  ['a mean that is no number', spectrumOf('--mean', '1,,2'), /--mean/],
  ['a std of zero', spectrumOf('--std', '0'), /std/],
  ['a model that is not there', ['info', at('none.onnx')], /none\.onnx/],
  ['a folder as model', ['info', at('folder')], /folder/],
  ['an empty model', ['info', at('empty.onnx')], /empty\.onnx/],
  ['a truncated model', ['info', at('truncated.onnx')], /truncated\.onnx/],
  ['noise as model', ['info', at('random.onnx')], /random\.onnx/],
  ['data as model', ['info', at('good.npz')], /good\.npz/],
  ['NaN in the weights', ['spectrum', at('nan.onnx'), '--data', at('good.npz')], /NaN/],
  ['data that are not there', ['spectrum', mlp, '--data', at('none.npz')], /none\.npz/],
  ['a folder as data', ['spectrum', mlp, '--data', at('folder')], /folder/],
  ['truncated data', ['spectrum', mlp, '--data', at('truncated.npz')], /truncated\.npz/],
  ['noise as data', ['spectrum', mlp, '--data', at('random.npz')], /random\.npz/],
  ['data of another shape', ['spectrum', mlp, '--data', at('wide.npz')], /shape|wants/],
  ['NaN in the data', ['spectrum', mlp, '--data', at('nan.npz')], /NaN/],
  ['a class outside the output', ['spectrum', mlp, '--data', at('class.npz')], /99/],
  ['no targets', ['spectrum', mlp, '--data', at('no-target.npz')], /target/],
  ['targets given twice', ['spectrum', mlp, '--data', at('good.npz'), '--target', at('good.npz')], /target/],
  ['a target too few', ['spectrum', mlp, '--data', at('one-short.npz')], /target|samples/],
  ['a vector that is not there', productOf('--vector', at('none.npz')), /none\.npz/],
  ['a vector that lacks a parameter', productOf('--vector', at('v-missing.npz')), /lacks/],
  ['a vector with more than the parameters', productOf('--vector', at('v-extra.npz')), /more/],
  ['a vector of another shape', productOf('--vector', at('v-shape.npz')), /shape/],
  ['a vector that holds NaN', productOf('--vector', at('v-nan.npz')), /NaN/],
  ['output into a folder that is not there', productOf('--out', at('nowhere/out.npz')), /nowhere/],
  ['output over a folder', productOf('--out', at('folder')), /folder/],
  ['output below a file', productOf('--out', at('file/out.npz')), /file/],
  ['a report over a file', spectrumOf('--out', at('file')), /file/],
  ['a report below a file', spectrumOf('--out', at('file/report')), /file/],
  ['a report where nothing can be written', spectrumOf('--out', '/proc/hessia-report'), /\/proc/],
  [
    'a function without its method',
    ['trace', mlp, '--data', at('good.npz'), '--function', 'log', '--method', 'hutchinson'],
    /slq/,
  ],
  [
    'products of a method that has none',
    ['trace', mlp, '--data', at('good.npz'), '--method', 'slq', '--products', '5'],
    /--products/,
  ],
  [
    'too few products for a method',
    ['trace', mlp, '--data', at('good.npz'), '--method', 'hutch++', '--products', '2'],
    /products/,
  ],
  ['a tolerance of zero', ['eigs', mlp, '--data', at('good.npz'), '--tolerance', '0'], /--tolerance/],
  ['no eigenvalues', ['eigs', mlp, '--data', at('good.npz'), '--k', '0'], /--k/],
  ['blocks of nothing', ['bench', mlp, '--data', at('good.npz'), '--blocks', '0'], /--blocks/],
  ['a Fisher without draws', spectrumOf('--operator', 'fisher', '--fisher-samples', '0'), /--fisher-samples/],
];

describe('exit 2, one line, nothing else', { concurrent: true }, () => {
  test.for(cases)('%s', { timeout: 60_000 }, async ([, args, names]) => {
    const { code, stdout, stderr } = await hessia(args);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^hessia: [^\n]+\n$/);
    expect(stderr).toMatch(names);
    expect(stderr).not.toMatch(/\bat .*:\d+:\d+|TypeError|undefined/);
    expect(code).toBe(2);
  });
});

test('with --json too, stdout stays empty', async () => {
  const { code, stdout, stderr } = await hessia(['info', at('none.onnx'), '--json']);
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toMatch(/^hessia: [^\n]+\n$/);
});

test('a model that overflows is a failed computation: exit 1', async () => {
  const { code, stdout, stderr } = await hessia([
    'product',
    example('mlp.onnx'),
    '--data',
    example('fashion-mnist-test.npz'),
    '--samples',
    '8',
    '--scale',
    '1e38',
    '--out',
    at('overflow.npz'),
    '--vector',
    'random',
  ]);
  expect(stdout).toBe('');
  expect(stderr).toMatch(/^hessia: .*(finite|NaN|Infinity)[^\n]*\n$/);
  expect(code).toBe(1);
});

test('a stated memory too small for one product is told as it was stated: exit 2', async () => {
  const { code, stdout, stderr } = await hessia(spectrumOf('--memory', '100B'));
  expect(stdout).toBe('');
  expect(stderr).toMatch(/^hessia: a product needs .* more than the 100 B of --memory;[^\n]*\n$/);
  expect(code).toBe(2);
});

test('a full disk is reported', async () => {
  const { code, stderr } = await hessia([...productOf(), '--out', '/dev/full']);
  expect(code).toBe(2);
  expect(stderr).toMatch(/^hessia: .*\/dev\/full.*space[^\n]*\n$/);
});

test('a trace that cannot be written is an error', async () => {
  const { code, stdout, stderr } = await hessia([...productOf(), '--out', at('traced.npz')], {
    env: { HESSIA_TRACE: '/nowhere/trace.txt' },
  });
  expect(stdout).toBe('');
  expect(stderr).toBe('hessia: cannot write the trace (HESSIA_TRACE) to /nowhere/trace.txt: no such file or folder\n');
  expect(code).toBe(2);
});
