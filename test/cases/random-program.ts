/** Random requests to compile a random graph: odd placements, repeated, accumulated and trivial outputs. */

import type { Device } from '../../src/device/device.js';
import type { NativeBuffer } from '../../src/device/native.js';
import { evaluate, type Value } from '../../src/graph/evaluate.js';
import type { DType, Node, Shape } from '../../src/graph/index.js';
import { describe, isFloat, sizeOf } from '../../src/graph/index.js';
import { bytesPerElement, encodeProgram } from '../../src/program/format.js';
import type { CompiledProgram, OutputPlacement, Placement } from '../../src/transform/compile.js';
import { compile, constantsBinding } from '../../src/transform/compile.js';
import { interpret, memoriesFor } from '../reference/interpreter.js';
import { addresses, type Memory } from '../reference/memory.js';
import type { Chance } from './random.js';
import type { RandomGraph } from './random-graph.js';

export interface PlacedInput {
  readonly node: Node;
  readonly value: Value;
  readonly place: Placement;
}
export interface PlacedOutput extends OutputPlacement {
  /** what lies there before the run, if the output is added to it */
  readonly before: readonly number[] | null;
}
export interface RandomRequest {
  readonly inputs: readonly PlacedInput[];
  readonly outputs: readonly PlacedOutput[];
}
export interface Run {
  readonly compiled: CompiledProgram;
  readonly memories: readonly Memory[];
}

/** Hands out disjoint strided places in numbered bindings. */
class Places {
  readonly #ends = new Map<string, number>();
  constructor(
    readonly chance: Chance,
    readonly prefix: string,
  ) {}

  next(shape: Shape, dtype: DType): Placement {
    const binding = `${this.prefix}${this.chance.int(0, 1)}`;
    const size = bytesPerElement[dtype];
    const start = Math.ceil((this.#ends.get(binding) ?? 0) / size) + this.chance.int(0, 2);
    const dense = this.chance.bool();
    // axes in any order in memory, with room after each line
    const order = dense ? shape.map((_, i) => i) : this.chance.shuffled(shape.map((_, i) => i));
    const strides = shape.map(() => 0);
    let step = dense ? 1 : this.chance.int(1, 2);
    for (const axis of order.reverse()) {
      strides[axis] = step;
      step *= Math.max(1, shape[axis] as number);
      if (!dense) step += this.chance.int(0, 2);
    }
    this.#ends.set(binding, (start + step) * size);
    return { binding, offset: start, ...(dense && this.chance.bool() ? {} : { strides }) };
  }
}

export function randomRequest(chance: Chance, { inputs, values }: RandomGraph): RandomRequest {
  const sources = new Places(chance, 'in'),
    targets = new Places(chance, 'out');
  const nodes = [...values.keys()];
  const wanted = Array.from({ length: chance.int(1, 8) }, () => chance.pick(chance.bool() ? nodes.slice(-10) : nodes));
  if (chance.bool(0.2)) wanted.push(wanted[0] as Node);
  // any node may be given, not only leaves: a tangent program is given what the primal program kept
  const given = chance.bool(0.3)
    ? new Map([
        ...inputs,
        ...nodes
          .filter((n) => n.inputs.length > 0 && chance.bool(0.1))
          .map((n) => [n, values.get(n) as Value] as const),
      ])
    : inputs;
  return {
    inputs: [...given].map(([node, value]) => ({ node, value, place: sources.next(node.shape, node.dtype) })),
    outputs: wanted.map((node) => {
      const accumulate = node.dtype !== 'bool' && chance.bool(0.3);
      return {
        node,
        ...targets.next(node.shape, node.dtype),
        ...(accumulate ? { accumulate } : {}),
        before: accumulate ? Array.from({ length: sizeOf(node.shape) }, () => chance.int(-3, 3)) : null,
      };
    }),
  };
}

/** Compiles and runs a request with the reference interpreter. */
export function runReference(request: RandomRequest): Run {
  const run = prepare(request);
  interpret(run.compiled.program, run.memories);
  return run;
}

/** Compiles and runs a request on a device. Memory nobody wrote is NaN, −1 and no truth value, there too. */
export async function runOn(device: Device, request: RandomRequest): Promise<Run> {
  const run = prepare(request);
  const { native } = device;
  const program = native.load(encodeProgram(run.compiled.program), [...run.compiled.labels]);
  const buffers = run.memories.map((m) => {
    const buffer = native.allocate(Math.max(8, m.bytes.length));
    native.write(buffer, 0, m.bytes);
    return buffer;
  });
  try {
    native.run(
      program,
      buffers,
      buffers.map(() => 0),
    );
    for (const [i, memory] of run.memories.entries()) {
      const bytes = new Uint8Array(memory.bytes.length);
      await native.read(buffers[i] as NativeBuffer, 0, bytes);
      memory.adopt(bytes);
    }
    for (const o of request.outputs) {
      const memory = run.memories.find((m) => m.name === o.binding);
      for (const at of elementsOf(o.node, o)) memory?.mark(o.node.dtype, at);
    }
    return run;
  } finally {
    for (const buffer of buffers) buffer.dispose();
    program.dispose();
  }
}

/** A compiled request and its memory before the run. */
export function prepare(request: RandomRequest): Run {
  const compiled = compile({ inputs: new Map(request.inputs.map((i) => [i.node, i.place])), outputs: request.outputs });
  const memories = memoriesFor(compiled.program);
  const memory = (name: string): Memory | undefined => memories.find((m) => m.name === name);
  for (const { offset, bytes } of compiled.constants) memory(constantsBinding)?.placeBytes(offset, bytes);
  for (const { node, value, place } of request.inputs) {
    const used = memory(place.binding);
    if (used)
      elementsOf(node, place).forEach((at, i) => {
        if (fits(used, node.dtype, at)) used.write(node.dtype, at, value[i] as number);
      });
  }
  for (const o of request.outputs) {
    if (o.before)
      elementsOf(o.node, o).forEach((at, i) => {
        memory(o.binding)?.write(o.node.dtype, at, o.before?.[i] as number);
      });
  }
  return { compiled, memories };
}
// an input that the outputs do not need does not extend its binding
const fits = (m: Memory, dtype: DType, at: number): boolean => (at + 1) * bytesPerElement[dtype] <= m.bytes.length;

export function elementsOf(node: Node, place: Placement): number[] {
  const strides = place.strides ?? node.shape.map((_, i) => sizeOf(node.shape.slice(i + 1)));
  return addresses({ offset: place.offset ?? 0, shape: node.shape, strides });
}

/**
 * Compares what lies at the outputs with the evaluator's values, and that nothing beside them was written.
 * Two executions differ by rounding at each node: the bound is eps · 2¹⁰ · (1 + largest value).
 */
export function compareRun(request: RandomRequest, { memories }: Pick<Run, 'memories'>, eps: number): void {
  const inputs = new Map(request.inputs.map((i) => [i.node, i.value]));
  const expected = evaluate(
    request.outputs.map((o) => o.node),
    inputs,
    { round: true },
  );
  const touched = new Map<string, Set<number>>();
  request.outputs.forEach((o, i) => {
    const value = expected[i] as Value;
    const memory = memories.find((m) => m.name === o.binding);
    const scale = Math.max(1, ...value.map(Math.abs));
    const tolerance = isFloat(o.node.dtype) ? eps * 2 ** 10 * scale : 0;
    const bytes = touched.get(o.binding) ?? new Set<number>();
    touched.set(o.binding, bytes);
    elementsOf(o.node, o).forEach((at, j) => {
      const got = memory?.read(o.node.dtype, at) as number;
      const want = (value[j] as number) + (o.before?.[j] ?? 0);
      if (!(Math.abs(got - want) <= tolerance))
        throw new Error(
          `output ${i} (${describe(o.node)}${o.accumulate ? ', accumulated' : ''}), element ${j}: ${got} instead of ${want}`,
        );
      for (let b = 0; b < bytesPerElement[o.node.dtype]; b++) bytes.add(at * bytesPerElement[o.node.dtype] + b);
    });
  });
  for (const memory of memories) {
    if (!memory.name.startsWith('out')) continue;
    memory.bytes.forEach((_, at) => {
      if (memory.isWritten(at) && !touched.get(memory.name)?.has(at))
        throw new Error(`${memory.name}: byte ${at} was written, but no output lies there`);
    });
  }
}
