/** Parameters written back into copies of files. */
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bfloatToNumber, halfToNumber, numberToBfloat, numberToHalf } from '../../src/base/convert.js';
import type { ArrayDType, NdArray } from '../../src/base/ndarray.js';
import { type ImportedModel, loadOnnx, writeOnnx } from '../../src/onnx/index.js';
import { encodeModel, makeTensor, type OnnxTensor } from '../../src/onnx/proto/index.js';
import { difference, runModel } from './run.js';
import { graph, info, modelOf, node, tensor } from './small.js';

const fixtures = join(import.meta.dirname, '../fixtures');
const files = [
  ...['tiny-cnn', 'tiny-attention-fused', 'mlp-classic', 'mlp-external', 'tiny-residual'],
  ...['float-data', 'float16-weights', 'identity-alias', 'tied-weights', 'constant-weights', 'local-function'].map(
    (name) => `unusual/${name}`,
  ),
].map((name) => join(fixtures, `${name}.onnx`));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hessia-save-'));
});
afterAll(() => rm(folder, { recursive: true }));

const all = (model: ImportedModel): Map<string, ArrayLike<number>> =>
  new Map(model.parameters.map((p) => [p.name, p.values()]));
/** other numbers that every floating-point type holds exactly: multiples of 1/8 up to 4 */
const changed = (model: ImportedModel): Map<string, Float64Array> =>
  new Map(
    model.parameters.map((p, k) => [
      p.name,
      Float64Array.from(p.values(), (_, i) => (((i * 7 + k * 3) % 31) - 15) / 8),
    ]),
  );
const inputsOf = (model: ImportedModel): Record<string, NdArray> =>
  Object.fromEntries(
    model.inputs.map(({ name, shape, dtype }) => {
      const extents = shape.map((d) => d ?? 2),
        count = extents.reduce((n, d) => n * d, 1);
      const whole = dtype === 'int32';
      return [
        name,
        {
          dtype: 'float32',
          shape: extents,
          data: Float32Array.from({ length: count }, (_, i) => (whole ? i % 3 : Math.sin(i))),
        },
      ];
    }),
  );

describe.each(files)('%s', (file) => {
  const target = (): string => join(folder, basename(file));

  // an alias gets an initializer of its own whenever it is given values
  test.skipIf(file.includes('alias'))('is the same file where nothing changes', async () => {
    await writeOnnx(file, all(await loadOnnx(file)), target());
    expect(await readFile(target())).toEqual(await readFile(file));
  });

  test('computes with its new parameters and keeps all names', async () => {
    const before = await loadOnnx(file),
      values = changed(before);
    await writeOnnx(file, values, target());
    const after = await loadOnnx(target());
    expect(after.parameters.map((p) => [p.name, p.shape]).sort()).toEqual(
      before.parameters.map((p) => [p.name, p.shape]).sort(),
    );
    for (const p of after.parameters) expect(Float64Array.from(p.values()), p.name).toEqual(values.get(p.name));
    // the old file given the new parameters from outside
    const given = {
      ...before,
      parameters: before.parameters.map((p) => ({ ...p, values: () => values.get(p.name)! })),
    };
    const inputs = inputsOf(before);
    const expected = runModel(given, inputs, { parameters: 'inputs' }),
      found = runModel(after, inputs);
    for (const [name, { data }] of expected) expect(difference(found.get(name)!.data, data)).toBeLessThan(1e-14);
  });
});

test('only the bytes of the tensor that changes are touched', async () => {
  const file = join(fixtures, 'tiny-cnn.onnx'),
    target = join(folder, 'one.onnx');
  const parameter = (await loadOnnx(file)).parameters[0]!;
  await writeOnnx(file, new Map([[parameter.name, new Float32Array(parameter.values().length).fill(1 / 3)]]), target);
  const [a, b] = [await readFile(file), await readFile(target)];
  expect(b.length).toBe(a.length);
  const touched = [...a.keys()].filter((i) => a[i] !== b[i]);
  expect(touched.length).toBeGreaterThan(0);
  expect(touched.at(-1)! - touched[0]!).toBeLessThan(4 * parameter.values().length);
});

/** a file with weights w as given */
async function written(name: string, w: OnnxTensor): Promise<string> {
  const path = join(folder, `${name}.onnx`);
  const nodes = [
    node('Cast', ['w'], ['wide'], { to: 1 }),
    node('Mul', ['x', 'wide'], ['a']),
    node('Add', ['a', 'b'], ['y']),
  ];
  await writeFile(path, encodeModel(modelOf(graph(nodes, [w, tensor('b', [4])], [info('x', ['batch', 4])]))));
  return path;
}

describe('every type', () => {
  const numbers = [1 / 3, -2.5e-3, 65504, -0];
  const rounded: Record<string, (v: number) => number> = {
    float64: (v) => v,
    float32: Math.fround,
    float16: (v) => halfToNumber(numberToHalf(v)),
    bfloat16: (v) => bfloatToNumber(numberToBfloat(v)),
  };
  const stored: Record<string, new (n: number) => NdArray['data']> = {
    float64: Float64Array,
    float32: Float32Array,
    float16: Uint16Array,
    bfloat16: Uint16Array,
  };
  test.each(Object.keys(rounded))('%s as raw data', async (type) => {
    const array = { dtype: type as ArrayDType, shape: [4], data: new stored[type]!(4) } as NdArray;
    const path = await written(type, makeTensor('w', array));
    await writeOnnx(path, new Map([['w', numbers]]), path);
    expect(Array.from((await loadOnnx(path)).parameters[0]!.values())).toEqual(numbers.map(rounded[type]!));
  });
  test.each(Object.keys(rounded))('%s as typed fields', async (type) => {
    // float_data and double_data packed, the bits of half types in int32_data, one value per tag
    const message =
      type === 'float32'
        ? [34, 16, ...new Array<number>(16).fill(0)]
        : type === 'float64'
          ? [82, 32, ...new Array<number>(32).fill(0)]
          : [40, 1, 40, 2, 40, 0x80, 1, 40, 4];
    const w: OnnxTensor = {
      ...tensor('w', [4]),
      dataType: type as 'float32',
      payload: { kind: 'fields', message: Uint8Array.from(message) },
    };
    const path = await written(`typed-${type}`, w);
    await writeOnnx(path, new Map([['w', numbers]]), path);
    const model = await loadOnnx(path);
    expect(Array.from(model.parameters[0]!.values())).toEqual(numbers.map(rounded[type]!));
    expect(Array.from(model.parameters[1]!.values())).toEqual([0.5, 0.5, 0.5, 0.5]);
  });
});

describe('what is refused, with nothing written', () => {
  const file = join(fixtures, 'tiny-mlp.onnx');
  const attempt = async (values: Map<string, number[]>, source = file): Promise<string> => {
    const target = join(folder, 'refused.onnx');
    const error = await writeOnnx(source, values, target).catch((e: Error) => e);
    expect(await readdir(folder)).not.toContain('refused.onnx');
    return (error as Error).message;
  };
  test('names of nothing', async () =>
    expect(await attempt(new Map([['none', [1]]]))).toMatch(/stores no tensor named "none"/));
  test('other sizes', async () => {
    const { name } = (await loadOnnx(file)).parameters[0]!;
    expect(await attempt(new Map([[name, [1]]]))).toMatch(/has \d+ elements, got 1/);
  });
});

describe('external data', () => {
  const copied = async (name: string): Promise<string> => {
    const shared = join(folder, name);
    await mkdir(shared);
    for (const name of ['mlp-external.onnx', 'mlp-external.onnx.data'])
      await cp(join(fixtures, name), join(shared, name));
    return shared;
  };
  test('of a copy beside the original go into a file of its own; the original stays as it is', async () => {
    const shared = await copied('shared');
    const source = join(shared, 'mlp-external.onnx'),
      target = join(shared, 'other.onnx');
    const before = [await readFile(source), await readFile(`${source}.data`)];
    const original = await loadOnnx(source),
      values = changed(original);
    const [first] = values.keys();
    // twice, the second time over the first
    for (const only of [false, true]) {
      const given = only ? new Map([[first!, values.get(first!)!]]) : values;
      await writeOnnx(source, given, target);
      expect([await readFile(source), await readFile(`${source}.data`)]).toEqual(before);
      expect((await readdir(shared)).sort()).toEqual(
        ['mlp-external.onnx', 'mlp-external.onnx.data', 'other.onnx', 'other.onnx.data'].sort(),
      );
      const copy = await loadOnnx(target);
      expect(copy.parameters.map((p) => p.name)).toEqual(original.parameters.map((p) => p.name));
      copy.parameters.forEach((p, i) => {
        const wanted = given.get(p.name) ?? original.parameters[i]!.values();
        expect([...p.values()], p.name).toEqual([...wanted]);
      });
    }
    // a copy of the copy does not write over what the first reads
    const again = join(shared, 'other.onnx.data');
    const kept = await readFile(again);
    await writeOnnx(target, values, join(shared, 'third.onnx'));
    expect(await readFile(again)).toEqual(kept);
    // nor one whose model was renamed and whose name is given again
    await cp(target, join(shared, 'renamed.onnx'));
    await writeOnnx(join(shared, 'renamed.onnx'), values, target);
    expect(await readFile(again)).toEqual(kept);
    expect(await readdir(shared)).toContain('other.onnx.1.data');
    // nothing changed: the copy reads the original's data
    await writeOnnx(source, new Map(), join(shared, 'same.onnx'));
    expect(await readFile(join(shared, 'same.onnx'))).toEqual(before[0]);
    expect(await readdir(shared)).not.toContain('same.onnx.data');
  });
  test('are changed in place with the model', async () => {
    const source = join(await copied('place'), 'mlp-external.onnx');
    const values = changed(await loadOnnx(source));
    await writeOnnx(source, values, source);
    expect(Float64Array.from((await loadOnnx(source)).parameters[0]!.values())).toEqual([...values.values()][0]);
  });
});
