/** What counts as a parameter, which batches a file takes, and what is refused, on files written by hand. */
import { describe, expect, test } from 'vitest';
import type { NdArray } from '../../src/base/ndarray.js';
import { modelFromOnnx } from '../../src/onnx/index.js';
import { runModel } from './run.js';
import { graph, imported, info, modelOf, node, tensor } from './small.js';

const parameters = (model: ReturnType<typeof imported>): string[] => model.parameters.map((p) => p.name);
const x = (rows: number, columns = 4): Record<string, NdArray> => ({
  x: {
    dtype: 'float32',
    shape: [rows, columns],
    data: Float32Array.from({ length: rows * columns }, (_, i) => i / 7 - 1),
  },
});

describe('parameters', () => {
  test('are floating-point tensors with axes, in file order', () => {
    const model = imported(
      [
        node('MatMul', ['x', 'w'], ['a']),
        node('Mul', ['a', 'scalar'], ['b']),
        node('Gather', ['b', 'index'], ['c'], { axis: 1 }),
        node('Add', ['c', 'bias'], ['y']),
      ],
      [tensor('bias', [2]), tensor('scalar', []), tensor('index', [2], [1, 0], 'int64'), tensor('w', [4, 3])],
    );
    expect(parameters(model)).toEqual(['bias', 'w']);
    expect(model.buffers).toEqual([
      { name: 'scalar', shape: [], why: 'a single number' },
      { name: 'index', shape: [2], why: 'whole numbers' },
    ]);
    expect(model.parameters[1]!.consumers).toEqual(['MatMul the MatMul']);
  });

  test('do not reach the output through shapes, comparisons or rounding alone', () => {
    const model = imported(
      [
        node('Shape', ['shaped'], ['s']),
        node('Expand', ['one', 's'], ['e']),
        node('Greater', ['x', 'limit'], ['g']),
        node('Where', ['g', 'x', 'other'], ['a']),
        node('Floor', ['stepped'], ['f']),
        node('Add', ['a', 'f'], ['b']),
        node('Mul', ['b', 'e'], ['y']),
      ],
      [
        tensor('shaped', [3, 4]),
        tensor('one', [1]),
        tensor('limit', [4]),
        tensor('other', [4]),
        tensor('stepped', [4]),
        tensor('unused', [4]),
      ],
      [info('x', [3, 4])],
    );
    expect(parameters(model)).toEqual(['one', 'other']);
    expect(model.buffers.map((b) => [b.name, b.why])).toEqual(
      ['shaped', 'limit', 'stepped'].map((name) => [name, 'no differentiable path to an output']),
    );
  });

  test('running statistics are none, also through an Identity', () => {
    const model = imported(
      [
        node('Identity', ['mean'], ['mean2']),
        node('BatchNormalization', ['x', 'scale', 'bias', 'mean', 'var'], ['a']),
        node('BatchNormalization', ['a', 'scale', 'bias', 'mean2', 'var'], ['y']),
      ],
      ['scale', 'bias', 'mean', 'var'].map((n) => tensor(n, [4])),
    );
    expect(parameters(model)).toEqual(['scale', 'bias']);
    expect(model.buffers.map((b) => [b.name, b.why])).toEqual([
      ['mean', 'running statistics'],
      ['var', 'running statistics'],
    ]);
  });

  test('an Identity of an initializer is one more, with values of its own', () => {
    const model = imported(
      [node('Identity', ['w'], ['copy']), node('MatMul', ['x', 'w'], ['a']), node('MatMul', ['a', 'copy'], ['y'])],
      [tensor('w', [4, 4])],
    );
    expect(parameters(model)).toEqual(['w', 'copy']);
    expect(model.parameters[1]!.values()).toEqual(model.parameters[0]!.values());
  });

  test('in Constant nodes count only where there are no others', () => {
    const weights = node('Constant', [], ['c'], { value: tensor('', [4, 4]) });
    const alone = imported([weights, node('MatMul', ['x', 'c'], ['y'])], []);
    expect(parameters(alone)).toEqual(['c']);
    const both = imported(
      [weights, node('MatMul', ['x', 'c'], ['a']), node('Mul', ['a', 'w'], ['y'])],
      [tensor('w', [4])],
    );
    expect(parameters(both)).toEqual(['w']);
    expect(both.constants.map((p) => p.name)).toEqual(['c']);
  });

  test('a tensor that decides a shape is a constant', () => {
    const model = imported(
      [node('Resize', ['x', '', 'scales'], ['a'], { mode: 'linear' }), node('Mul', ['a', 'w'], ['y'])],
      [tensor('scales', [2], [1, 2]), tensor('w', [8])],
    );
    expect(parameters(model)).toEqual(['w']);
  });
});

describe('the batch', () => {
  const weights = [tensor('w', [4, 3])];
  test('of a stated size is open where shapes allow', () => {
    const model = imported(
      [node('Reshape', ['x', 'shape'], ['a']), node('MatMul', ['a', 'w'], ['y'])],
      [tensor('shape', [2], [6, -1], 'int64'), ...weights],
      [info('x', [6, 2, 2])],
    );
    expect(model.fixedBatch).toBeNull();
    expect(model.inputs[0]!.shape).toEqual([null, 2, 2]);
    const given: NdArray = { dtype: 'float32', shape: [2, 2, 2], data: new Float32Array(8).fill(1) };
    expect(runModel(model, { x: given }).get('y')).toEqual({ shape: [2, 3], data: new Float64Array(6).fill(2) });
  });
  test('is fixed where a constant has its size', () => {
    const model = imported(
      [node('Add', ['x', 'table'], ['a']), node('MatMul', ['a', 'w'], ['y'])],
      [tensor('table', [6, 4]), ...weights],
      [info('x', [6, 4])],
    );
    expect(model.fixedBatch).toBe(6);
    expect(model.inputs[0]!.shape).toEqual([6, 4]);
    expect(model.warnings.join()).toContain('batch of 6');
  });
  test('of a file that calls it open and yet holds a constant of one size', () => {
    const model = imported(
      [node('Reshape', ['x', 'shape'], ['a']), node('MatMul', ['a', 'w'], ['y'])],
      [tensor('shape', [2], [1, 4], 'int64'), ...weights],
    );
    expect(model.fixedBatch).toBe(1);
  });
  test('beside other open axes', () => {
    const model = imported([node('MatMul', ['x', 'w'], ['y'])], weights, [info('x', ['batch', 'time', 4])]);
    expect(model.inputs[0]!.shape).toEqual([null, null, 4]);
    expect(parameters(model)).toEqual(['w']);
    expect(model.warnings).toEqual([]);
  });
});

describe('what is refused', () => {
  test('is listed at once, before any work', () => {
    const model = imported(
      [
        node('Twist', ['x'], ['a']),
        node('Twist', ['a'], ['b']),
        node('Fused', ['b', 'w'], ['c'], {}, 'com.example'),
        node('BatchNormalization', ['c', 'w', 'w', 'w', 'w'], ['y'], { training_mode: 1 }),
        node('Unheard', ['x'], ['nowhere']),
      ],
      [tensor('w', [4])],
    );
    expect(model.unsupported).toHaveLength(3);
    expect(model.unsupported[0]).toBe('operator Twist (2 times)');
    expect(model.unsupported[1]).toBe('operator com.example.Fused');
    expect(model.unsupported[2]).toContain('operator BatchNormalization is in training mode');
    expect(parameters(model)).toEqual(['w']);
    expect(() => runModel(model, x(2))).toThrow(/Twist.*Fused.*BatchNormalization/);
  });
  test.each([
    [[node('MatMul', ['x', 'w'], ['y'])], /operator MatMul \(node "the MatMul", opset 18\): .*\b4\b.*\b3\b/],
    [[node('Add', ['x', 'gone'], ['y'])], /reads "gone", which nothing before it produces/],
    [[node('Softmax', ['x'], ['y'], { axis: 5 })], /axis 5 is outside a value of rank 2/],
    [[node('Softmax', ['x'], ['y'], { axis: 'last' })], /attribute "axis" should be of type int/],
    [[node('Reshape', ['x', 'x'], ['y'])], /shape \("x"\) is computed from data or parameters/],
    [[node('Relu', [], ['y'])], /input 0 is missing/],
    [[node('Relu', ['x'], ['z'])], /no tensor named "y"/],
  ])('malformed %#', (nodes, message) => {
    expect(() => imported(nodes, [tensor('w', [3, 4])])).toThrow(message);
  });
  test('old operator sets', () => {
    expect(imported([node('Relu', ['x'], ['y'])], [], undefined, undefined, 0).unsupported[0]).toContain('opset 0');
  });
  test('integers beyond 32 bits in the computation', () => {
    const big = tensor('big', [1], [2 ** 40], 'int64');
    const nodes = [
      node('Cast', ['x'], ['i'], { to: 7 }),
      node('Add', ['i', 'big'], ['j']),
      node('Cast', ['j'], ['y'], { to: 1 }),
    ];
    expect(() => imported(nodes, [big])).toThrow(/"big" holds 1099511627776.*32 bits/);
  });
});

test('the second operand at an axis of the first, as up to opset 6', () => {
  const add = node('Add', ['x', 'b'], ['y'], { broadcast: 1, axis: 1 });
  const model = imported([add], [tensor('b', [2], [10, 20])], [info('x', ['batch', 2, 2])], undefined, 6);
  const given: NdArray = { dtype: 'float32', shape: [1, 2, 2], data: Float32Array.of(1, 2, 3, 4) };
  expect([...runModel(model, { x: given }).get('y')!.data]).toEqual([11, 12, 23, 24]);
});

test('cutting and padding about the centre', () => {
  const model = imported(
    [node('CenterCropPad', ['x', 'n'], ['y'], { axes: [1, 2] })],
    [tensor('n', [2], [2, 4], 'int64')],
    [info('x', ['batch', 5, 1])],
  );
  const given: NdArray = { dtype: 'float32', shape: [1, 5, 1], data: Float32Array.of(1, 2, 3, 4, 5) };
  // rows 1 and 2 of 5 remain; one column of zeros goes before and two after
  expect([...runModel(model, { x: given }).get('y')!.data]).toEqual([0, 2, 0, 0, 0, 3, 0, 0]);
});

test('a function has opsets of its own, also inside a branch', () => {
  // Softmax of opset 11 takes all axes from axis 1 on as one; of 18, the last
  const body = {
    name: 'Old',
    domain: 'mine',
    overload: '',
    docString: '',
    inputs: ['a'],
    outputs: ['b'],
    attributes: [],
    attributeDefaults: new Map(),
    nodes: [node('Softmax', ['a'], ['b'])],
    valueInfos: [],
    opsetImports: new Map([['', 11]]),
  };
  const inside = graph([node('Old', ['x'], ['t'], {}, 'mine')], [], [], ['t']);
  const nodes = [node('If', ['yes'], ['y'], { then_branch: inside, else_branch: inside })];
  const file = modelOf(graph(nodes, [tensor('yes', [], [1], 'bool')], [info('x', ['batch', 2, 2])]));
  const model = modelFromOnnx({ path: 'f.onnx', bytes: new Uint8Array(), model: { ...file, functions: [body] } });
  const given: NdArray = { dtype: 'float32', shape: [1, 2, 2], data: new Float32Array(4) };
  expect([...runModel(model, { x: given }).get('y')!.data]).toEqual([0.25, 0.25, 0.25, 0.25]);
});

test('shape arithmetic is exact where 32 bits are not enough', () => {
  const model = imported(
    [
      node('Mul', ['a', 'b'], ['c']),
      node('Div', ['c', 'b'], ['d']),
      node('Sub', ['d', 'a'], ['e']),
      node('Concat', ['e', 'minus'], ['shape'], { axis: 0 }),
      node('Reshape', ['x', 'shape'], ['r']),
      node('MatMul', ['r', 'w'], ['y']),
    ],
    [
      tensor('a', [1], [123456789], 'int64'),
      tensor('b', [1], [1000003], 'int64'),
      tensor('minus', [1], [4], 'int64'),
      tensor('w', [4, 2]),
    ],
  );
  expect(runModel(model, x(3)).get('y')!.shape).toEqual([3, 2]);
});
