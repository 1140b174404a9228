/** Files that end anywhere, and files that ask for the impossible, end in an error of ours; see fuzz/ for other damage. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { HessiaError } from '../../src/base/errors.js';
import { Graph } from '../../src/graph/index.js';
import { modelFromOnnx } from '../../src/onnx/index.js';
import { decodeModel } from '../../src/onnx/proto/index.js';
import { graph, imported, info, modelOf, node, tensor } from './small.js';

const fixtures = join(import.meta.dirname, '../fixtures');
const files = [
  'tiny-cnn.onnx',
  'tiny-attention.onnx',
  'unusual/local-function.onnx',
  'unusual/shape-arithmetic.onnx',
  'unusual/slicing.onnx',
];

/** loads and writes the model; anything but success or an error of ours fails the test */
function attempt(bytes: Uint8Array): 'imported' | 'refused' {
  try {
    const model = modelFromOnnx({ path: 'damaged.onnx', bytes, model: decodeModel(bytes) });
    const graph = new Graph();
    const inputs = new Map(
      model.inputs.map(
        (i) =>
          [
            i.name,
            graph.input(
              i.name,
              i.shape.map((d) => d ?? 2),
              i.dtype,
            ),
          ] as const,
      ),
    );
    model.build({ graph, dtype: 'float32', inputs, parameters: new Map() });
    return 'imported';
  } catch (error) {
    if (!(error instanceof HessiaError)) throw error;
    expect(error.message).not.toContain('\n');
    expect(error.code).not.toBe('INTERNAL');
    return 'refused';
  }
}

describe.each(files)('%s', (file) => {
  const whole = new Uint8Array(readFileSync(join(fixtures, file)));
  test('is fine as it is', () => expect(attempt(whole)).toBe('imported'));
  test('cut anywhere', () => {
    for (let end = 0; end < whole.length; end += Math.max(1, Math.floor(whole.length / 300)))
      attempt(whole.slice(0, end));
  });
});

describe('files that ask for the impossible are refused in one line', () => {
  const axis = (name: string, values: number[]) => tensor(name, [values.length], values, 'int64');
  const scalar = (name: string, value: number) => tensor(name, [], [value], 'int64');
  const refused = (
    what: RegExp,
    nodes: ReturnType<typeof node>[],
    initializers: ReturnType<typeof tensor>[] = [],
    inputs = [info('x', [2, 4])],
  ): void => {
    const started = process.cpuUsage();
    let error: unknown;
    try {
      const model = imported(nodes, initializers, inputs);
      const g = new Graph();
      const given = new Map(
        model.inputs.map((i) => [
          i.name,
          g.input(
            i.name,
            i.shape.map((d) => d ?? 2),
            i.dtype,
          ),
        ]),
      );
      model.build({ graph: g, dtype: 'float32', inputs: given, parameters: new Map() });
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(HessiaError);
    expect((error as Error).message).toMatch(what);
    expect((error as Error).message).not.toContain('\n');
    expect(process.cpuUsage(started).user).toBeLessThan(5e6);
  };
  const huge = 2 ** 40;

  test('cycles', () => {
    refused(/reads "b", which nothing before it produces/, [
      node('Neg', ['b'], ['a']),
      node('Neg', ['a'], ['b']),
      node('Add', ['x', 'b'], ['y']),
    ]); // prettier-ignore
    refused(/reads "y"/, [node('Add', ['x', 'y'], ['y'])]);
  });
  test('names that stand for two values', () => {
    refused(
      /two initializers are named "w"/,
      [node('Add', ['x', 'w'], ['y'])],
      [tensor('w', [4]), tensor('w', [4], 2)],
    );
    refused(/two results of nodes are named "y"/, [node('Neg', ['x'], ['y']), node('Abs', ['x'], ['y'])]);
    refused(
      /"w" names an input or initializer and/,
      [node('Neg', ['x'], ['w']), node('Abs', ['w'], ['y'])],
      [tensor('w', [4])],
    ); // prettier-ignore
    refused(/two inputs are named "x"/, [node('Neg', ['x'], ['y'])], [], [info('x', [2]), info('x', [3])]);
  });
  test('loops of 10⁹ steps', () => {
    const body = graph(
      [node('Neg', ['v'], ['w']), node('Identity', ['c'], ['d'])],
      [],
      [info('i', [], 'int64'), info('c', [], 'bool'), info('v', [4])],
      ['d', 'w'],
    );
    refused(/Loop.*runs more than/, [node('Loop', ['n', '', 'x'], ['y'], { body })], [scalar('n', 1e9)]);
    // and loops in loops
    const outer = graph(
      [
        node('Loop', ['n', '', 'v'], ['w'], {
          body: {
            ...body,
            inputs: [info('j', []), info('e', []), info('u', [])],
            nodes: [node('Neg', ['u'], ['t']), node('Identity', ['e'], ['d'])],
            outputs: [info('d', []), info('t', [])],
          },
        }),
        node('Identity', ['c'], ['go']),
      ], // prettier-ignore
      [],
      [info('i', [], 'int64'), info('c', [], 'bool'), info('v', [4])],
      ['go', 'w'],
    );
    refused(
      /too many nodes to be unrolled|runs more than/,
      [node('Loop', ['n', '', 'x'], ['y'], { body: outer })],
      [scalar('n', 16_000)],
    ); // prettier-ignore
  });
  test('huge shapes', () => {
    refused(
      /impossible shape|not a range/,
      [node('Range', ['a', 'n', 'd'], ['r']), node('Cast', ['r'], ['y'], { to: 1 })],
      [scalar('a', 0), scalar('n', huge), scalar('d', 1)],
    ); // prettier-ignore
    refused(/impossible shape/, [node('Expand', ['x', 's'], ['y'])], [axis('s', [huge, 2, 4])]);
    refused(/impossible shape/, [node('ConstantOfShape', ['s'], ['y'])], [axis('s', [huge, 1000])]);
    refused(/impossible shape/, [node('Tile', ['x', 's'], ['y'])], [axis('s', [huge, huge])]);
    refused(/table of/, [node('Resize', ['x', '', '', 's'], ['y'])], [axis('s', [huge, 4])]);
    refused(/table of/, [node('Pad', ['x', 's'], ['y'], { mode: 'reflect' })], [axis('s', [huge, 0, 0, 0])]);
    refused(
      /parts/,
      [node('SplitToSequence', ['x', 's'], ['q']), node('SequenceAt', ['q', 'i'], ['y'])],
      [scalar('s', 1), scalar('i', 0)],
      [info('x', [huge])],
    ); // prettier-ignore
  });
  test('negative extents', () => {
    refused(/shape/, [node('ConstantOfShape', ['s'], ['y'])], [axis('s', [-3, 2])]);
    refused(/reshaped|shape/, [node('Reshape', ['x', 's'], ['y'])], [axis('s', [-2, 4])]);
    refused(/./, [node('Expand', ['x', 's'], ['y'])], [axis('s', [-1, 4])]);
    refused(/./, [node('Neg', ['x'], ['y'])], [], [info('x', [2, -4])]);
  });
  test('graphs in graphs without end', () => {
    let inner = graph([node('Neg', ['x'], ['t'])], [], [], ['t']);
    for (let i = 0; i < 80; i++)
      inner = graph([node('If', ['yes'], ['t'], { then_branch: inner, else_branch: inner })], [], [], ['t']);
    const nodes = [
      node('If', ['yes'], ['y'], {
        then_branch: inner,
        else_branch: graph([node('Neg', ['x'], ['t'])], [], [], ['t']),
      }),
    ];
    refused(/nested more than|more than \d+ nodes/, nodes, [tensor('yes', [], [1], 'bool')]);
  });
  test('functions that call themselves', () => {
    const body = [node('Again', ['a'], ['b'], {}, 'own')];
    const model = {
      ...modelOf(graph([node('Again', ['x'], ['y'], {}, 'own')], [], [info('x', [2])])),
      functions: [
        {
          name: 'Again',
          domain: 'own',
          overload: '',
          docString: '',
          inputs: ['a'],
          outputs: ['b'],
          attributes: [],
          attributeDefaults: new Map(),
          nodes: body,
          valueInfos: [],
          opsetImports: new Map([
            ['', 18],
            ['own', 1],
          ]),
        },
      ],
    };
    expect(() => modelFromOnnx({ path: 'again.onnx', bytes: new Uint8Array(), model })).toThrow(
      /nested more than 64 deep/,
    );
  });
});
