/**
 * Writes the nodes of a file into a graph, one after the other. What depends on nothing but constants is computed at
 * once, so that shapes, axes and indices are known numbers when an operator asks for them.
 */
import { cached } from '../base/cached.js';
import { HessiaError, InputError, messageOf, UnsupportedError } from '../base/errors.js';
import { quoted } from '../base/quote.js';
import { evaluate } from '../graph/evaluate.js';
import { type DType, type FloatDType, Graph, isOp, type Node, type Origin, sizeOf } from '../graph/index.js';
import { consumerName } from './candidates.js';
import { type BatchChange, NotConstant, Op, type OpRule, type Result, TooLong } from './op.js';
import type { OnnxGraph, OnnxNode } from './proto/index.js';
import { qualifiedName, ruleOf } from './table.js';
import { checkShape, computed, constantTensor, dtypeOf, fileTensor, Known, type Tensor, type Value } from './values.js';

/** results up to this many elements are computed at import */
const foldLimit = 1 << 16;
/** and steps on the way to them up to this many */
const stepLimit = 1 << 20;
/** nested subgraphs; a file may not make us recurse for ever */
const depthLimit = 32;
/** nodes run inside subgraphs, and nodes written, before a file is taken for hostile or hopeless */
const runLimit = 1 << 19;
const writeLimit = 1 << 22;

export interface World {
  readonly graph: Graph;
  readonly float: FloatDType;
  readonly opsets: ReadonlyMap<string, number>;
  /** outputs that a caller replaces: aliases, constants and tensors of subgraphs which are parameters */
  readonly replaced: ReadonlyMap<string, Value>;
  readonly batch: BatchChange | undefined;
}

export class Interpreter {
  readonly #values = new Map<string, Value>();
  /** one per operator, however often a loop runs it */
  readonly #origins = new Map<OnnxNode, Origin>();
  #depth = 0;
  #runs = 0;

  constructor(private readonly world: World) {}

  define(name: string, value: Value): void {
    this.#values.set(name, value);
  }
  get(name: string): Value | undefined {
    return this.#values.get(name);
  }

  run(nodes: readonly OnnxNode[]): void {
    for (const node of nodes) {
      const outputs = node.outputs.map((name) => this.world.replaced.get(name));
      const results = outputs.some(Boolean) ? outputs : this.#apply(node);
      node.outputs.forEach((name, i) => {
        const value = results[i];
        if (name !== '' && value) this.#values.set(name, value);
      });
    }
  }

  #runSubgraph(graph: OnnxGraph, inputs: readonly Value[]): Value[] {
    if (this.#depth >= depthLimit) throw new InputError(`subgraphs are nested more than ${depthLimit} deep`);
    this.#runs += graph.nodes.length;
    if (this.#runs > runLimit || this.world.graph.size > writeLimit)
      throw new TooLong('the subgraphs of the model run too many nodes to be unrolled');
    this.#depth++;
    graph.inputs.forEach(({ name }, i) => {
      this.define(name, inputs[i] as Value);
    });
    for (const t of graph.initializers)
      this.define(t.name, this.world.replaced.get(t.name) ?? fileTensor(t, this.world.graph, this.world.float));
    this.run(graph.nodes);
    this.#depth--;
    return graph.outputs.map(({ name }) => this.#read(name));
  }

  #read(name: string): Value {
    const value = this.#values.get(name);
    if (!value) throw new InputError(`reads ${quoted(name)}, which nothing before it produces`);
    return value;
  }

  #apply(node: OnnxNode): (Value | undefined)[] {
    const opset = (node.opsets ?? this.world.opsets).get(node.domain) ?? 0;
    try {
      const rule = ruleOf(node);
      if (!rule) throw new UnsupportedError('is not supported');
      const inputs = node.inputs.map((name) => (name === '' ? undefined : this.#read(name)));
      return this.#fold(node, opset, rule, inputs) ?? this.#write(node, opset, rule, inputs);
    } catch (error) {
      throw explained(error, node, opset);
    }
  }

  #write(node: OnnxNode, opset: number, rule: OpRule, inputs: readonly (Value | undefined)[]): (Value | undefined)[] {
    const { graph, float } = this.world;
    const op = new Op(
      node,
      opset,
      graph,
      inputs,
      (type) => dtypeOf(type, float),
      (t) => t.node(),
      (g, values) => this.#runSubgraph(g, values),
      (known) => constantTensor(known, graph, float, 'a value inside a loop'),
      this.world.batch,
    );
    const origin = cached(this.#origins, node, () => ({ name: consumerName(node) }));
    return listOf(graph.within(origin, () => rule.build(op))).map((result, i) => {
      const value = this.#valueOf(result, node.outputs[i] ?? '');
      if (value?.kind === 'tensor') checkShape(value.shape, `output ${i}`);
      return value;
    });
  }

  #valueOf(result: Result, name: string): Value | undefined {
    if (result === undefined || 'kind' in result) return result;
    if (result instanceof Known) return constantTensor(result, this.world.graph, this.world.float, quoted(name));
    // what simplified to one number is known after all
    if (isOp(result, 'fill') && sizeOf(result.shape) <= foldLimit) {
      const { shape, dtype, attributes } = result;
      const known = (): Known => new Known(shape, dtype, new Float64Array(sizeOf(shape)).fill(attributes.value));
      return { kind: 'tensor', shape, folds: true, node: () => result, known };
    }
    return computed(result);
  }

  /** The outputs as known values, if every input is known and the work is small. */
  #fold(node: OnnxNode, opset: number, rule: OpRule, inputs: readonly (Value | undefined)[]): Value[] | undefined {
    if (rule.neverFold || !inputs.every((v) => !v || (v.kind === 'tensor' && v.folds))) return undefined;
    // in a graph of its own and in the file's types, float32 rounded at every step as any runtime would
    const scratch = new Graph();
    const made = new Map<Tensor, Node>();
    const nodeOf = (t: Tensor): Node => {
      const node = made.get(t) ?? scratchNode(scratch, t);
      made.set(t, node);
      return node;
    };
    const typeOf = (type: Parameters<typeof dtypeOf>[0]): DType =>
      dtypeOf(type, type === 'float64' ? 'float64' : 'float32');
    const noSubgraph = (): never => {
      throw new UnsupportedError('has a subgraph');
    };
    const op = new Op(node, opset, scratch, inputs, typeOf, nodeOf, noSubgraph, noSubgraph, undefined);
    const results = listOf(rule.build(op));
    const nodes = results.filter((r): r is Node => r !== undefined && 'op' in r);
    for (const n of nodes) checkShape(n.shape, 'a result');
    if (nodes.some((n) => sizeOf(n.shape) > foldLimit) || !cheap(nodes)) return undefined;
    const values = evaluate(nodes, new Map(), { round: true, wideIntegers: true });
    return results.map((result, i) => {
      if (result === undefined || !('op' in result)) return this.#valueOf(result, node.outputs[i] ?? '') as Value;
      const data = values[nodes.indexOf(result)] as Known['data'];
      // −0 from a quotient of integers is 0
      const clean = result.dtype === 'int32' ? Float64Array.from(data, (v) => v + 0) : data;
      return this.#valueOf(new Known(result.shape, result.dtype, clean), node.outputs[i] ?? '') as Value;
    });
  }
}

function scratchNode(graph: Graph, tensor: Tensor): Node {
  const { shape, dtype, data } = (tensor.known as () => Known)();
  return graph.constant(data, shape, dtype);
}

/** whether evaluating costs about as much as the nodes have elements, and those are few */
function cheap(outputs: readonly Node[]): boolean {
  const seen = new Set<Node>();
  const stack = [...outputs];
  for (let n = stack.pop(); n; n = stack.pop()) {
    if (seen.has(n)) continue;
    seen.add(n);
    if (sizeOf(n.shape) > stepLimit && n.op !== 'constant') return false;
    if (n.op === 'dot' || n.op === 'conv' || n.op === 'convInput') return false;
    stack.push(...n.inputs);
  }
  return true;
}

const listOf = (results: Result | readonly Result[]): readonly Result[] =>
  Array.isArray(results) ? results : [results as Result];

/** the error with the operator it arose at; whatever is not ours arose from a malformed node */
function explained(error: unknown, node: OnnxNode, opset: number): HessiaError {
  const at = `operator ${qualifiedName(node)} (node ${quoted(node.name)}, opset ${opset})`;
  if (error instanceof HessiaError && error.message.startsWith('operator ')) return error; // from a subgraph
  const message = `${at}: ${messageOf(error)}`;
  if (error instanceof NotConstant) return new NotConstant(message, error.on);
  if (error instanceof TooLong) return new TooLong(message, { cause: error });
  return error instanceof UnsupportedError
    ? new UnsupportedError(message, { cause: error })
    : new InputError(message, { cause: error });
}
