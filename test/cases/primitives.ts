/**
 * Cases of every primitive, total by type: one that is forgotten does not compile. test/graph/primitives.test.ts
 * puts all of them through shapes, derivatives, transposition and batching.
 *
 * Floating-point inputs are drawn from ranges where the primitive is smooth; kinks have tests of their own.
 */
import type { BinaryName, CompareName, DType, Node, PrimitiveName, Shape, UnaryName } from '../../src/graph/index.js';
import { binaryNames, compareNames, ops, unaryNames } from '../../src/graph/index.js';
import { convolutionCases } from './convolutions.js';

export interface InputSpec {
  readonly shape: Shape;
  /** default float64 */
  readonly dtype?: DType;
  /** values lie between; whole numbers for int32 */
  readonly low: number;
  readonly high: number;
}
export interface PrimitiveCase {
  readonly name: string;
  readonly inputs: readonly InputSpec[];
  build(inputs: readonly Node[]): Node;
}
type Cases = readonly [PrimitiveCase, ...PrimitiveCase[]];

export const real = (...shape: number[]): InputSpec => ({ shape, low: -1.5, high: 1.5 });
export const between = (low: number, high: number, ...shape: number[]): InputSpec => ({ shape, low, high });
export const whole = (low: number, high: number, ...shape: number[]): InputSpec => ({
  shape,
  low,
  high,
  dtype: 'int32',
});
export const truth = (...shape: number[]): InputSpec => ({ shape, low: 0, high: 1, dtype: 'bool' });
export const at = (inputs: readonly Node[], i: number): Node => inputs[i] as Node;
const one = (name: string, input: InputSpec, f: (x: Node) => Node): PrimitiveCase => ({
  name,
  inputs: [input],
  build: (x) => f(at(x, 0)),
});
const two = (name: string, a: InputSpec, b: InputSpec, f: (a: Node, b: Node) => Node): PrimitiveCase => ({
  name,
  inputs: [a, b],
  build: (x) => f(at(x, 0), at(x, 1)),
});

/** where each function is smooth */
const domains: Record<UnaryName, readonly [number, number]> = {
  neg: [-2, 2],
  abs: [0.2, 2],
  sign: [-2, -0.2],
  exp: [-2, 2],
  expm1: [-1, 1],
  log: [0.3, 3],
  log1p: [-0.6, 2],
  sqrt: [0.3, 3],
  rsqrt: [0.3, 3],
  reciprocal: [-3, -0.4],
  sin: [-3, 3],
  cos: [-3, 3],
  tan: [-1.2, 1.2],
  asin: [-0.8, 0.8],
  acos: [-0.8, 0.8],
  atan: [-3, 3],
  sinh: [-2, 2],
  cosh: [-2, 2],
  asinh: [-3, 3],
  acosh: [1.3, 4],
  atanh: [-0.8, 0.8],
  tanh: [-2, 2],
  sigmoid: [-4, 4],
  softplus: [-4, 4],
  erf: [-2, 2],
  floor: [0.1, 0.9],
  ceil: [-0.9, -0.1],
  round: [0.6, 1.4],
  not: [0, 1],
  isNaN: [-1, 1],
  isInf: [-1, 1],
};
function unaryCases(name: UnaryName): Cases {
  const spec = (...shape: number[]): InputSpec =>
    name === 'not' ? truth(...shape) : between(...domains[name], ...shape);
  const apply = (x: Node): Node => x.graph.make(name, [x], {});
  return [one('matrix', spec(2, 3), apply), one('scalar', spec(), apply), one('nothing', spec(0, 2), apply)];
}

const ranges: Record<BinaryName, readonly [readonly [number, number], readonly [number, number]]> = {
  add: [
    [-1, 1],
    [-1, 1],
  ],
  sub: [
    [-1, 1],
    [-1, 1],
  ],
  mul: [
    [-1, 1],
    [-1, 1],
  ],
  div: [
    [-1, 1],
    [0.5, 2],
  ],
  pow: [
    [0.5, 2],
    [-1, 2],
  ],
  max: [
    [-1, 1],
    [-1, 1],
  ],
  min: [
    [-1, 1],
    [-1, 1],
  ],
  atan2: [
    [0.3, 1],
    [-1, 1],
  ],
  mod: [
    [-2.9, -2.1],
    [0.98, 1],
  ],
};
function binaryCases(name: BinaryName): Cases {
  const [p, q] = ranges[name];
  const apply = (a: Node, b: Node | number): Node => ops[name](a, b);
  return [
    two('vectors', between(...p, 5), between(...q, 5), apply),
    two('scalars', between(...p), between(...q), apply),
    two('broadcast both ways', between(...p, 2, 1), between(...q, 3), apply),
    two('nothing', between(...p, 0), between(...q, 0), apply),
    one('with itself', between(...p, 3), (x) => apply(x, ops.mul(2.2, x))),
    one('number on the left', between(...q, 4), (x) =>
      apply(x.graph.fill((p[0] + p[1]) / 2 + 0.05, x.shape, x.dtype), x),
    ),
    one('number on the right', between(...p, 4), (x) => apply(x, (q[0] + q[1]) / 2 + 0.01)),
  ];
}
function compareCases(name: CompareName): Cases {
  const logical = name === 'and' || name === 'or' || name === 'xor';
  const spec = (...shape: number[]): InputSpec => (logical ? truth(...shape) : real(...shape));
  const apply = (a: Node, b: Node): Node => ops[name](a, b);
  return [
    two('vectors', spec(6), spec(6), apply),
    two('scalars', spec(), spec(), apply),
    two('broadcast', spec(2, 1), spec(3), apply),
    ...(logical ? [] : [two('whole numbers', whole(0, 2, 8), whole(0, 2, 8), apply)]),
  ];
}
function tableOf<N extends string>(names: readonly N[], cases: (name: N) => Cases): { [K in N]: Cases } {
  return Object.fromEntries(names.map((n) => [n, cases(n)])) as { [K in N]: Cases };
}

const extremum = (f: typeof ops.reduceMax): Cases => [
  one('last axis', real(2, 3), (x) => f(x, [1])),
  one('all axes', real(2, 3), (x) => f(x)),
  one('outer and inner', real(2, 3, 2), (x) => f(x, [0, 2])),
  one('extent one', real(2, 1), (x) => f(x, [1])),
  one('kept', real(2, 3), (x) => f(x, [0], true)),
];
const position = (f: typeof ops.argMax): Cases => [
  one('first axis', real(3, 2), (x) => f(x, 0)),
  one('last axis', real(2, 4), (x) => f(x, -1)),
  one('middle', real(2, 3, 2), (x) => f(x, 1)),
  one('ties', whole(0, 2, 3, 5), (x) => f(x, 1)),
  one('extent one', real(1, 3), (x) => f(x, 0)),
];
const flags = [
  [false, false],
  [true, false],
  [false, true],
  [true, true],
] as const;
const windows = [
  { name: '1d', space: [7], positions: [3], a: { window: [3], strides: [2], padLow: [0], dilations: [1] } },
  {
    name: '1d padded and dilated',
    space: [5],
    positions: [5],
    a: { window: [2], strides: [1], padLow: [1], dilations: [3] },
  },
  {
    name: '2d overlapping',
    space: [4, 5],
    positions: [3, 4],
    a: { window: [2, 2], strides: [1, 1], padLow: [0, 0], dilations: [1, 1] },
  },
  {
    name: '2d asymmetric',
    space: [4, 3],
    positions: [3, 2],
    a: { window: [3, 2], strides: [1, 2], padLow: [0, 1], dilations: [1, 1] },
  },
  {
    name: '3d',
    space: [3, 2, 4],
    positions: [2, 1, 2],
    a: { window: [2, 2, 2], strides: [1, 1, 2], padLow: [0, 0, 0], dilations: [1, 1, 1] },
  },
  {
    name: 'larger than the input',
    space: [2],
    positions: [1],
    a: { window: [4], strides: [1], padLow: [1], dilations: [1] },
  },
] as const;
const leads = [[], [2], [2, 3]];
const windowCases = (f: (x: Node, w: (typeof windows)[number]) => Node, from: 'space' | 'positions'): Cases =>
  windows.map((w, i) =>
    one(`${w.name}, ${leads[i % 3]?.length} leading axes`, real(...(leads[i % 3] as number[]), ...w[from]), (x) =>
      f(x, w),
    ),
  ) as unknown as Cases;

export const primitiveCases: { readonly [P in PrimitiveName]: Cases } = {
  ...tableOf(unaryNames, unaryCases),
  ...tableOf(binaryNames, binaryCases),
  ...tableOf(compareNames, compareCases),
  ...convolutionCases,

  input: [one('itself', real(2, 3), (x) => x), one('scalar', real(), (x) => x), one('nothing', real(0), (x) => x)],
  constant: [
    one('beside an input', real(3), (x) => ops.mul(x.graph.constant(Float64Array.of(1, 2, 3), [3], 'float64'), x)),
    one('alone', real(3), (x) => x.graph.constant(Float64Array.of(1, 2, 3), [3], 'float64')),
  ],
  fill: [
    one('beside an input', real(2, 2), (x) => ops.mul(x, 3)),
    one('alone', real(), (x) => x.graph.fill(2, [2, 2], 'float64')),
  ],
  iota: [
    one('beside an input', real(2, 3), (x) => ops.mul(x, ops.cast(x.graph.iota(1, x.shape), 'float64'))),
    one('alone', real(), (x) => x.graph.iota(0, [3, 2])),
  ],
  select: [
    {
      name: 'matrix',
      inputs: [truth(2, 3), real(2, 3), real(2, 3)],
      build: (x) => ops.select(at(x, 0), at(x, 1), at(x, 2)),
    },
    {
      name: 'broadcast',
      inputs: [truth(3), real(2, 1), real()],
      build: (x) => ops.select(at(x, 0), at(x, 1), at(x, 2)),
    },
    { name: 'one alternative', inputs: [truth(4), real(4)], build: (x) => ops.select(at(x, 0), at(x, 1), 0) },
    {
      name: 'whole numbers',
      inputs: [truth(4), whole(0, 9, 4), whole(0, 9, 4)],
      build: (x) => ops.select(at(x, 0), at(x, 1), at(x, 2)),
    },
  ],
  cast: [
    one('from integer', whole(-3, 3, 4), (x) => ops.cast(x, 'float64')),
    one('from truth', truth(4), (x) => ops.cast(x, 'float64')),
    one('to truth', real(4), (x) => ops.cast(x, 'bool')),
    one('to integer', real(4), (x) => ops.cast(x, 'int32')),
    // evaluate keeps float64 precision by default, so that the round trip is smooth
    one('to float32 and back', real(4), (x) => ops.cast(ops.sin(ops.cast(x, 'float32')), 'float64')),
  ],
  stopGradient: [one('half of a product', real(4), (x) => ops.add(ops.stopGradient(x), ops.mul(x, 0.5)))],
  reduceSum: [
    one('last axis', real(2, 3), (x) => ops.reduceSum(x, [1])),
    one('all axes', real(2, 3), (x) => ops.reduceSum(x)),
    one('kept', real(2, 3), (x) => ops.reduceSum(x, [0], true)),
    one('outer and inner', real(2, 3, 2), (x) => ops.reduceSum(x, [2, 0])),
    one('twice', real(2, 3, 2), (x) => ops.reduceSum(ops.reduceSum(x, [1]), [0])),
    one('twice, the later axis last', real(2, 3, 4), (x) => ops.reduceSum(ops.reduceSum(x, [0]), [1])),
    one('no axis', real(3), (x) => ops.reduceSum(x, [])),
    one('extent one', real(2, 1, 3), (x) => ops.reduceSum(x, [1])),
    one('over nothing', real(2, 0), (x) => ops.reduceSum(x, [1])),
    one('of a broadcast', real(1, 3), (x) => ops.reduceSum(ops.broadcast(x, [2, 3, 4], [2 - 2, 1]), [0, 1])),
    one('of whole numbers', whole(-4, 4, 3, 2), (x) => ops.reduceSum(x, [0])),
  ],
  reduceMax: extremum(ops.reduceMax),
  reduceMin: extremum(ops.reduceMin),
  argMax: position(ops.argMax),
  argMin: position(ops.argMin),
  cumsum: flags.flatMap(([exclusive, reverse]) =>
    [0, 1].map((axis) =>
      one(`axis ${axis}${exclusive ? ', exclusive' : ''}${reverse ? ', reverse' : ''}`, real(3, 2), (x) =>
        ops.cumsum(x, axis, exclusive, reverse),
      ),
    ),
  ) as unknown as Cases,
  argsort: [
    one('ascending', real(5), (x) => ops.argsort(x, 0)),
    one('descending', real(2, 4), (x) => ops.argsort(x, 1, true)),
    one('ties', whole(0, 1, 6, 2), (x) => ops.argsort(x, 0)),
  ],
  dot: [
    two('matrices', real(2, 3), real(3, 4), (a, b) => ops.matmul(a, b)),
    two('vectors', real(3), real(3), (a, b) => ops.matmul(a, b)),
    two('batched, one shared', real(2, 2, 3), real(3, 2), (a, b) => ops.matmul(a, b)),
    two('batch of one repeats', real(1, 2, 3), real(4, 3, 2), (a, b) => ops.matmul(a, b)),
    two('transposed operands and result', real(3, 2), real(4, 3), (a, b) => ops.dot(a, b, 'km', 'nk', 'nm')),
    two('two summed labels', real(2, 3, 2), real(2, 2, 3), (a, b) => ops.dot(a, b, 'xmy', 'yxn', 'mn')),
    two('batch in the middle', real(2, 3, 2), real(3, 2, 4), (a, b) => ops.dot(a, b, 'mbk', 'bkn', 'nbm')),
    two('outer product', real(2), real(3), (a, b) => ops.dot(a, b, 'm', 'n', 'nm')),
    one('with itself', real(3, 2), (a) => ops.dot(a, a, 'mk', 'nk', 'mn')),
    two('sum over nothing', real(2, 0), real(0, 3), (a, b) => ops.matmul(a, b)),
    two('extent one', real(1, 3), real(3, 1), (a, b) => ops.matmul(a, b)),
    two('behind transposes', real(3, 2), real(3, 4), (a, b) => ops.matmul(ops.transpose(a), b)),
    two('behind a cycle of axes', real(2, 3, 4), real(3, 2, 5), (a, b) =>
      ops.dot(ops.transpose(a, [1, 2, 0]), ops.transpose(b, [2, 0, 1]), 'xmy', 'nxy', 'mn'),
    ),
  ],
  windowSum: windowCases((x, w) => ops.windowSum(x, w.a, w.positions), 'space'),
  windowSumTranspose: windowCases((y, w) => ops.windowSumTranspose(y, w.a, w.space), 'positions'),
  windowArgMax: windowCases((x, w) => ops.windowArgMax(x, w.a, w.positions), 'space'),
  take: [
    two('scalar index', real(3, 2), whole(0, 2), (x, i) => ops.take(x, i, 0)),
    two('vector index with repeats', real(2, 3), whole(0, 2, 5), (x, i) => ops.take(x, i, 1)),
    two('matrix index in the middle', real(2, 3, 2), whole(0, 2, 2, 2), (x, i) => ops.take(x, i, 1)),
    two('from a vector', real(4), whole(0, 3, 2, 1), (x, i) => ops.take(x, i, 0)),
    two('nothing', real(4), whole(0, 3, 0), (x, i) => ops.take(x, i, 0)),
    two('of whole numbers', whole(0, 9, 4), whole(0, 3, 3), (x, i) => ops.take(x, i, 0)),
  ],
  takeTranspose: [
    two('scalar index', real(2), whole(0, 2), (y, i) => ops.takeTranspose(y, i, 0, 3)),
    two('vector index with repeats', real(2, 5), whole(0, 2, 5), (y, i) => ops.takeTranspose(y, i, 1, 3)),
    two('matrix index in the middle', real(2, 2, 2, 2), whole(0, 3, 2, 2), (y, i) => ops.takeTranspose(y, i, 1, 4)),
    two('of nothing', real(0), whole(0, 3, 0), (y, i) => ops.takeTranspose(y, i, 0, 4)),
  ],
  gatherElements: [
    two('whole', real(3, 2), whole(0, 2, 3, 2), (x, i) => ops.gatherElements(x, i, 0)),
    two('part of the other axes', real(3, 4), whole(0, 3, 2, 5), (x, i) => ops.gatherElements(x, i, 1)),
    two('middle axis', real(2, 3, 2), whole(0, 2, 2, 1, 2), (x, i) => ops.gatherElements(x, i, 1)),
    two('vector', real(4), whole(0, 3, 6), (x, i) => ops.gatherElements(x, i, 0)),
  ],
  scatterElements: [
    two('first axis', real(3, 2), whole(0, 3, 3, 2), (y, i) => ops.scatterElements(y, i, 0, 4)),
    two('last axis', real(2, 5), whole(0, 2, 2, 5), (y, i) => ops.scatterElements(y, i, 1, 3)),
    two('vector', real(4), whole(0, 1, 4), (y, i) => ops.scatterElements(y, i, 0, 2)),
  ],
  reshape: [
    one('merge', real(2, 3), (x) => ops.reshape(x, [6])),
    one('split', real(6), (x) => ops.reshape(x, [3, 1, 2])),
    one('to a scalar', real(1, 1), (x) => ops.reshape(x, [])),
    one('regroup', real(2, 6), (x) => ops.reshape(x, [4, 3])),
    one('of nothing', real(0, 3), (x) => ops.reshape(x, [2, 0])),
    one('after transpose', real(2, 3), (x) => ops.reshape(ops.transpose(x), [6])),
  ],
  transpose: [
    one('matrix', real(2, 3), (x) => ops.transpose(x)),
    one('cycle', real(2, 3, 4), (x) => ops.transpose(x, [1, 2, 0])),
    one('pair', real(2, 3, 4, 1), (x) => ops.transpose(x, [2, 1, 0, 3])),
  ],
  broadcast: [
    one('from a scalar', real(), (x) => ops.broadcast(x, [2, 3], [])),
    one('new axes', real(3), (x) => ops.broadcast(x, [2, 3, 2], [1])),
    one('grown axis', real(1, 3), (x) => ops.broadcast(x, [4, 3], [0, 1])),
    one('odd order', real(2, 3), (x) => ops.broadcast(x, [3, 4, 2], [2, 0])),
    one('odd order and grown', real(2, 1, 3), (x) => ops.broadcast(x, [3, 2, 4, 5], [1, 3, 0])),
    one('to nothing', real(1, 2), (x) => ops.broadcast(x, [0, 2], [0, 1])),
    one('new extents of one', real(3), (x) => ops.broadcast(x, [1, 3, 1], [1])),
  ],
  slice: [
    one('inside', real(5, 4), (x) => ops.slice(x, [1, 2], [3, 2])),
    one('strides', real(7, 5), (x) => ops.slice(x, [1, 0], [3, 2], [2, 4])),
    one('strides that leave a rest', real(8), (x) => ops.slice(x, [1], [3], [2])),
    one('nothing', real(4), (x) => ops.slice(x, [2], [0])),
    one('one', real(3, 3), (x) => ops.slice(x, [2, 1], [1, 1])),
    one('from nothing', real(0, 3), (x) => ops.slice(x, [0, 1], [0, 2])),
  ],
  pad: [
    one('both sides', real(2, 3), (x) => ops.pad(x, [1, 0], [0, 2])),
    one('interior', real(3, 2), (x) => ops.pad(x, [0, 1], [1, 0], [2, 1])),
    one('interior of one', real(1, 2), (x) => ops.pad(x, [1, 0], [0, 0], [3, 0])),
    one('of nothing', real(0), (x) => ops.pad(x, [1], [2])),
    one('of whole numbers', whole(1, 4, 3), (x) => ops.pad(x, [1], [1])),
  ],
  concat: [
    two('rows', real(2, 3), real(1, 3), (a, b) => ops.concat([a, b], 0)),
    two('columns, one twice', real(2, 2), real(2, 3), (a, b) => ops.concat([a, b, a], 1)),
    two('one is empty', real(0, 2), real(3, 2), (a, b) => ops.concat([a, b, b], 0)),
    one('with numbers', real(2, 2), (a) => ops.concat([a, a.graph.fill(1, [1, 2], a.dtype)], 0)),
  ],
  reverse: [
    one('first axis', real(3, 2), (x) => ops.reverse(x, [0])),
    one('both axes', real(3, 2), (x) => ops.reverse(x, [0, 1])),
    one('of a slice', real(5), (x) => ops.reverse(ops.slice(x, [0], [3], [2]), [0])),
  ],
};
