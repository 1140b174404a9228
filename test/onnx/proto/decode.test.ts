import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import {
  decodeModel,
  encodeModel,
  makeTensor,
  type OnnxModel,
  type OnnxTensor,
  tensorArray,
  tensorNumbers,
  tensorStrings,
} from '../../../src/onnx/proto/index.js';
import { minifloatTable } from '../../../src/onnx/proto/minifloat.js';
import { byteFlips, failsProperly, truncations } from '../../base/fuzz.js';
import { expected, fixture, parseNumber, parseValues, valuesOf } from './fixture.js';

const bytes = new Uint8Array(await readFile(fixture('everything.onnx')));
const model = decodeModel(bytes);
const tensor = (name: string): OnnxTensor => model.graph.initializers.find((each) => each.name === name)!;

describe('a model that uses all of the format', () => {
  test('header', () => {
    expect(model).toMatchObject({
      irVersion: 8,
      producerName: 'make',
      producerVersion: '1',
      domain: 'example',
      modelVersion: 3,
      docString: 'a model',
    });
    expect([...model.opsetImports]).toEqual([
      ['', 18],
      ['local', 1],
    ]);
    expect([...model.metadata]).toEqual([['key', 'value']]);
  });

  test('inputs and outputs', () => {
    expect(model.graph.inputs.map(({ name, type }) => [name, type])).toEqual([
      ['x', { kind: 'tensor', elementType: 'float32', shape: ['batch', 3, undefined] }],
      ['c', { kind: 'tensor', elementType: 'bool', shape: [] }],
      ['s', { kind: 'sequence', element: { kind: 'tensor', elementType: 'int64', shape: undefined } }],
      ['o', { kind: 'optional', element: { kind: 'tensor', elementType: 'float32', shape: [2] } }],
    ]);
    expect(model.graph.outputs.map(({ name }) => name)).toEqual(['w']);
    expect(model.graph.valueInfos.map(({ name }) => name)).toEqual(['y']);
  });

  test('attributes of every kind', () => {
    const [first, choice] = model.graph.nodes;
    expect(first).toMatchObject({
      name: 'first',
      opType: 'Identity',
      domain: '',
      docString: 'notes',
      inputs: ['x', ''],
      outputs: ['y'],
    });
    const value = (name: string): unknown => {
      const attribute = first!.attributes.get(name);
      return attribute && 'value' in attribute ? attribute.value : undefined;
    };
    expect(value('one')).toBe(1);
    expect(value('minus')).toBe(-1);
    expect(value('end')).toBe(2 ** 63);
    expect(value('half')).toBe(0.5);
    expect(value('word')).toBe('text');
    expect(value('ints')).toEqual([1, -2, 3]);
    expect(value('floats')).toEqual([0.5, 0.25]);
    expect(value('words')).toEqual(['a', 'b']);
    const seven = first!.attributes.get('tensor');
    expect(seven?.type === 'tensor' && tensorNumbers(seven.value)).toEqual([7, 8]);
    const branch = choice!.attributes.get('then_branch');
    expect(branch?.type === 'graph' && branch.value.nodes.map(({ opType }) => opType)).toEqual(['Identity']);
  });

  test('functions', () => {
    expect(model.functions).toHaveLength(1);
    const [twice] = model.functions;
    expect(twice).toMatchObject({
      name: 'Twice',
      domain: 'local',
      inputs: ['a'],
      outputs: ['b'],
      attributes: ['factor'],
    });
    expect(twice!.attributeDefaults.get('shift')).toEqual({ name: 'shift', type: 'int', value: 1 });
    expect(twice!.nodes[0]!.attributes.get('alpha')).toEqual({
      name: 'alpha',
      type: 'reference',
      to: 'factor',
      of: 'float',
    });
  });

  test('sparse tensors, strings, empty and scalar tensors', () => {
    const [sparse] = model.graph.sparseInitializers;
    expect(sparse!.dims).toEqual([2, 3]);
    expect(tensorNumbers(sparse!.values)).toEqual([1.5, 2.5]);
    expect(tensorNumbers(sparse!.indices)).toEqual([0, 5]);
    expect(tensorStrings(tensor('words'))).toEqual(['one', 'zwölf']);
    expect(tensorArray(tensor('nothing'))).toMatchObject({ dtype: 'float32', shape: [0, 3] });
    expect(tensorArray(tensor('scalar'))).toEqual({ dtype: 'float32', shape: [], data: Float32Array.of(2.5) });
  });
});

describe('tensors of every type, raw and typed, have the values onnx reads', () => {
  const names = Object.keys(expected).filter((name) => /-(raw|typed)$/.test(name));
  test('there are fixtures', () => expect(names.length).toBe(40));
  test.each(names)('%s', (name) => {
    const array = tensorArray(tensor(name));
    expect(valuesOf(array)).toEqual(parseValues(expected[name]!, array.dtype));
    expect(tensor(name).payload.kind).toBe(name.endsWith('raw') ? 'raw' : 'fields');
  });
});

test.each([
  ['float8e4m3fn', 'float8_e4m3fn'],
  ['float8e4m3fnuz', 'float8_e4m3fnuz'],
  ['float8e5m2', 'float8_e5m2'],
  ['float8e5m2fnuz', 'float8_e5m2fnuz'],
  ['float8e8m0', 'float8_e8m0fnu'],
  ['float4e2m1', 'float4_e2m1fn'],
] as const)('all bit patterns of %s', (type, name) => {
  expect(Array.from(minifloatTable(type)!)).toEqual(expected.patterns[name]!.map(parseNumber));
});

test('ranges are those of the tensors in the file', () => {
  for (const { name, range, payload } of model.graph.initializers) {
    const message = bytes.subarray(range!.start, range!.end);
    expect(new TextDecoder('latin1').decode(message)).toContain(
      new TextDecoder('latin1').decode(new TextEncoder().encode(name)),
    );
    if (payload.kind !== 'raw') continue;
    expect(bytes.subarray(payload.range!.start, payload.range!.end)).toEqual(payload.bytes);
  }
});

/** What encoding may change: positions, and typed data's message, which becomes its values. */
function comparable(value: unknown): unknown {
  if (value instanceof Uint8Array) return [...value];
  if (value instanceof Map) return [...value].map(([key, each]) => [key, comparable(each)]);
  if (Array.isArray(value)) return value.map(comparable);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([key]) => key !== 'range');
  if ('kind' in value && value.kind === 'fields') return 'fields';
  return Object.fromEntries(entries.map(([key, each]) => [key, comparable(each)]));
}

test('encoding and decoding gives the model back', () => {
  const again: OnnxModel = decodeModel(encodeModel(model));
  expect(comparable(again)).toEqual(comparable(model));
  again.graph.initializers.forEach((copy, i) => {
    const original = model.graph.initializers[i]!;
    if (original.dataType === 'string') expect(tensorStrings(copy)).toEqual(tensorStrings(original));
    else expect(tensorArray(copy)).toEqual(tensorArray(original));
  });
  expect(encodeModel(again)).toEqual(encodeModel(model));
});

describe('tensors that do not fit', () => {
  const good = makeTensor('w', { dtype: 'float32', shape: [2], data: Float32Array.of(1, 2) });
  test.each([
    ['too little raw data', { ...good, dims: [3] }, 'tensor "w" has 8 bytes of data where its shape needs 12'],
    ['too much typed data', { ...tensor('FLOAT-typed'), dims: [2] }, 'more values than its shape needs'],
    ['too little typed data', { ...tensor('FLOAT-typed'), dims: [5] }, 'where its shape needs 20'],
    ['typed data for a huge shape', { ...tensor('FLOAT-typed'), dims: [2 ** 40] }, 'too little data for its shape'],
    ['an uncountable shape', { ...good, dims: [2 ** 40, 2 ** 40] }, 'too large to be held'],
    ['no type', { ...good, dataType: 'undefined' as const }, 'no data type'],
    ['strings', tensor('words'), 'holds string values'],
  ])('%s', (_, bad, message) => {
    expect(() => tensorArray(bad)).toThrow(message);
  });
});

describe('files that are no models', () => {
  test.each([
    ['nothing', '', 'it is empty'],
    ['a Git LFS pointer', 'version https://git-lfs.github.com/spec/v1\n', 'git lfs pull'],
    ['a zip', 'PK\x03\x04xxxx', 'a zip archive'],
    ['a NumPy array', '\x93NUMPY\x01', 'a NumPy array'],
    ['text', 'hello world', 'at byte'],
    ['a header without graph', '\x08\x08', 'no graph'],
    [
      'an endless number',
      '\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01',
      'a number longer than ten bytes at byte 1',
    ],
    ['a length beyond the end', '\x3a\x7f\x00', 'field 7 claims 127 bytes where 1 are left at byte 1'],
  ])('%s', (_, text, message) => {
    expect(() =>
      decodeModel(
        Uint8Array.from(text, (c) => c.charCodeAt(0)),
        { name: 'm.onnx' },
      ),
    ).toThrow(message);
    expect(() =>
      decodeModel(
        Uint8Array.from(text, (c) => c.charCodeAt(0)),
        { name: 'm.onnx' },
      ),
    ).toThrow('m.onnx is not a valid ONNX file');
  });

  test('graphs nested without end', () => {
    // graph { node { op_type: "If" attribute { g: graph {...} } } }, built from the inside out
    let graph: number[] = [];
    const field = (number: number, body: number[]): number[] => [
      number * 8 + 2,
      (body.length & 0x7f) | 0x80,
      (body.length >> 7) & 0x7f,
      ...body,
    ];
    for (let depth = 0; depth < 200; depth++) graph = field(1, [...field(4, [73, 102]), ...field(5, field(6, graph))]);
    expect(() => decodeModel(Uint8Array.from(field(7, graph)))).toThrow('nested more than');
  });
});

test('damaged models never do worse than an error of ours', async () => {
  const read = (damaged: Uint8Array): Promise<boolean> =>
    failsProperly(() => {
      const { graph } = decodeModel(damaged);
      for (const each of graph.initializers) each.dataType === 'string' ? tensorStrings(each) : tensorArray(each);
    });
  for (const damaged of truncations(bytes)) await read(damaged); // ends between fields are well-formed
  expect(await read(bytes.slice(0, -1))).toBe(true);
  let failures = 0;
  for (const damaged of byteFlips(bytes, 2000)) failures += Number(await read(damaged));
  expect(failures).toBeGreaterThan(500);
});
