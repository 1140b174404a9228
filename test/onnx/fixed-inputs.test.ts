/** Inputs given one value when a file is loaded, and weights inside the branch that this chooses. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadOnnx, writeOnnx } from '../../src/onnx/index.js';
import { encodeModel } from '../../src/onnx/proto/index.js';
import { runModel } from './run.js';
import { graph, info, modelOf, node, tensor } from './small.js';

let folder: string, file: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hessia-fixed-'));
  file = join(folder, 'rates.onnx');
  // as voice detectors are exported: one set of weights per sampling rate, and a state that the caller carries
  const branch = (name: string, value: number) =>
    graph(
      [node('Mul', ['x', `${name}.weight`], [`${name}.a`]), node('Add', [`${name}.a`, 'state'], [`${name}.y`])],
      [tensor(`${name}.weight`, [4], value)],
      [],
      [`${name}.y`],
    );
  const nodes = [
    node('Equal', ['rate', 'fast'], ['c']),
    node('If', ['c'], ['y'], { then_branch: branch('fast', 2), else_branch: branch('slow', 3) }),
  ];
  const inputs = [info('x', ['batch', 4]), info('rate', [], 'int64'), info('state', ['batch', 1])];
  await writeFile(file, encodeModel(modelOf(graph(nodes, [tensor('fast', [], [16000], 'int64')], inputs))));
});
afterAll(() => rm(folder, { recursive: true }));

const x = { dtype: 'float32', shape: [3, 4], data: new Float32Array(12).fill(1) } as const;

describe('fixed inputs', () => {
  test.each([
    [16000, 'fast.weight', 7],
    [8000, 'slow.weight', 8],
  ])('rate %d takes the branch with %s', async (rate, name, expected) => {
    const model = await loadOnnx(file, { fix: { rate, state: 5 } });
    expect(model.inputs.map((i) => i.name)).toEqual(['x']);
    expect(model.parameters.map((p) => p.name)).toEqual([name]);
    for (const parameters of ['constants', 'inputs'] as const) {
      const { shape, data } = runModel(model, { x }, { parameters }).get('y')!;
      expect(shape).toEqual([3, 4]);
      expect([...data]).toEqual(new Array(12).fill(expected));
    }
  });
  test('a weight inside a branch is written back', async () => {
    const fix = { rate: 8000, state: 0 },
      target = join(folder, 'changed.onnx');
    await writeOnnx(file, new Map([['slow.weight', [1, 2, 3, 4]]]), target);
    const data = runModel(await loadOnnx(target, { fix }), { x }).get('y')!.data;
    expect([...data]).toEqual([1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4]);
  });
  test('other values are another model', async () => {
    const [a, b] = await Promise.all([16000, 8000].map((rate) => loadOnnx(file, { fix: { rate, state: 0 } })));
    expect(a!.fingerprint).not.toBe(b!.fingerprint);
  });
  test('without a value the refusal says how to give one; unknown names are refused', async () => {
    await expect(loadOnnx(file)).rejects.toThrow(/condition.*--fix NAME=NUMBER/);
    await expect(loadOnnx(file, { fix: { speed: 1 } })).rejects.toThrow(
      'no input "speed" to fix (it has "x", "rate", "state")',
    );
  });
});
