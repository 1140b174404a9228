/**
 * Random graphs over all primitives, for tests of the compiler and the devices.
 *
 * Every node is evaluated as it is made. One is dropped again if its values grow, are not finite, or stand so close to
 * a decision (a comparison, a rounding, an order) that the last bit of an operand could turn it: then any two correct
 * executions agree to rounding.
 */
import { evaluate, type Value } from '../../src/graph/evaluate.js';
import type { DType, Node, Shape } from '../../src/graph/index.js';
import { Graph, isFloat, isOp, ops, sizeOf } from '../../src/graph/index.js';
import type { Chance } from './random.js';

export interface RandomGraph {
  readonly graph: Graph;
  readonly inputs: ReadonlyMap<Node, Value>;
  /** everything that was made and kept, with its value */
  readonly values: ReadonlyMap<Node, Value>;
}
export interface RandomGraphOptions {
  readonly nodes: number;
  readonly floats: readonly ('float32' | 'float64')[];
  /** probability of a very small or empty extent */
  readonly degenerate?: number;
  /** leave out stopGradient, whose derivative is not the limit of differences */
  readonly differentiable?: boolean;
  /** where to make it; default a new one */
  readonly graph?: Graph;
  /** largest extent of an axis; default 4 */
  readonly extent?: number;
}

/** values beyond are dropped, and so are nodes of more elements than the default extents can have often */
const limit = 50;
const mostElements = 400;
const margin = 1e-3;

export function randomGraph(chance: Chance, options: RandomGraphOptions): RandomGraph {
  const maker = new Maker(chance, options);
  maker.start();
  for (let tries = 0; maker.values.size < options.nodes && tries < options.nodes * 20; tries++) maker.step();
  return maker;
}

type Recipe = (m: Maker) => Node;

class Maker implements RandomGraph {
  readonly graph: Graph;
  readonly inputs = new Map<Node, Value>();
  readonly values = new Map<Node, Value>();
  readonly c: Chance;
  readonly #options: RandomGraphOptions;
  readonly extent: number;

  constructor(chance: Chance, options: RandomGraphOptions) {
    this.c = chance;
    this.#options = options;
    this.graph = options.graph ?? new Graph();
    this.extent = options.extent ?? 4;
  }

  start(): void {
    // one that every recipe can use
    this.#input('x', [2, 3], this.c.pick(this.#options.floats));
    for (let i = 0; i < 4; i++) this.#input(`x${i}`, this.shape(), this.c.pick(this.#options.floats));
    this.#input('n', this.shape(), 'int32');
    this.#input('b', this.shape(), 'bool');
    const shape = this.shape();
    this.keep(
      this.graph.constant(Float64Array.from(this.c.reals(sizeOf(shape))), shape, this.c.pick(this.#options.floats)),
    );
    this.keep(this.graph.fill(1.5, this.shape(), this.c.pick(this.#options.floats)));
  }
  #input(name: string, shape: Shape, dtype: DType): void {
    const node = this.graph.input(name, shape, dtype);
    const count = sizeOf(shape);
    const value =
      dtype === 'int32'
        ? Int32Array.from({ length: count }, () => this.c.int(-5, 5))
        : dtype === 'bool'
          ? Uint8Array.from({ length: count }, () => this.c.int(0, 1))
          : dtype === 'float32'
            ? Float32Array.from(this.c.reals(count))
            : Float64Array.from(this.c.reals(count));
    this.inputs.set(node, value);
    this.values.set(node, value);
  }

  step(): void {
    const node = this.c.pick(this.c.pick(recipes))(this);
    if (this.#options.differentiable && isOp(node, 'stopGradient')) return;
    this.keep(node);
  }

  /** evaluates what is new below `node`; keeps all of it, or nothing */
  keep(node: Node): boolean {
    const fresh: Node[] = [];
    const visit = (n: Node): void => {
      if (this.values.has(n) || fresh.includes(n)) return;
      n.inputs.forEach(visit);
      fresh.push(n);
    };
    visit(node);
    const found = new Map<Node, Value>(this.values);
    for (const n of fresh) {
      const value = evaluate([n], new Map([...n.inputs.map((x) => [x, found.get(x) as Value] as const)]), {
        round: true,
      })[0] as Value;
      found.set(n, value);
      if (
        value.length > mostElements * (this.extent / 4) ** 2 ||
        !acceptable(
          n,
          value,
          n.inputs.map((x) => found.get(x) as Value),
        )
      )
        return false;
    }
    for (const n of fresh) this.values.set(n, found.get(n) as Value);
    return true;
  }

  shape(rank = this.c.int(0, 3)): number[] {
    const rare = this.#options.degenerate ?? 0.1;
    return Array.from({ length: rank }, () => (this.c.bool(rare) ? this.c.int(0, 1) : this.c.int(1, this.extent)));
  }
  any(accept: (n: Node) => boolean = () => true): Node {
    const all = [...this.values.keys()].filter(accept);
    // recent nodes more often, so that chains grow
    return this.c.bool() ? this.c.pick(all.slice(-8)) : this.c.pick(all);
  }
  float(): Node {
    return this.any((n) => isFloat(n.dtype));
  }
  /** some value of this type */
  of(dtype: DType): Node {
    const x = this.any();
    return x.dtype === dtype ? x : ops.cast(x, dtype);
  }
  /** some value of this type and shape, reached by views, pads or broadcasts */
  shaped(shape: Shape, dtype: DType): Node {
    const exact = [...this.values.keys()].filter((n) => n.dtype === dtype && n.shape.join() === shape.join());
    if (exact.length > 0 && this.c.bool(0.7)) return this.c.pick(exact);
    return this.conform(this.of(dtype), shape);
  }
  conform(x: Node, shape: Shape): Node {
    const want = sizeOf(shape),
      have = sizeOf(x.shape);
    if (have === want) return ops.reshape(x, shape);
    if (have === 1 || (have > 0 && this.c.bool(0.3))) {
      const one = ops.slice(ops.reshape(x, [have]), [this.c.int(0, have - 1)], [1]);
      return ops.broadcast(ops.reshape(one, []), shape, []);
    }
    const flat = ops.reshape(x, [have]);
    if (have > want) return ops.reshape(ops.slice(flat, [this.c.int(0, have - want)], [want]), shape);
    return ops.reshape(ops.pad(flat, [1], [want - have - 1]), shape);
  }
  /** an index below `size` */
  index(shape: Shape, size: number): Node {
    const raw = this.shaped(shape, 'int32');
    return ops.mod(raw, Math.max(1, size));
  }
  axis(x: Node): number {
    return this.c.int(0, x.shape.length - 1);
  }
}

export function acceptable(node: Node, value: Value, inputs: readonly Value[]): boolean {
  if (value.some((v) => !Number.isFinite(v) || Math.abs(v) > limit)) return false;
  const near = (a: number, b: number): boolean => a !== b && Math.abs(a - b) < margin;
  const [x, y] = inputs;
  const exact = !isFloat(node.inputs[0]?.dtype ?? 'int32');
  switch (node.op) {
    case 'floor':
    case 'ceil':
      return !x?.some((v) => near(v, Math.round(v)));
    case 'round':
      return !x?.some((v) => Math.abs(Math.abs(v - Math.trunc(v)) - 0.5) < margin);
    case 'sign':
    case 'abs':
      return !x?.some((v) => near(v, 0));
    case 'cast':
      return isFloat(node.dtype) || exact || !x?.some((v) => near(v, Math.round(v)));
    case 'eq':
    case 'ne':
    case 'lt':
    case 'le':
    case 'gt':
    case 'ge':
    case 'max':
    case 'min':
      return exact || !x?.some((v, i) => near(v, y?.[i] as number));
    case 'mod':
      return exact
        ? !y?.some((v) => v === 0)
        : !x?.some((v, i) => near(v / (y?.[i] as number), Math.round(v / (y?.[i] as number))));
    case 'div':
      return !y?.some((v) => Math.abs(v) < 0.1);
    case 'argMax':
    case 'argMin':
    case 'argsort':
    case 'windowArgMax': {
      if (value.some((v) => v < 0)) return false;
      const sorted = [...(x ?? [])].sort((p, q) => p - q);
      return exact || !sorted.some((v, i) => i > 0 && near(v, sorted[i - 1] as number));
    }
    default:
      return true;
  }
}

const positive = (x: Node): Node => ops.add(ops.abs(x), 0.5);
const inside = (x: Node): Node => ops.mul(ops.tanh(x), 0.8);
const u =
  (f: (x: Node) => Node): Recipe =>
  (m) =>
    f(m.float());

const unary: Recipe[] = [
  u(ops.neg),
  u(ops.abs),
  u(ops.sign),
  u(ops.exp),
  u(ops.expm1),
  u((x) => ops.log(positive(x))),
  u((x) => ops.log1p(ops.abs(x))),
  u((x) => ops.sqrt(positive(x))),
  u((x) => ops.rsqrt(positive(x))),
  u((x) => ops.reciprocal(positive(x))),
  u(ops.sin),
  u(ops.cos),
  u((x) => ops.tan(inside(x))),
  u((x) => ops.asin(inside(x))),
  u((x) => ops.acos(inside(x))),
  u(ops.atan),
  u(ops.sinh),
  u(ops.cosh),
  u(ops.asinh),
  u((x) => ops.acosh(ops.add(positive(x), 1))),
  u((x) => ops.atanh(inside(x))),
  u(ops.tanh),
  u(ops.sigmoid),
  u(ops.softplus),
  u(ops.erf),
  u(ops.floor),
  u(ops.ceil),
  u(ops.round),
  u(ops.isNaN),
  u(ops.isInf),
  u(ops.stopGradient),
  (m) => ops.not(m.of('bool')),
];
const arithmetic = [ops.add, ops.sub, ops.mul, ops.max, ops.min] as const;
const comparisons = [ops.eq, ops.ne, ops.lt, ops.le, ops.gt, ops.ge] as const;
const logic = [ops.and, ops.or, ops.xor] as const;
const binary: Recipe[] = [
  (m) => {
    const x = m.float();
    return m.c.pick(arithmetic)(x, m.shaped(x.shape, x.dtype));
  },
  (m) => {
    const x = m.float();
    return m.c.pick(arithmetic)(m.c.pick([0, 1, -1, 2, 0.5]), x);
  },
  (m) => {
    const x = m.float();
    return ops.div(m.shaped(x.shape, x.dtype), positive(x));
  },
  (m) => {
    const x = m.float();
    return ops.pow(positive(inside(x)), m.shaped(x.shape, x.dtype));
  },
  (m) => {
    const x = m.float();
    return ops.pow(positive(x), m.c.pick([0, 1, 2, 3, 0.5, -0.5, -1, 1.7]));
  },
  (m) => {
    const x = m.float();
    return ops.atan2(x, positive(m.shaped(x.shape, x.dtype)));
  },
  (m) => {
    const x = m.float();
    return ops.mod(x, positive(m.shaped(x.shape, x.dtype)));
  },
  (m) => {
    const x = m.any();
    return m.c.pick(comparisons)(x, m.shaped(x.shape, x.dtype));
  },
  (m) => {
    const x = m.of('bool');
    return m.c.pick(logic)(x, m.shaped(x.shape, 'bool'));
  },
  (m) => {
    const x = m.any();
    return ops.select(m.shaped(x.shape, 'bool'), x, m.shaped(x.shape, x.dtype));
  },
  (m) => ops.cast(m.any(), m.any().dtype),
  (m) => {
    const x = m.of('int32');
    return m.c.pick(arithmetic)(x, m.shaped(x.shape, 'int32'));
  },
  (m) => {
    const x = m.of('int32');
    return m.c.pick([ops.div, ops.mod])(x, ops.max(m.shaped(x.shape, 'int32'), 1));
  },
  (m) => m.c.pick([ops.neg, ops.abs, ops.sign])(m.of('int32')),
  // a longer chain in one go, with its parts used again
  (m) => {
    const x = m.float(),
      y = ops.sigmoid(x);
    return ops.mul(ops.add(ops.mul(x, y), m.shaped(x.shape, x.dtype)), ops.sub(1, y));
  },
];
const reduce = [ops.reduceSum, ops.reduceMax, ops.reduceMin] as const;
const reductions: Recipe[] = [
  (m) => {
    const x = m.any((n) => n.dtype !== 'bool' && sizeOf(n.shape) > 0);
    return m.c.pick(reduce)(x, m.c.subset(x.shape.map((_, i) => i)), m.c.bool());
  },
  (m) => {
    const x = m.float();
    return ops.reduceSum(ops.mul(x, m.shaped(x.shape, x.dtype)), m.c.subset(x.shape.map((_, i) => i)));
  },
  // softmax: two reductions of one value and a look back
  (m) => {
    const x = m.any((n) => isFloat(n.dtype) && n.shape.length > 0 && sizeOf(n.shape) > 0),
      axis = m.axis(x);
    const e = ops.exp(ops.sub(x, ops.reduceMax(x, [axis], true)));
    return ops.div(e, ops.reduceSum(e, [axis], true));
  },
  (m) => {
    const x = ops.tanh(m.any((n) => isFloat(n.dtype) && n.shape.length > 0 && sizeOf(n.shape) > 0)),
      axes = [m.axis(x)];
    return ops.add(ops.sub(ops.reduceMax(x, axes), ops.reduceMin(x, axes)), ops.reduceSum(x, axes));
  },
  (m) => {
    const x = m.any((n) => n.shape.length > 0 && sizeOf(n.shape) > 0 && n.dtype !== 'bool');
    return m.c.pick([ops.argMax, ops.argMin])(x, m.axis(x));
  },
  (m) => {
    const x = m.any((n) => n.shape.length > 0 && n.dtype !== 'bool');
    return ops.cumsum(x, m.axis(x), m.c.bool(), m.c.bool());
  },
  (m) => {
    const x = m.any((n) => n.shape.length > 0 && n.dtype !== 'bool');
    return ops.argsort(x, m.axis(x), m.c.bool());
  },
];

function randomDot(m: Maker, out: string, extents: ReadonlyMap<string, number>, dtype: DType): Node {
  const inA = [...out].filter(() => m.c.bool());
  const inB = [...out].filter((s) => !inA.includes(s) || m.c.bool(0.3));
  const summed = [...'xyz'].filter(() => m.c.bool(0.6));
  const a = m.c.shuffled([...inA, ...summed]).join(''),
    b = m.c.shuffled([...inB, ...summed]).join('');
  const shape = (labels: string): number[] => [...labels].map((s) => extents.get(s) as number);
  return ops.dot(m.shaped(shape(a), dtype), m.shaped(shape(b), dtype), a, b, out);
}
const extentsOf = (m: Maker): Map<string, number> =>
  new Map([...'bmnxyz'].map((s) => [s, m.c.bool(0.05) ? 0 : m.c.int(1, m.extent - 1)]));
const someFloat = (m: Maker): DType => m.float().dtype;
const sumOf = (m: Maker, count: number, make: () => Node): Node => {
  let sum = make();
  for (let i = 1; i < count; i++) sum = m.c.bool() ? ops.add(sum, make()) : ops.add(make(), sum);
  return sum;
};

interface ConvCase {
  x: number[];
  w: number[];
  y: number[];
  a: { strides: number[]; padLow: number[]; dilations: number[]; groups: number };
}
function convCase(m: Maker): ConvCase {
  const n = m.c.int(1, 2),
    list = (low: number, high: number): number[] => Array.from({ length: n }, () => m.c.int(low, high));
  const groups = m.c.int(1, 2),
    inner = m.c.int(1, 2),
    outs = groups * m.c.int(1, 2),
    samples = m.c.int(1, 2);
  return {
    x: [samples, inner * groups, ...list(2, m.extent)],
    w: [outs, inner, ...list(1, 3)],
    y: [samples, outs, ...list(1, m.extent - 1)],
    a: { strides: list(1, 2), padLow: list(0, 2), dilations: list(1, 2), groups },
  };
}
function convOf(m: Maker, { x, w, y, a }: ConvCase, mode: number, k: number, dtype: DType): Node {
  const n = a.strides.length;
  const [ka, kb] =
    k === 0
      ? [false, false]
      : m.c.pick([
          [true, true],
          [true, false],
          [false, true],
        ] as const);
  const operand = (shape: number[], lead: boolean): Node => m.shaped(lead ? [k, ...shape] : shape, dtype);
  if (mode === 0) return ops.convAt(operand(x, ka), operand(w, kb), { ...a, positions: y.slice(-n) });
  if (mode === 1) return ops.convInput(operand(y, ka), operand(w, kb), a, x.slice(-n));
  return ops.convWeight(operand(x, ka), operand(y, kb), a, w.slice(-n));
}
const products: Recipe[] = [
  (m) => {
    const out = m.c.shuffled(m.c.subset([...'bmn'])).join('');
    return randomDot(m, out, extentsOf(m), someFloat(m));
  },
  (m) => {
    const out = m.c.shuffled(m.c.subset([...'bmn'])).join(''),
      extents = extentsOf(m),
      dtype = someFloat(m);
    return sumOf(m, m.c.int(2, 4), () => randomDot(m, out, extents, dtype));
  },
  (m) => convOf(m, convCase(m), m.c.int(0, 2), m.c.int(0, 2), someFloat(m)),
  (m) => {
    const shape = convCase(m),
      mode = m.c.int(0, 2),
      k = m.c.int(0, 2),
      dtype = someFloat(m);
    return sumOf(m, m.c.int(2, 3), () => convOf(m, shape, mode, k, dtype));
  },
  (m) => {
    const n = m.c.int(1, 2),
      list = (low: number, high: number): number[] => Array.from({ length: n }, () => m.c.int(low, high));
    const a = { window: list(1, 3), strides: list(1, 2), padLow: list(0, 1), dilations: list(1, 2) };
    const lead = m.shape(m.c.int(0, 2));
    const x = m.shaped([...lead, ...list(2, m.extent)], someFloat(m));
    return m.c.pick([ops.windowSum, ops.windowSumTranspose, ops.windowArgMax])(x, a, list(1, m.extent - 1));
  },
];
const indexing: Recipe[] = [
  (m) => {
    const x = m.any((n) => n.shape.length > 0 && sizeOf(n.shape) > 0),
      axis = m.axis(x);
    return ops.take(x, m.index(m.shape(m.c.int(0, 2)), x.shape[axis] as number), axis);
  },
  (m) => {
    const lead = m.shape(m.c.int(0, 1)),
      middle = m.shape(m.c.int(0, 2)),
      tail = m.shape(m.c.int(0, 1)),
      size = m.c.int(1, 4);
    return ops.takeTranspose(
      m.shaped([...lead, ...middle, ...tail], someFloat(m)),
      m.index(middle, size),
      lead.length,
      size,
    );
  },
  (m) => {
    const x = m.any((n) => n.shape.length > 0 && sizeOf(n.shape) > 0),
      axis = m.axis(x);
    const shape = x.shape.map((d, i) => (i === axis ? m.c.int(1, 3) : m.c.int(1, d)));
    return ops.gatherElements(x, m.index(shape, x.shape[axis] as number), axis);
  },
  (m) => {
    const y = m.any((n) => isFloat(n.dtype) && n.shape.length > 0),
      axis = m.axis(y),
      size = m.c.int(1, 4);
    return ops.scatterElements(y, m.index(y.shape, size), axis, size);
  },
];
const shapes: Recipe[] = [
  (m) => {
    const x = m.any();
    return m.conform(x, m.c.shuffled(x.shape));
  },
  (m) => {
    const x = m.any();
    return ops.reshape(
      x,
      m.c.pick([[sizeOf(x.shape)], [1, ...x.shape], [...x.shape, 1], x.shape.filter((d) => d !== 1)]),
    );
  },
  (m) => {
    const x = m.any();
    return ops.transpose(x, m.c.shuffled(x.shape.map((_, i) => i)));
  },
  (m) => {
    const x = m.any(),
      extra = m.shape(m.c.int(0, 2)),
      rank = x.shape.length + extra.length;
    const dims = m.c.shuffled(Array.from({ length: rank }, (_, i) => i)).slice(0, x.shape.length);
    const left = [...extra];
    const shape = Array.from({ length: rank }, (_, axis) => {
      const i = dims.indexOf(axis);
      return i < 0 ? (left.shift() as number) : x.shape[i] === 1 ? m.c.int(1, 3) : (x.shape[i] as number);
    });
    return ops.broadcast(x, shape, dims);
  },
  (m) => {
    const x = m.any();
    const strides = x.shape.map(() => m.c.int(1, 2)),
      starts = x.shape.map((d) => (d === 0 ? 0 : m.c.int(0, d - 1)));
    const sizes = x.shape.map((d, i) =>
      d === 0
        ? 0
        : m.c.int(m.c.bool(0.1) ? 0 : 1, Math.floor((d - 1 - (starts[i] as number)) / (strides[i] as number)) + 1),
    );
    return ops.slice(x, starts, sizes, strides);
  },
  (m) => {
    const x = m.any((n) => n.dtype !== 'bool'),
      some = (): number[] => x.shape.map(() => (m.c.bool() ? m.c.int(0, 2) : 0));
    return ops.pad(x, some(), some(), some());
  },
  (m) => {
    const x = m.any((n) => n.shape.length > 0),
      axis = m.axis(x);
    const part = (): Node =>
      m.shaped(
        x.shape.map((d, i) => (i === axis ? m.c.int(0, 2) : d)),
        x.dtype,
      );
    return ops.concat(m.c.shuffled([x, ...Array.from({ length: m.c.int(0, 2) }, part)]), axis);
  },
  (m) => {
    const x = m.any();
    return ops.reverse(x, m.c.subset(x.shape.map((_, i) => i)));
  },
  (m) => {
    const shape = m.shape(m.c.int(1, 3));
    return m.graph.iota(m.c.int(0, shape.length - 1), shape);
  },
  (m) => {
    const shape = m.shape();
    return m.graph.constant(Float64Array.from(m.c.reals(sizeOf(shape))), shape, someFloat(m));
  },
  (m) => m.graph.fill(m.c.int(-2, 2), m.shape(), m.any().dtype === 'int32' ? 'int32' : someFloat(m)),
];
/** element-wise work as often as the rest together, so that chains arise for fusion */
const recipes: Recipe[][] = [unary, unary, binary, binary, binary, reductions, products, indexing, shapes, shapes];
