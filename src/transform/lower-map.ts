import { InternalError } from '../base/errors.js';
import type { Node } from '../graph/index.js';
import { describe, isOp } from '../graph/index.js';
import type { MapInstruction, MapOp, MapOpcode, ReduceKind } from '../program/format.js';
import { mapOpcodes } from '../program/format.js';
import type { ComputeClass, Unit } from './fuse.js';
import { computeClass } from './fuse.js';
import type { Step, Target } from './lower.js';
import type { Window } from './views.js';

const reduceKinds: Record<string, ReduceKind> = { reduceSum: 'sum', reduceMax: 'max', reduceMin: 'min' };

/** One map for a unit. `results` are the members whose values are needed outside. */
export function mapStep(
  unit: Unit,
  results: readonly Node[],
  window: (n: Node) => Window,
  destination: (n: Node) => Target,
): Step {
  const operands = new Map<Node, number>();
  const windows: Window[] = [];
  const inside = new Set(unit.elementwise);
  const external = [...unit.elementwise.flatMap((n) => n.inputs), ...unit.reductions.map((r) => r.inputs[0] as Node)];
  for (const x of external) {
    if (inside.has(x) || operands.has(x) || isOp(x, 'fill')) continue;
    operands.set(x, windows.push(window(x)) - 1);
  }
  const registers = new Map<Node, number>(operands);
  const code: MapOp[] = [];
  const emit = (op: MapOp): number => windows.length + code.push(op) - 1;
  const register = (x: Node): number => {
    const known = registers.get(x);
    if (known !== undefined) return known;
    if (!isOp(x, 'fill')) throw new InternalError(`map: ${describe(x)} has no register`);
    const made = emit({ op: 'constant', value: x.attributes.value });
    registers.set(x, made);
    return made;
  };
  for (const n of unit.elementwise) registers.set(n, operation(n, register, emit));

  const over = unit.elementwise[0] ?? unit.reductions[0]?.inputs[0];
  if (!over) throw new InternalError('map: an empty unit');
  const { shape } = over;
  const reducedAxes = unit.reductions[0] ? (unit.reductions[0].attributes as { axes: readonly number[] }).axes : [];
  const outputs = results.map((n) => {
    const { window: w, accumulate } = destination(n);
    const reduce = reduceKinds[n.op] ?? 'none';
    const reg = reduce === 'none' ? registers.get(n) : register(n.inputs[0] as Node);
    if (reg === undefined) throw new InternalError(`map: ${describe(n)} was not computed`);
    return {
      register: reg,
      reduce,
      accumulate,
      window: w,
      view: reduce === 'none' ? w : spread(w, shape, reducedAxes),
    };
  });
  const compute = computeType([...unit.elementwise, ...unit.reductions]);
  const names =
    unit.elementwise.length + unit.reductions.length > 3
      ? `${unit.elementwise[0]?.op ?? ''}…${(unit.reductions.at(-1) ?? unit.elementwise.at(-1))?.op ?? ''} (${unit.elementwise.length + unit.reductions.length})`
      : [...unit.elementwise, ...unit.reductions].map((n) => n.op).join('·');
  return {
    label: `map ${names}[${shape.join(',')}]`,
    reads: [...windows, ...outputs.filter((o) => o.accumulate).map((o) => o.window)],
    writes: outputs.map((o) => o.window),
    flops: 0,
    emit: (v): MapInstruction => ({
      kind: 'map',
      compute,
      shape,
      reducedAxes: outputs.some((o) => o.reduce !== 'none') ? reducedAxes : [],
      inputs: windows.map(v),
      code,
      outputs: outputs.map((o) => ({
        register: o.register,
        view: v(o.view),
        reduce: o.reduce,
        accumulate: o.accumulate,
      })),
    }),
  };
}

function operation(n: Node, register: (x: Node) => number, emit: (op: MapOp) => number): number {
  const [a, b, c] = n.inputs;
  if (!a) throw new InternalError(`map: ${describe(n)} has no operand`);
  if (isOp(n, 'stopGradient')) return register(a);
  if (isOp(n, 'cast')) {
    const { to } = n.attributes;
    if (to === 'bool') return emit({ op: 'ne', a: register(a), b: emit({ op: 'constant', value: 0 }) });
    if (to === 'int32' && (a.dtype === 'float32' || a.dtype === 'float64'))
      return emit({ op: 'trunc', a: register(a) });
    return register(a);
  }
  if (!(n.op in mapOpcodes)) throw new InternalError(`map: ${describe(n)} is not element-wise`);
  const ra = register(a);
  // whole numbers are computed in float64; what leaves a fraction is truncated towards zero, as storing it would
  if ((n.op === 'div' || n.op === 'pow') && n.dtype === 'int32')
    return emit({ op: 'trunc', a: emit({ op: n.op, a: ra, b: register(b as Node) }) });
  return emit({ op: n.op as MapOpcode, a: ra, ...(b ? { b: register(b) } : {}), ...(c ? { c: register(c) } : {}) });
}

/** a reduction's result seen over the whole iteration space: stride 0 along what is reduced */
function spread(w: Window, shape: readonly number[], axes: readonly number[]): Window {
  let next = 0;
  return { ...w, shape, strides: shape.map((_, i) => (axes.includes(i) ? 0 : (w.strides[next++] as number))) };
}

function computeType(nodes: readonly Node[]): 'float32' | 'float64' {
  const classes = new Set<ComputeClass>(nodes.map(computeClass));
  return classes.has('int') || classes.has('float64') ? 'float64' : 'float32';
}
