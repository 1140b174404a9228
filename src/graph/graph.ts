import { cached } from '../base/cached.js';
import { ShapeError } from '../base/errors.js';
import type { DType, Node, PrimitiveName, Primitives, Shape } from './node.js';
import { sizeOf } from './node.js';
import { rules } from './rules.js';
import { simplify } from './simplify.js';
import { Training } from './training.js';

/** What a primitive yields: its rule of shapes and types. */
export interface Signature {
  readonly shape: Shape;
  readonly dtype: DType;
}

/** What nodes were made for: an operator of a file, a layer of a traced function. One object each. */
export interface Origin {
  readonly name: string;
}

/** Owns nodes; see node.ts. */
export class Graph {
  readonly #known = new Map<string, Node>();
  readonly #dataIds = new WeakMap<object, number>();
  readonly #inputs = new Map<string, Node<'input'>>();
  #nextId = 0;
  #training: Training | undefined;
  #nextData = 0;
  readonly #origins = new Map<Node, Origin>();
  #origin: Origin | undefined;

  /** Runs `work`; the nodes that it is the first to make have this origin (the innermost, where calls nest). */
  within<T>(origin: Origin, work: () => T): T {
    const outer = this.#origin;
    this.#origin = origin;
    try {
      return work();
    } finally {
      this.#origin = outer;
    }
  }
  /** What a node was made for, where something said so. */
  originOf(node: Node): Origin | undefined {
    return this.#origins.get(node);
  }

  /** The node that applies `op`; simplified where a cheaper equal expression is known. */
  make<P extends PrimitiveName>(op: P, inputs: readonly Node[], attributes: Primitives[P]): Node {
    for (const input of inputs) {
      if (input.graph !== this) throw new ShapeError(`${op}: an operand belongs to another graph`);
    }
    // the rule of shapes comes first, so that a wrong operand is refused even where a simplification would drop it
    const signature = rules[op].shape(inputs, attributes);
    return simplify(this, op, inputs, attributes, signature) ?? this.#intern(op, inputs, attributes, signature);
  }

  /** A value given from outside. Asking for a known name returns the same node. */
  input(name: string, shape: Shape, dtype: DType): Node<'input'> {
    const known = this.#inputs.get(name);
    if (known) {
      if (known.dtype !== dtype || known.shape.join() !== shape.join())
        throw new ShapeError(`input '${name}' exists with another shape or type`);
      return known;
    }
    const node = this.#intern('input', [], { name }, { shape, dtype }) as Node<'input'>;
    this.#inputs.set(name, node);
    return node;
  }

  /** A value known beforehand, row-major. Data are kept, not copied. */
  constant(data: Primitives['constant']['data'], shape: Shape, dtype: DType): Node {
    const size = sizeOf(shape);
    if (data.length !== size)
      throw new ShapeError(`constant of shape [${shape}] needs ${size} values, got ${data.length}`);
    const first = data[0];
    if (first !== undefined && size <= 4096 && data.every((v) => Object.is(v, first)))
      return this.fill(first, shape, dtype);
    return this.#intern('constant', [], { data }, { shape, dtype });
  }

  /** One number everywhere. */
  fill(value: number, shape: Shape, dtype: DType): Node {
    return this.#intern('fill', [], { value }, { shape, dtype });
  }

  /** 0, 1, 2, … along an axis, int32. */
  iota(axis: number, shape: Shape): Node {
    return this.#intern('iota', [], { axis }, { shape, dtype: 'int32' });
  }

  /** what training mode adds; undefined in evaluation mode, which every graph starts in @internal */
  get training(): Training | undefined {
    return this.#training;
  }
  /** Models in training mode call this before they write themselves. */
  train(): void {
    this.#training ??= new Training(this);
  }

  /** number of nodes made so far */
  get size(): number {
    return this.#nextId;
  }

  #intern<P extends PrimitiveName>(op: P, inputs: readonly Node[], attributes: Primitives[P], s: Signature): Node<P> {
    const key = `${op}(${inputs.map((n) => n.id).join()})${this.#attributeKey(attributes)}:${s.dtype}[${s.shape.join()}]`;
    const known = this.#known.get(key);
    if (known) return known as Node<P>;
    const node: Node<P> = { graph: this, id: this.#nextId++, op, inputs, attributes, shape: s.shape, dtype: s.dtype };
    this.#known.set(key, node as unknown as Node);
    if (this.#origin) this.#origins.set(node as unknown as Node, this.#origin);
    return node;
  }

  #attributeKey(attributes: object): string {
    let key = '';
    for (const [name, value] of Object.entries(attributes)) {
      if (ArrayBuffer.isView(value)) {
        key += `${name}=#${cached(this.#dataIds, value, () => this.#nextData++)};`;
      } else key += `${name}=${Object.is(value, -0) ? '-0' : String(value)};`;
    }
    return key;
  }
}
