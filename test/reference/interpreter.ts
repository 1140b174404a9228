/**
 * Runs a compiled program in plain TypeScript, one instruction after the other, by simple loops over views. It shares
 * nothing with the native kernels and only the scalar functions with the evaluator, so that it can judge both the
 * compiler and the kernels. It also refuses what the program format forbids.
 */
import { binaryFunctions, compareFunctions, unaryFunctions } from '../../src/graph/evaluate/elementwise.js';
import type {
  ArgReduceInstruction,
  ArgsortInstruction,
  ConvInstruction,
  CumsumInstruction,
  DotInstruction,
  GatherElementsInstruction,
  Instruction,
  MapInstruction,
  MapOp,
  Program,
  ScatterElementsInstruction,
  TakeInstruction,
  TakeTransposeInstruction,
  View,
  WindowInstruction,
} from '../../src/program/format.js';
import { bytesPerElement } from '../../src/program/format.js';
import { addresses, Memory } from './memory.js';

/** Memory for every binding of the program, nothing in it written. */
export const memoriesFor = (program: Program): Memory[] => program.bindings.map((b) => new Memory(b.name, b.bytes));

export function interpret(program: Program, memories: readonly Memory[]): void {
  program.instructions.forEach((instruction, i) => {
    try {
      new Run(program, memories).execute(instruction);
    } catch (error) {
      throw new Error(`instruction ${i}: ${(error as Error).message}\n${JSON.stringify(instruction)}`, {
        cause: error,
      });
    }
  });
}

const scalars: Record<string, (a: number, b: number, c: number) => number> = {
  ...unaryFunctions,
  ...binaryFunctions,
  ...Object.fromEntries(
    Object.entries(compareFunctions).map(([name, f]) => [name, (a: number, b: number) => Number(f(a, b))]),
  ),
  copy: (a) => a,
  select: (a, b, c) => (a !== 0 ? b : c),
  fma: (a, b, c) => a * b + c,
  trunc: Math.trunc,
};

class Run {
  constructor(
    readonly program: Program,
    readonly memories: readonly Memory[],
  ) {}

  execute(i: Instruction): void {
    check(i.kind, operandsOf(i));
    switch (i.kind) {
      case 'map':
        this.map(i);
        break;
      case 'copy':
        this.store(i.target, this.load(i.source));
        break;
      case 'fill':
        this.store(
          i.target,
          addresses(i.target).map(() => i.value),
        );
        break;
      case 'dot':
        this.dot(i);
        break;
      case 'conv':
        this.conv(i);
        break;
      case 'window':
        this.window(i);
        break;
      case 'take':
        this.take(i);
        break;
      case 'takeTranspose':
        this.takeTranspose(i);
        break;
      case 'gatherElements':
        this.gatherElements(i);
        break;
      case 'scatterElements':
        this.scatterElements(i);
        break;
      case 'argReduce':
        this.argReduce(i);
        break;
      case 'cumsum':
        this.cumsum(i);
        break;
      case 'argsort':
        this.argsort(i);
        break;
    }
  }

  memory(v: View): Memory {
    const memory = this.memories[v.binding],
      binding = this.program.bindings[v.binding];
    must(memory && binding, `binding ${v.binding} does not exist`);
    for (const at of addresses(v))
      must(
        Number.isInteger(at) && at >= 0 && (at + 1) * bytesPerElement[v.dtype] <= binding.bytes,
        `view leaves ${binding.name}`,
      );
    return memory;
  }
  load(v: View): number[] {
    const memory = this.memory(v);
    return addresses(v).map((at) => memory.read(v.dtype, at));
  }
  store(v: View, values: readonly number[], accumulate = false): void {
    const memory = this.memory(v);
    must(this.program.bindings[v.binding]?.written, `binding ${v.binding} is written but not declared so`);
    addresses(v).forEach((at, i) => {
      memory.write(v.dtype, at, (accumulate ? memory.read(v.dtype, at) : 0) + (values[i] as number));
    });
  }

  map(m: MapInstruction): void {
    const round = m.compute === 'float32' ? Math.fround : (x: number): number => x;
    const inputs = m.inputs.map((v) => {
      mustEqual(v.shape, m.shape, 'a map input has another shape');
      return this.load(v);
    });
    const count = product(m.shape);
    const results = m.outputs.map(() => new Array<number>(count));
    for (let e = 0; e < count; e++) {
      const registers = inputs.map((x) => round(x[e] as number));
      for (const op of m.code) registers.push(round(scalar(op, registers)));
      m.outputs.forEach((o, i) => {
        must(o.register < registers.length, 'no such register');
        (results[i] as number[])[e] = registers[o.register] as number;
      });
    }
    for (const [i, o] of m.outputs.entries()) {
      mustEqual(o.view.shape, m.shape, 'a map output has another shape');
      if (o.reduce === 'none') {
        this.store(o.view, results[i] as number[], o.accumulate);
        continue;
      }
      const once = { ...o.view, shape: m.shape.map((d, axis) => (m.reducedAxes.includes(axis) ? 1 : d)) };
      must(
        m.reducedAxes.every((axis) => o.view.strides[axis] === 0),
        'a reduced output moves along a reduced axis',
      );
      const sums = new Map(
        addresses(once).map((at) => [at, o.reduce === 'sum' ? 0 : o.reduce === 'max' ? -Infinity : Infinity]),
      );
      addresses(o.view).forEach((at, e) => {
        const x = (results[i] as number[])[e] as number,
          s = sums.get(at) as number;
        sums.set(at, o.reduce === 'sum' ? s + x : o.reduce === 'max' ? Math.max(s, x) : Math.min(s, x));
      });
      this.store(once, [...sums.values()], o.accumulate);
    }
  }

  dot(d: DotInstruction): void {
    const extent = new Map<number, number>();
    for (const [v, labels] of [
      [d.a, d.labelsA],
      [d.b, d.labelsB],
      [d.c, d.labelsC],
    ] as const) {
      must(labels.length === v.shape.length && new Set(labels).size === labels.length, 'labels do not fit');
      labels.forEach((l, i) => {
        must((extent.get(l) ?? v.shape[i]) === v.shape[i], `extents of label ${l} differ`);
        extent.set(l, v.shape[i] as number);
      });
    }
    const summed = [...extent.keys()].filter((l) => !d.labelsC.includes(l));
    must(
      summed.every((l) => d.labelsA.includes(l) && d.labelsB.includes(l)),
      'a summed label is in one operand only',
    );
    const over = [...d.labelsC, ...summed],
      shape = over.map((l) => extent.get(l) as number);
    const along = (v: View, labels: readonly number[]): number[] =>
      addresses({
        offset: v.offset,
        shape,
        strides: over.map((l) => (labels.includes(l) ? (v.strides[labels.indexOf(l)] as number) : 0)),
      });
    const a = along(d.a, d.labelsA),
      b = along(d.b, d.labelsB);
    const [ma, mb] = [this.memory(d.a), this.memory(d.b)];
    const terms = product(summed.map((l) => extent.get(l) as number));
    const sums = Array.from({ length: product(d.c.shape) }, (_, i) => {
      let sum = 0;
      for (let j = i * terms; j < (i + 1) * terms; j++)
        sum += ma.read(d.a.dtype, a[j] as number) * mb.read(d.b.dtype, b[j] as number);
      return d.alpha * sum;
    });
    this.store(d.c, sums, d.accumulate);
  }

  conv(c: ConvInstruction): void {
    for (const v of [c.x, c.w, c.y]) mustBeContiguous(v, 1);
    const [k, n] = c.y.shape as [number, number];
    const [outs, inner] = c.w.shape.slice(1) as [number, number];
    const space = c.x.shape.slice(3),
      window = c.w.shape.slice(3),
      positions = c.y.shape.slice(3);
    must(
      c.x.shape[0] === k &&
        c.w.shape[0] === k &&
        c.x.shape[1] === n &&
        c.x.shape[2] === inner * c.groups &&
        c.y.shape[2] === outs,
      'convolution operands do not fit',
    );
    const result = c.mode === 'forward' ? c.y : c.mode === 'input' ? c.x : c.w;
    must(k <= 1 || product(result.shape) === 0 || result.strides[0] !== 0, 'the written operand repeats');
    const sums = new Map(addresses(result).map((at) => [at, 0]));
    const at = (v: View, index: readonly number[]): number =>
      index.reduce((sum, i, axis) => sum + i * (v.strides[axis] as number), v.offset);
    const add = (to: number, x: number): void => {
      sums.set(to, (sums.get(to) as number) + x);
    };
    for (const [kk, nn, o, i, ...rest] of indices([k, n, outs, inner, ...positions, ...window]) as Iterable<
      [number, number, number, number, ...number[]]
    >) {
      const p = rest.slice(0, positions.length),
        q = rest.slice(positions.length);
      const s = p.map(
        (v, axis) =>
          v * (c.strides[axis] as number) +
          (q[axis] as number) * (c.dilations[axis] as number) -
          (c.padLow[axis] as number),
      );
      if (s.some((v, axis) => v < 0 || v >= (space[axis] as number))) continue;
      const x = at(c.x, [kk, nn, Math.floor(o / (outs / c.groups)) * inner + i, ...s]),
        w = at(c.w, [kk, o, i, ...q]),
        y = at(c.y, [kk, nn, o, ...p]);
      const [mx, mw, my] = [c.x, c.w, c.y].map((v) => this.memories[v.binding] as Memory) as [Memory, Memory, Memory];
      if (c.mode === 'forward') add(y, mw.read(c.w.dtype, w) * mx.read(c.x.dtype, x));
      else if (c.mode === 'input') add(x, mw.read(c.w.dtype, w) * my.read(c.y.dtype, y));
      else add(w, mx.read(c.x.dtype, x) * my.read(c.y.dtype, y));
    }
    this.store(
      result,
      addresses(result).map((a) => sums.get(a) as number),
      c.accumulate,
    );
  }

  window(w: WindowInstruction): void {
    for (const v of [w.x, w.y]) mustBeContiguous(v, 0);
    const n = w.x.shape[0] as number,
      space = w.x.shape.slice(1),
      positions = w.y.shape.slice(1);
    must(w.y.shape[0] === n && space.length === w.window.length, 'window operands do not fit');
    const S = product(space),
      P = product(positions);
    const x = w.mode === 'sumTranspose' ? new Array<number>(n * S).fill(0) : this.load(w.x);
    const y = w.mode === 'sumTranspose' ? this.load(w.y) : new Array<number>(n * P).fill(w.mode === 'argmax' ? -1 : 0);
    for (let b = 0; b < n; b++) {
      [...indices(positions)].forEach((p, pi) => {
        for (const q of indices(w.window)) {
          const s = p.map(
            (v, axis) =>
              v * (w.strides[axis] as number) +
              (q[axis] as number) * (w.dilations[axis] as number) -
              (w.padLow[axis] as number),
          );
          if (s.some((v, axis) => v < 0 || v >= (space[axis] as number))) continue;
          const si = s.reduce((sum, v, axis) => sum * (space[axis] as number) + v, 0),
            at = b * P + pi,
            from = b * S + si;
          if (w.mode === 'sum') y[at] = (y[at] as number) + (x[from] as number);
          else if (w.mode === 'sumTranspose') x[from] = (x[from] as number) + (y[at] as number);
          else {
            const best = y[at] as number,
              v = x[from] as number,
              held = x[b * S + best] as number;
            if (best < 0 || (!Number.isNaN(held) && (Number.isNaN(v) || v > held))) y[at] = si;
          }
        }
      });
    }
    if (w.mode === 'sumTranspose') this.store(w.x, x);
    else this.store(w.y, y);
  }

  take(t: TakeInstruction): void {
    const [outer, size, inner] = t.x.shape as [number, number, number];
    const x = this.load(t.x),
      index = this.load(t.index);
    mustEqual(t.y.shape, [outer, index.length, inner], 'take');
    const from = (o: number, j: number): number => o * size + within(index[j] as number, size);
    this.store(
      t.y,
      [...indices([outer, index.length, inner])].map(
        ([o, j, i]) => x[from(o as number, j as number) * inner + (i as number)] as number,
      ),
    );
  }
  takeTranspose(t: TakeTransposeInstruction): void {
    const [outer, size, inner] = t.x.shape as [number, number, number];
    const y = this.load(t.y),
      index = this.load(t.index);
    mustEqual(t.y.shape, [outer, index.length, inner], 'takeTranspose');
    const sums = new Array<number>(outer * size * inner).fill(0);
    [...indices(t.y.shape)].forEach(([o, j, i], e) => {
      const to = ((o as number) * size + within(index[j as number] as number, size)) * inner + (i as number);
      sums[to] = (sums[to] as number) + (y[e] as number);
    });
    this.store(t.x, sums, t.accumulate);
  }
  gatherElements(g: GatherElementsInstruction): void {
    mustEqual(g.index.shape, g.y.shape, 'gatherElements');
    const memory = this.memory(g.x),
      index = this.load(g.index);
    this.store(
      g.y,
      [...indices(g.y.shape)].map((at, e) =>
        memory.read(
          g.x.dtype,
          at.reduce(
            (sum, i, axis) =>
              sum +
              (axis === g.axis
                ? within(index[e] as number, g.x.shape[axis] as number)
                : within(i, g.x.shape[axis] as number)) *
                (g.x.strides[axis] as number),
            g.x.offset,
          ),
        ),
      ),
    );
  }
  scatterElements(s: ScatterElementsInstruction): void {
    mustEqual(s.index.shape, s.y.shape, 'scatterElements');
    const y = this.load(s.y),
      index = this.load(s.index);
    const sums = new Array<number>(product(s.x.shape)).fill(0);
    [...indices(s.y.shape)].forEach((at, e) => {
      const to = at.reduce(
        (sum, i, axis) =>
          sum * (s.x.shape[axis] as number) +
          within(axis === s.axis ? (index[e] as number) : i, s.x.shape[axis] as number),
        0,
      );
      sums[to] = (sums[to] as number) + (y[e] as number);
    });
    this.store(s.x, sums, s.accumulate);
  }

  argReduce(a: ArgReduceInstruction): void {
    mustEqual(
      a.y.shape,
      a.x.shape.map((d, i) => (i === a.axis ? 1 : d)),
      'argReduce',
    );
    this.store(
      a.y,
      lines(this.load(a.x), a.x.shape, a.axis).map(({ values }) => {
        let best = 0;
        values.forEach((v, i) => {
          const held = values[best] as number;
          if (!Number.isNaN(held) && (Number.isNaN(v) || (a.largest ? v > held : v < held))) best = i;
        });
        return best;
      }),
    );
  }
  cumsum(c: CumsumInstruction): void {
    this.alongLines(c.x, c.y, c.axis, (values) => {
      const out = values.slice();
      let sum = 0;
      for (let step = 0; step < values.length; step++) {
        const i = c.reverse ? values.length - 1 - step : step;
        const next = sum + (values[i] as number);
        out[i] = c.exclusive ? sum : next;
        sum = next;
      }
      return out;
    });
  }
  argsort(a: ArgsortInstruction): void {
    // NaN counts as the largest
    const order = (p: number, q: number): number =>
      Number(Number.isNaN(p)) - Number(Number.isNaN(q)) || (p < q ? -1 : p > q ? 1 : 0);
    this.alongLines(a.x, a.y, a.axis, (values) =>
      values
        .map((_, i) => i)
        .sort(
          (p, q) =>
            (a.descending
              ? order(values[q] as number, values[p] as number)
              : order(values[p] as number, values[q] as number)) || p - q,
        ),
    );
  }
  alongLines(x: View, y: View, axis: number, f: (values: number[]) => number[]): void {
    mustEqual(x.shape, y.shape, 'operands differ in shape');
    const out = new Array<number>(product(x.shape));
    for (const { values, positions } of lines(this.load(x), x.shape, axis))
      f(values).forEach((v, i) => {
        out[positions[i] as number] = v;
      });
    this.store(y, out);
  }
}

function scalar(op: MapOp, registers: readonly number[]): number {
  if (op.op === 'constant') return op.value as number;
  const f = scalars[op.op];
  must(f, `unknown operation ${op.op}`);
  const operands = [op.a, op.b, op.c]
    .filter((r) => r !== undefined)
    .map((r) => {
      must(r < registers.length, `operation ${op.op} reads a register that is not yet computed`);
      return registers[r] as number;
    });
  return f(...(operands as [number, number, number]));
}

/** What an instruction reads and writes. */
export function operandsOf(i: Instruction): { reads: View[]; writes: View[] } {
  switch (i.kind) {
    case 'map':
      return { reads: [...i.inputs], writes: i.outputs.map((o) => o.view) };
    case 'copy':
      return { reads: [i.source], writes: [i.target] };
    case 'fill':
      return { reads: [], writes: [i.target] };
    case 'dot':
      return { reads: [i.a, i.b], writes: [i.c] };
    case 'conv':
      return i.mode === 'forward'
        ? { reads: [i.x, i.w], writes: [i.y] }
        : i.mode === 'input'
          ? { reads: [i.w, i.y], writes: [i.x] }
          : { reads: [i.x, i.y], writes: [i.w] };
    case 'window':
      return i.mode === 'sumTranspose' ? { reads: [i.y], writes: [i.x] } : { reads: [i.x], writes: [i.y] };
    case 'take':
    case 'gatherElements':
      return { reads: [i.x, i.index], writes: [i.y] };
    case 'takeTranspose':
    case 'scatterElements':
      return { reads: [i.y, i.index], writes: [i.x] };
    case 'argReduce':
    case 'cumsum':
    case 'argsort':
      return { reads: [i.x], writes: [i.y] };
  }
}

/** No result may lie where an operand or another result of the same instruction does. */
function check(kind: string, { reads, writes }: { reads: View[]; writes: View[] }): void {
  const owner = new Map<string, View>();
  const bytes = (v: View): string[] =>
    [...new Set(addresses(v))].flatMap((at) =>
      Array.from({ length: bytesPerElement[v.dtype] }, (_, b) => `${v.binding}:${at * bytesPerElement[v.dtype] + b}`),
    );
  for (const w of writes) {
    for (const at of bytes(w)) {
      must(!owner.has(at), `${kind}: two results overlap`);
      owner.set(at, w);
    }
  }
  for (const r of reads) must(!bytes(r).some((at) => owner.has(at)), `${kind}: a result overlaps an operand`);
}

function must(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(message);
}
function mustEqual(a: readonly number[], b: readonly number[], message: string): void {
  must(a.join() === b.join(), `${message}: [${a}] and [${b}]`);
}
function within(i: number, size: number): number {
  must(Number.isInteger(i) && i >= 0 && i < size, `index ${i} is outside an axis of ${size}`);
  return i;
}
function mustBeContiguous(v: View, from: number): void {
  let want = 1;
  for (let axis = v.shape.length - 1; axis >= from; axis--) {
    const extent = v.shape[axis] as number;
    must(
      extent === 1 || v.strides[axis] === want || product(v.shape) === 0,
      `axis ${axis} of [${v.shape}] has stride ${v.strides[axis]}, not ${want}`,
    );
    want *= extent;
  }
}
const product = (extents: readonly number[]): number => extents.reduce((n, d) => n * d, 1);

function* indices(shape: readonly number[]): Generator<number[]> {
  const count = product(shape);
  for (let e = 0; e < count; e++) {
    const index = new Array<number>(shape.length);
    let left = e;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = left % (shape[axis] as number);
      left = Math.floor(left / (shape[axis] as number));
    }
    yield index;
  }
}

/** the lines of a row-major value along one axis, in row-major order of what is left */
function lines(
  x: readonly number[],
  shape: readonly number[],
  axis: number,
): { values: number[]; positions: number[] }[] {
  const size = shape[axis] as number,
    inner = product(shape.slice(axis + 1)),
    count = product(shape.filter((_, i) => i !== axis));
  return Array.from({ length: count }, (_, l) => {
    const positions = Array.from(
      { length: size },
      (_v, i) => Math.floor(l / inner) * size * inner + i * inner + (l % inner),
    );
    return { values: positions.map((p) => x[p] as number), positions };
  });
}
