/**
 * Graph → program: views, fusion, instructions, memory.
 *
 * Binding 0 is scratch, binding 1 the constants; the caller places inputs and outputs in bindings of its own.
 */
import { cached } from '../base/cached.js';
import { InternalError } from '../base/errors.js';
import type { Node } from '../graph/index.js';
import { describe, isOp } from '../graph/index.js';
import type { Binding, Instruction, Program, View } from '../program/format.js';
import { bytesPerElement } from '../program/format.js';
import { fuse } from './fuse.js';
import { Lowering } from './lower.js';
import { findSums } from './lower-product.js';
import { placeParts } from './place.js';
import type { Lifetime, Plan } from './plan.js';
import { align, planMemory } from './plan.js';
import { reachable } from './reach.js';
import { recompute } from './recompute.js';
import type { Storage, Window } from './views.js';
import { contiguousStrides } from './views.js';

/** Part of a binding: offset and strides in elements of the node's type; contiguous if no strides are given. */
export interface Placement {
  readonly binding: string;
  readonly offset?: number;
  readonly strides?: readonly number[];
}
export interface OutputPlacement extends Placement {
  readonly node: Node;
  /** add to what is there */
  readonly accumulate?: boolean;
}

export interface CompileRequest {
  /** values given from outside: inputs, or any nodes computed elsewhere */
  readonly inputs: ReadonlyMap<Node, Placement>;
  readonly outputs: readonly OutputPlacement[];
}

export interface CompiledProgram {
  readonly program: Program;
  /** one per instruction: what it computes */
  readonly labels: readonly string[];
  readonly scratchBytes: number;
  /** contents of the binding named 'constants' */
  readonly constants: readonly ConstantPart[];
  readonly plan: Plan;
  /** multiply-adds ×2 of the matrix products and convolutions */
  readonly flops: number;
}

/** Views of what the graph holds, which may be weights of a file. */
export interface ConstantPart {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export const scratchBinding = 'scratch';
export const constantsBinding = 'constants';

export function compile({ inputs, outputs }: CompileRequest): CompiledProgram {
  const names = [scratchBinding, constantsBinding];
  const bindingIndex = (name: string): number => {
    const known = names.indexOf(name);
    return known >= 0 ? known : names.push(name) - 1;
  };
  let nextStorage = 0;
  const storageOf = (bytes: number, binding: number | null): Storage => ({ id: nextStorage++, bytes, binding });

  const bindingStorage = new Map<number, Storage>();
  const placed = (p: Placement, node: Node): Window => {
    const binding = bindingIndex(p.binding);
    const storage = cached(bindingStorage, binding, () => storageOf(0, binding));
    const strides = p.strides ?? contiguousStrides(node.shape);
    return { storage, dtype: node.dtype, offset: p.offset ?? 0, shape: node.shape, strides };
  };

  const order = reachable(
    outputs.map((o) => o.node),
    inputs,
  );
  const constants = new ConstantPool();
  const lowering = new Lowering({
    scratch: (bytes) => storageOf(bytes, null),
    constant: (node) => {
      const storage = placed({ binding: constantsBinding }, node);
      return { ...storage, offset: constants.add(node) / bytesPerElement[node.dtype] };
    },
  });

  const consumers = new Map<Node, Node[]>();
  for (const n of order) {
    if (inputs.has(n)) continue;
    for (const x of n.inputs) {
      const list = consumers.get(x);
      if (list) list.push(n);
      else consumers.set(x, [n]);
    }
  }
  const requested = new Map<Node, number>();
  for (const { node } of outputs) requested.set(node, (requested.get(node) ?? 0) + 1);

  for (const node of order) {
    const place = inputs.get(node);
    if (place) lowering.define(node, placed(place, node));
    else if (isOp(node, 'input'))
      throw new InternalError(`compile: input '${node.attributes.name}' ${describe(node)} has no place`);
  }
  // Where a result is wanted, it is computed in place if it is wanted once and nothing else reads it or it is a plain store.
  const targets = new Map<Node, { window: Window; accumulate: boolean }>();
  for (const o of outputs) {
    if (inputs.has(o.node) || isLeaf(o.node) || (requested.get(o.node) ?? 0) > 1) continue;
    const accumulate = o.accumulate ?? false;
    if (accumulate && (consumers.get(o.node)?.length ?? 0) > 0) continue;
    targets.set(o.node, { window: placed(o, o.node), accumulate });
  }
  const direct = new Set(targets.keys());
  const sums = findSums(order, consumers, { has: (n) => requested.has(n) || inputs.has(n) });
  const free = (n: Node): boolean => !inputs.has(n) && !requested.has(n) && !sums.replaced.has(n);
  placeParts(order, targets, free, (n) => lowering.fresh(n.shape, n.dtype));
  const units = recompute(
    fuse(order, consumers, new Set([...sums.terms.keys(), ...sums.replaced, ...inputs.keys()])),
    consumers,
    requested,
  );
  lowering.run(order, units, consumers, targets, requested, sums);
  for (const o of outputs) {
    if (!direct.has(o.node) || !lowering.wroteTarget(o.node))
      lowering.store(o.node, placed(o, o.node), o.accumulate ?? false);
  }
  return finish(lowering, names, constants);
}

const isLeaf = (n: Node): boolean => isOp(n, 'constant') || isOp(n, 'fill');

/** The bytes of all constants, each 64-byte aligned. */
class ConstantPool {
  readonly parts: ConstantPart[] = [];
  #end = 0;
  add(node: Node): number {
    if (!isOp(node, 'constant')) throw new InternalError(`${describe(node)} is no constant`);
    const { data } = node.attributes;
    const Typed = arrayOf[node.dtype];
    const typed = data instanceof Typed ? data : new Typed(data);
    const offset = this.#end;
    this.parts.push({ offset, bytes: new Uint8Array(typed.buffer, typed.byteOffset, typed.byteLength) });
    this.#end = align(offset + typed.byteLength);
    return offset;
  }
  get bytes(): number {
    return Math.max(this.#end, 64);
  }
}
const arrayOf = { float32: Float32Array, float64: Float64Array, int32: Int32Array, bool: Uint8Array } as const;

function finish(lowering: Lowering, names: readonly string[], constants: ConstantPool): CompiledProgram {
  const steps = lowering.steps;
  const uses = new Map<Storage, { first: number; last: number }>();
  steps.forEach(({ reads, writes }, i) => {
    for (const w of [...reads, ...writes]) {
      const seen = uses.get(w.storage);
      if (seen) seen.last = i;
      else uses.set(w.storage, { first: i, last: i });
    }
  });
  const lifetimes: Lifetime[] = [];
  for (const [storage, { first, last }] of uses) if (storage.binding === null) lifetimes.push({ storage, first, last });
  const plan = planMemory(lifetimes);

  const extent = names.map(() => 0);
  const written = names.map(() => false);
  const toView = (w: Window): View => {
    const size = bytesPerElement[w.dtype];
    const base = w.storage.binding === null ? (plan.offsets.get(w.storage) ?? 0) / size : 0;
    const binding = w.storage.binding ?? 0;
    const last = w.shape.some((d) => d === 0)
      ? 0
      : w.shape.reduce((n, d, i) => n + Math.max(0, (d - 1) * (w.strides[i] as number)), w.offset + base) + 1;
    extent[binding] = Math.max(extent[binding] as number, last * size);
    return { binding, dtype: w.dtype, offset: base + w.offset, shape: w.shape, strides: w.strides };
  };
  const instructions: Instruction[] = steps.map(({ emit, writes }) => {
    for (const w of writes) written[w.storage.binding ?? 0] = true;
    return emit(toView);
  });
  extent[0] = Math.max(extent[0] as number, plan.bytes);
  extent[1] = constants.bytes;
  const bindings: Binding[] = names.map((name, i) => ({
    name,
    bytes: extent[i] as number,
    written: written[i] as boolean,
  }));
  return {
    program: { bindings, instructions },
    labels: steps.map((s) => s.label),
    scratchBytes: plan.bytes,
    constants: constants.parts,
    plan,
    flops: steps.reduce((n, s) => n + s.flops, 0),
  };
}
