/** Nodes → instructions over windows. One class: it holds where each value is, and the steps so far. */
import { cached } from '../base/cached.js';
import { InternalError } from '../base/errors.js';
import type { DType, Node } from '../graph/index.js';
import { describe, isOp, sizeOf } from '../graph/index.js';
import type { Instruction, View } from '../program/format.js';
import type { Unit } from './fuse.js';
import { mapStep } from './lower-map.js';
import { addRows, moves, rowsOf } from './lower-moves.js';
import type { Sums } from './lower-product.js';
import { isProduct, leadingAxes, productStep } from './lower-product.js';
import type { Job } from './schedule.js';
import { schedule } from './schedule.js';
import type { Storage, Window } from './views.js';
import {
  broadcasted,
  bytesOf,
  contiguousStrides,
  isContiguous,
  reshaped,
  reversed,
  sliced,
  transposed,
} from './views.js';

export interface Step {
  readonly label: string;
  readonly reads: readonly Window[];
  readonly writes: readonly Window[];
  readonly flops: number;
  emit(view: (w: Window) => View): Instruction;
}
export interface Memory {
  scratch(bytes: number): Storage;
  constant(node: Node): Window;
}
export interface Target {
  readonly window: Window;
  readonly accumulate: boolean;
}

const noNodes: ReadonlySet<Node> = new Set();

export class Lowering {
  readonly steps: Step[] = [];
  readonly #windows = new Map<Node, Window>();
  readonly #copies = new Map<Node, Window>();
  readonly #memory: Memory;
  readonly #done = new Set<Node>();
  #targets: ReadonlyMap<Node, Target> = new Map();

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  define(node: Node, window: Window): void {
    this.#windows.set(node, window);
  }
  /** whether the node was computed straight into its target */
  wroteTarget(node: Node): boolean {
    return this.#done.has(node);
  }

  run(
    order: readonly Node[],
    units: readonly Unit[],
    consumers: ReadonlyMap<Node, readonly Node[]>,
    targets: ReadonlyMap<Node, Target>,
    requested: { has(n: Node): boolean },
    sums: Sums,
  ): void {
    this.#targets = targets;
    const jobs: Job[] = [];
    const inUnit = new Set<Node>();
    const unitsOf = new Map<Node, ReadonlySet<Node>[]>(); // what each unit that computes the node computes
    for (const unit of units) {
      const all = new Set([...unit.elementwise, ...unit.reductions]);
      for (const n of all) {
        inUnit.add(n);
        cached(unitsOf, n, () => []).push(all);
      }
    }
    const isRead = (n: Node): boolean =>
      (consumers.get(n) ?? []).some((c) => (unitsOf.get(c) ?? [noNodes]).some((unit) => !unit.has(n)));
    for (const unit of units) {
      const nodes = [...unit.elementwise.filter((n) => !unit.borrowed.has(n)), ...unit.reductions];
      const results = nodes.filter((n) => requested.has(n) || isRead(n));
      jobs.push(this.#unitJob(unit, nodes, results));
    }
    for (const node of order) {
      if (
        inUnit.has(node) ||
        sums.replaced.has(node) ||
        this.#windows.has(node) ||
        isOp(node, 'fill') ||
        isOp(node, 'constant')
      )
        continue;
      const terms = sums.terms.get(node);
      if (terms)
        jobs.push({
          nodes: [node],
          needs: terms.flatMap((t) => t.inputs),
          run: () => {
            this.#products(node, terms);
          },
        });
      else if (isProduct(node))
        jobs.push({
          nodes: [node],
          needs: node.inputs,
          run: () => {
            this.#products(node, [node]);
          },
        });
      else
        jobs.push({
          nodes: [node],
          needs: node.inputs,
          run: () => {
            this.#single(node);
          },
        });
    }
    for (const job of schedule(jobs)) job.run();
  }

  /** The node's value in `target`, by one more pass over it. */
  store(node: Node, target: Window, accumulate: boolean): void {
    if (sizeOf(node.shape) === 0) return;
    const source = this.window(node);
    if (accumulate || source.dtype !== target.dtype) {
      this.steps.push({
        label: `add ${describe(node)}`,
        reads: [source, target],
        writes: [target],
        flops: 0,
        emit: (v) => ({
          // float64 holds every int32 exactly
          kind: 'map',
          compute: node.dtype === 'float32' ? 'float32' : 'float64',
          shape: node.shape,
          reducedAxes: [],
          inputs: [v(source)],
          code: [],
          outputs: [{ register: 0, view: v(target), reduce: 'none', accumulate }],
        }),
      });
    } else this.copy(source, target, describe(node));
  }

  /** Where the value is; leaves and views come into being here. */
  window(node: Node): Window {
    const known = this.#windows.get(node);
    if (known) return known;
    let window: Window;
    if (isOp(node, 'constant')) window = this.#memory.constant(node);
    else if (isOp(node, 'fill')) window = this.#filled(node);
    else throw new InternalError(`${describe(node)} is used before it is computed`);
    this.#windows.set(node, window);
    return window;
  }

  fresh(shape: readonly number[], dtype: DType): Window {
    const storage = this.#memory.scratch(bytesOf(shape, dtype));
    return { storage, dtype, offset: 0, shape, strides: contiguousStrides(shape) };
  }
  copy(source: Window, target: Window, label: string): void {
    this.steps.push({
      label: `copy ${label}`,
      reads: [source],
      writes: [target],
      flops: 0,
      emit: (v) => ({ kind: 'copy', source: v(source), target: v(target) }),
    });
  }
  /** The value without gaps from axis `from` on; copied, once, where it has some. */
  compact(node: Node, from = 0): Window {
    const window = this.window(node);
    if (isContiguous(window, from)) return window;
    const known = this.#copies.get(node);
    if (known) return known;
    const packed = this.fresh(node.shape, node.dtype);
    this.copy(window, packed, describe(node));
    this.#copies.set(node, packed);
    return packed;
  }
  /** Where a result goes: its target if the instruction can write there, or scratch (a later pass then stores it). */
  destination(node: Node, accepts: (target: Window) => boolean = () => true): Target {
    const target = this.#targets.get(node);
    if (target && accepts(target.window)) {
      this.#done.add(node);
      if (!target.accumulate) this.#windows.set(node, target.window);
      return target;
    }
    const window = this.fresh(node.shape, node.dtype);
    this.#windows.set(node, window);
    return { window, accumulate: false };
  }

  #filled(node: Node<'fill'>): Window {
    const one = this.fresh([], node.dtype);
    this.#fill(one, node.attributes.value, describe(node));
    return { ...one, shape: node.shape, strides: node.shape.map(() => 0) };
  }
  #fill(target: Window, value: number, label: string): void {
    this.steps.push({
      label: `fill ${label}`,
      reads: [],
      writes: [target],
      flops: 0,
      emit: (v) => ({ kind: 'fill', target: v(target), value }),
    });
  }

  #unitJob(unit: Unit, nodes: readonly Node[], results: readonly Node[]): Job {
    const inside = new Set([...unit.elementwise, ...unit.reductions]);
    const needs = [...inside].flatMap((n) => n.inputs.filter((x) => !inside.has(x)));
    return {
      nodes,
      needs,
      run: () => {
        this.steps.push(
          mapStep(
            unit,
            results,
            (n) => this.window(n),
            (n) => this.destination(n),
          ),
        );
      },
    };
  }
  #products(node: Node, terms: readonly Node[]): void {
    // convolutions write without gaps; a term decides, as the sum of convolutions is no convolution itself
    const accepts = (term: Node, w: Window): boolean =>
      isOp(term, 'takeTranspose') ? rowsOf(term, w) !== null : isOp(term, 'dot') || isContiguous(w, leadingAxes(term));
    const { window, accumulate } = this.destination(node, (w) => terms.every((t) => accepts(t, w)));
    terms.forEach((term, i) => {
      const target = { window, accumulate: accumulate || i > 0 };
      if (isOp(term, 'takeTranspose')) addRows(this, term, target);
      else this.steps.push(productStep(this, term, target.window, target.accumulate));
    });
  }

  /** everything that is neither element-wise nor a product: views first, then moves and look-ups */
  #single(node: Node): void {
    const view = this.#view(node);
    if (view) {
      this.#windows.set(node, view);
      return;
    }
    const rule = moves[node.op];
    if (!rule) throw new InternalError(`no lowering for ${describe(node)}`);
    rule(this, node as never);
  }

  #view(node: Node): Window | null {
    const x = node.inputs[0];
    if (isOp(node, 'iota')) {
      const n = node.shape[node.attributes.axis] ?? 1;
      const line = node.graph.constant(
        Int32Array.from({ length: n }, (_, i) => i),
        [n],
        'int32',
      );
      return broadcasted(this.window(line), node.shape, [node.attributes.axis]);
    }
    if (!x) return null;
    if (isOp(node, 'transpose')) return transposed(this.window(x), node.attributes.permutation);
    if (isOp(node, 'broadcast')) return broadcasted(this.window(x), node.shape, node.attributes.dims);
    if (isOp(node, 'slice'))
      return sliced(this.window(x), node.attributes.starts, node.attributes.sizes, node.attributes.strides);
    if (isOp(node, 'reverse')) return reversed(this.window(x), node.attributes.axes);
    if (isOp(node, 'reshape'))
      return reshaped(this.window(x), node.shape) ?? (reshaped(this.compact(x), node.shape) as Window);
    return null;
  }

  /** the node's value in another shape, copied if strides cannot express it */
  reshape(node: Node, shape: readonly number[]): Window {
    return reshaped(this.window(node), shape) ?? (reshaped(this.compact(node), shape) as Window);
  }
  fillWith(target: Window, value: number, label: string): void {
    this.#fill(target, value, label);
  }
  push(label: Node, reads: readonly Window[], target: Target, emit: Step['emit']): void {
    const { window, accumulate } = target;
    this.steps.push({
      label: describe(label),
      reads: accumulate ? [...reads, window] : reads,
      writes: [window],
      flops: 0,
      emit,
    });
  }
  /** A destination for instructions that only store: an accumulating target is served by a later pass. */
  plain(node: Node, accepts: (target: Window) => boolean = () => true): Window {
    const target = this.#targets.get(node);
    if (target && !target.accumulate) return this.destination(node, accepts).window;
    const window = this.fresh(node.shape, node.dtype);
    this.#windows.set(node, window);
    return window;
  }
}
