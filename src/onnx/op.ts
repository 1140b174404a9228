/** One node of the file as its import rule sees it: inputs as graph nodes, attributes checked, faults named. */
import { InputError, UnsupportedError } from '../base/errors.js';
import { quoted } from '../base/quote.js';
import type { DType, Graph, Node, Shape } from '../graph/index.js';
import { describe, isFloat } from '../graph/index.js';
import type { Mode } from '../model/model.js';
import type { OnnxDataType, OnnxGraph, OnnxNode, OnnxSparseTensor, OnnxTensor } from './proto/index.js';
import { onnxDataTypes } from './proto/index.js';
import type { Known, Sequence, Tensor, Value } from './values.js';

/** undefined stands for an output that the model does not use and this rule does not give */
export type Result = Node | Known | Value | undefined;

export interface OpRule {
  /** the node's outputs, one or a list */
  build(op: Op): Result | readonly Result[];
  /** why this use of the operator is not supported; asked of every node before any work */
  refuse?(node: AttributeView, mode: Mode): string | undefined;
  /** what of the operator is not supported, for docs/onnx-support.md */
  readonly limits?: string;
  /** Types not fitting for evaluation at import (control flow) see the values themselves. */
  readonly neverFold?: true;
}
export interface BatchChange {
  readonly stated: number;
  readonly actual: number;
}
/** by operator name; other domains as "domain.Name" */
export type OpTable = Readonly<Record<string, OpRule>>;

/** an input whose values had to be constants was not; `on` is what it was computed from */
export class NotConstant extends UnsupportedError {
  constructor(
    message: string,
    readonly on: Node,
  ) {
    super(message);
  }
}

/** unrolling would take too long; no other size of the inputs is tried then */
export class TooLong extends UnsupportedError {}

interface AttributeValues {
  float: number;
  int: number;
  string: string;
  floats: readonly number[];
  ints: readonly number[];
  strings: readonly string[];
  tensor: OnnxTensor;
  sparseTensor: OnnxSparseTensor;
  graph: OnnxGraph;
}

/** Attributes and arity of a node: all that `refuse` may look at. */
export class AttributeView {
  constructor(
    readonly node: OnnxNode,
    readonly opset: number,
  ) {}

  hasAttribute(name: string): boolean {
    return this.node.attributes.has(name);
  }
  #attribute<T extends keyof AttributeValues>(name: string, type: T): AttributeValues[T] | undefined {
    const found = this.node.attributes.get(name);
    if (!found) return undefined;
    if (found.type !== type)
      throw new InputError(`attribute ${quoted(name)} should be of type ${type}, not ${found.type}`);
    return found.value as AttributeValues[T];
  }
  int(name: string, otherwise: number): number {
    return this.#attribute(name, 'int') ?? otherwise;
  }
  float(name: string, otherwise: number): number {
    return this.#attribute(name, 'float') ?? otherwise;
  }
  string(name: string, otherwise: string): string {
    return this.#attribute(name, 'string') ?? otherwise;
  }
  ints(name: string): readonly number[] | undefined {
    return this.#attribute(name, 'ints');
  }
  floats(name: string): readonly number[] | undefined {
    return this.#attribute(name, 'floats');
  }
  strings(name: string): readonly string[] | undefined {
    return this.#attribute(name, 'strings');
  }
  tensor(name: string): OnnxTensor | undefined {
    return this.#attribute(name, 'tensor');
  }
  sparseTensor(name: string): OnnxSparseTensor | undefined {
    return this.#attribute(name, 'sparseTensor');
  }
  subgraph(name: string): OnnxGraph | undefined {
    return this.#attribute(name, 'graph');
  }
  /** a data type given by its number */
  typeAttribute(name: string, otherwise?: OnnxDataType): OnnxDataType {
    const code = this.#attribute(name, 'int');
    const type = code === undefined ? otherwise : onnxDataTypes[code];
    if (type === undefined || type === 'undefined')
      throw new InputError(`attribute ${quoted(name)} names no data type`);
    return type;
  }
  hasInput(i: number): boolean {
    return (this.node.inputs[i] ?? '') !== '';
  }
  hasOutput(i: number): boolean {
    return (this.node.outputs[i] ?? '') !== '';
  }
}

export class Op extends AttributeView {
  constructor(
    node: OnnxNode,
    opset: number,
    readonly graph: Graph,
    readonly values: readonly (Value | undefined)[],
    /** the graph type of a type of the file */
    readonly typeOf: (type: OnnxDataType) => DType,
    private readonly nodeOf: (tensor: Tensor) => Node,
    /** runs a subgraph of this node with values for its inputs */
    readonly runSubgraph: (graph: OnnxGraph, inputs: readonly Value[]) => Value[],
    /** a tensor of known values */
    readonly tensorOf: (known: Known) => Tensor,
    /** the batch size that the file states, and that it is written for, where they differ */
    readonly batch: BatchChange | undefined,
  ) {
    super(node, opset);
  }

  get count(): number {
    return this.values.length;
  }
  value(i: number): Value {
    const value = this.values[i];
    if (!value) throw new InputError(`input ${i} is missing`);
    return value;
  }
  input(i: number): Tensor {
    const value = this.value(i);
    if (value.kind !== 'tensor') throw new InputError(`input ${i} is a sequence where a tensor is expected`);
    return value;
  }
  sequence(i: number): Sequence {
    const value = this.value(i);
    if (value.kind !== 'sequence') throw new InputError(`input ${i} is a tensor where a sequence is expected`);
    return value;
  }
  /** input i as a node of the graph */
  x(i: number): Node {
    return this.nodeOf(this.input(i));
  }
  maybe(i: number): Node | undefined {
    return this.values[i] ? this.x(i) : undefined;
  }
  /** input i, which must be of floating-point type */
  floating(i: number): Node {
    const x = this.x(i);
    if (!isFloat(x.dtype)) throw new InputError(`input ${i} should be floating-point, got ${describe(x)}`);
    return x;
  }
  shape(i: number): Shape {
    return this.input(i).shape;
  }
  /** the values of input i, or undefined if they depend on data */
  known(i: number): Known | undefined {
    const value = this.values[i];
    return value?.kind === 'tensor' ? value.known?.() : undefined;
  }
  /** the values of input i, which must be known; `what` names it in the message */
  constant(i: number, what: string): Known {
    const known = this.known(i);
    if (known) return known;
    throw new NotConstant(
      `${what} (${quoted(this.node.inputs[i] ?? '')}) is computed from data or parameters; only constant ones are supported (an input can be given one value when the file is loaded: --fix NAME=NUMBER)`,
      this.x(i),
    );
  }
  /** constant whole numbers (or constant floats, where the operator has such) */
  list(i: number, what: string): number[] {
    const { data } = this.constant(i, what);
    if (data.length > 1 << 20) throw new InputError(`${what} has ${data.length} elements`);
    return Array.from(data);
  }
  scalar(i: number, what: string): number {
    const values = this.list(i, what);
    if (values.length !== 1) throw new InputError(`${what} should be one number, has ${values.length}`);
    return values[0] as number;
  }
  /** `axes` of operators that took them as an attribute before they took them as an input */
  axes(i: number): readonly number[] | undefined {
    return this.hasInput(i) ? this.list(i, 'axes') : this.ints('axes');
  }
}
