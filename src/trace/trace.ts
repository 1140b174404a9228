/**
 * Models written as TypeScript functions of named parameters and inputs.
 *
 *   const model = trace((p, { x }) => nn.tanh(nn.linear(x, p.weight, p.bias)), {
 *     parameters: { weight: [3, 2], bias: [3] },
 *     inputs: { x: [null, 2] },
 *   });
 *
 * The function is run once per batch size and type, on values that know their shapes; nothing of it is interpreted
 * when numbers flow. So loops and conditions over shapes are free, and conditions on values are `select`.
 */
import { createHash } from 'node:crypto';
import { InputError, ShapeError } from '../base/errors.js';
import { type DType, Graph, isOp, type Node, type Shape, sizeOf } from '../graph/index.js';
import type { BuildOptions, Mode, Model, Parameter } from '../model/model.js';
import { reachable } from '../transform/reach.js';
import { byDefault, type Initialiser, parameterRandom } from './initialisers.js';

/** A parameter's shape and initial values. */
export interface ParameterSpec {
  readonly shape: Shape;
  /** default: U(±1/√fan_in) from rank 2 on, zeros for vectors */
  readonly init?: Initialiser | undefined;
  /** the values themselves, row-major, instead of an initialiser */
  readonly values?: ArrayLike<number> | undefined;
}
/** A shape alone stands for { shape }. */
export type ParameterGiven = Shape | ParameterSpec;
/** An input's shape and type. */
export interface InputSpec {
  /** axis 0 counts samples and is null; other axes may be null, and then follow from the data */
  readonly shape: readonly (number | null)[];
  /** default 'float32', which stands for the type computed in; 'int32' for indices */
  readonly dtype?: DType | undefined;
}
/** A shape alone stands for { shape }. */
export type InputGiven = readonly (number | null)[] | InputSpec;

/** Parameters by name. */
export type Parameters = Readonly<Record<string, ParameterGiven>>;
/** Inputs by name. */
export type Inputs = Readonly<Record<string, InputGiven>>;
/** Values of the graph under the same names. */
export type Nodes<T> = { readonly [K in keyof T]: Node };
/** From parameters and inputs to the output, or to several by name (the first is what a loss reads). */
export type Recipe<P extends Parameters, I extends Inputs> = (
  parameters: Nodes<P>,
  inputs: Nodes<I>,
) => Node | Readonly<Record<string, Node>>;

/** Options of `trace`. */
export interface TraceOptions<P extends Parameters, I extends Inputs> {
  readonly parameters: P;
  readonly inputs: I;
  /** of initial values; default 0 */
  readonly seed?: number | undefined;
  /** 'train': nn.batchNorm by the batch's statistics, nn.dropout active. Default 'eval' */
  readonly mode?: Mode | undefined;
  /** what messages call the model; default 'the traced model' */
  readonly name?: string | undefined;
}

/** A model whose parameters may be given new values. */
export interface TracedModel extends Model {
  /** The same model with these values; parameters not named keep theirs. Throws InputError for unknown names and wrong lengths. */
  withValues(values: Readonly<Record<string, ArrayLike<number>>>): TracedModel;
  /** The same with all parameters from one vector, in order. */
  withVector(vector: ArrayLike<number>): TracedModel;
  /** The same parameters in this mode. */
  withMode(mode: Mode): TracedModel;
  /** All parameters as one vector, in order. */
  vector(): Float64Array;
}

interface Source {
  readonly recipe: Recipe<Parameters, Inputs>;
  readonly inputs: ReadonlyMap<string, InputSpec>;
  readonly shapes: ReadonlyMap<string, Shape>;
  readonly name: string;
  readonly mode: Mode;
}

/**
 * A model from a function over the primitives. The function is tried once with two samples (where input shapes are
 * known), so that shapes that do not fit throw here: ShapeError names the function and the operands.
 */
export function trace<const P extends Parameters, const I extends Inputs>(
  recipe: Recipe<P, I>,
  options: TraceOptions<P, I>,
): TracedModel {
  const { seed = 0, name = 'the traced model', mode = 'eval' } = options;
  if (mode !== 'eval' && mode !== 'train') throw new InputError(`mode must be eval or train, not ${String(mode)}`);
  const inputs = new Map<string, InputSpec>();
  for (const [key, given] of Object.entries(options.inputs)) {
    const spec: InputSpec = isList(given) ? { shape: given } : given;
    if (spec.shape[0] !== null)
      throw new ShapeError(`${name}: axis 0 of input '${key}' counts samples; give null for it, not ${spec.shape[0]}`);
    inputs.set(key, spec);
  }
  const shapes = new Map<string, Shape>();
  const values = new Map<string, Float64Array>();
  Object.entries(options.parameters).forEach(([key, given], i) => {
    const spec: ParameterSpec = isList(given) ? { shape: given as Shape } : given;
    checkShape(name, key, spec.shape);
    shapes.set(key, spec.shape);
    values.set(
      key,
      checked(name, key, spec.shape, spec.values ?? (spec.init ?? byDefault)(spec.shape, parameterRandom(seed, i))),
    );
  });
  return assemble({ recipe: recipe as unknown as Recipe<Parameters, Inputs>, inputs, shapes, name, mode }, values);
}

const isList = (x: unknown): x is readonly (number | null)[] => Array.isArray(x);
function checkShape(model: string, key: string, shape: Shape): void {
  if (!shape.every((d) => Number.isSafeInteger(d) && d >= 1))
    throw new ShapeError(`${model}: parameter '${key}' has shape [${shape}]; extents are whole numbers of at least 1`);
}
function checked(model: string, key: string, shape: Shape, values: ArrayLike<number>): Float64Array {
  const size = sizeOf(shape);
  if (values.length !== size)
    throw new ShapeError(`${model}: parameter '${key}' of shape [${shape}] needs ${size} values, got ${values.length}`);
  return Float64Array.from(values);
}

function assemble(source: Source, values: ReadonlyMap<string, Float64Array>): TracedModel {
  const { inputs, shapes, name } = source;
  const build = (options: BuildOptions): ReadonlyMap<string, Node> => run(source, values, options);
  const closed = [...inputs.values()].every(({ shape }) => shape.slice(1).every((d) => d !== null));
  const dry = closed ? tryOut(source, build) : undefined;
  let fingerprint: string | undefined;
  const vector = (): Float64Array => Float64Array.from([...values.values()].flatMap((v) => Array.from(v)));
  const change = (given: ReadonlyMap<string, ArrayLike<number>>): TracedModel => {
    for (const key of given.keys()) {
      if (!shapes.has(key))
        throw new InputError(`${name} has no parameter '${key}'; it has ${[...shapes.keys()].join(', ')}`);
    }
    return assemble(
      source,
      new Map(
        [...values].map(([key, old]) => {
          const found = given.get(key);
          return [key, found ? checked(name, key, shapes.get(key) as Shape, found) : old];
        }),
      ),
    );
  };
  return {
    source: name,
    mode: source.mode,
    inputs: [...inputs].map(([key, { shape, dtype = 'float32' }]) => ({ name: key, shape, dtype })),
    outputs: (dry?.outputs ?? ['output']).map((key) => ({ name: key })),
    parameters: [...shapes].map(
      ([key, shape]): Parameter => ({
        name: key,
        shape,
        consumers: dry?.consumers.get(key) ?? [],
        values: () => values.get(key) as Float64Array,
      }),
    ),
    buffers: [],
    operators: dry?.operators ?? new Map(),
    unsupported: [],
    fixedBatch: null,
    warnings: [],
    get fingerprint() {
      fingerprint ??= digest(dry?.nodes, values, source);
      return fingerprint;
    },
    build,
    vector,
    withMode: (other) => assemble({ ...source, mode: other }, values),
    withValues: (given) => change(new Map(Object.entries(given))),
    withVector(all) {
      const total = [...shapes.values()].reduce((n, s) => n + sizeOf(s), 0);
      if (all.length !== total) throw new ShapeError(`${name} has ${total} parameter values, got ${all.length}`);
      const flat = Float64Array.from(all);
      const parts = new Map<string, Float64Array>();
      let from = 0;
      for (const [key, shape] of shapes) {
        parts.set(key, flat.subarray(from, from + sizeOf(shape)));
        from += sizeOf(shape);
      }
      return change(parts);
    },
  };
}

function run(
  source: Source,
  values: ReadonlyMap<string, Float64Array>,
  { graph, dtype, inputs, parameters }: BuildOptions,
): ReadonlyMap<string, Node> {
  const given = Object.fromEntries(
    [...source.shapes].map(([key, shape]) => [
      key,
      parameters.get(key) ?? graph.constant(values.get(key) as Float64Array, shape, dtype),
    ]),
  );
  if (source.mode === 'train') graph.train();
  const made = source.recipe(given, Object.fromEntries(inputs));
  const named = isNode(made) ? { output: made } : made;
  for (const [key, node] of Object.entries(named)) {
    if (!isNode(node)) throw new InputError(`${source.name}: the function returned no value of the graph for '${key}'`);
    if (node.graph !== graph)
      throw new InputError(`${source.name}: '${key}' was made in another run; make every value inside the function`);
  }
  if (Object.keys(named).length === 0) throw new InputError(`${source.name}: the function returned no output`);
  return new Map(Object.entries(named));
}
const isNode = (x: unknown): x is Node => typeof x === 'object' && x !== null && 'graph' in x && 'op' in x;

interface DryRun {
  readonly outputs: readonly string[];
  readonly operators: ReadonlyMap<string, number>;
  readonly consumers: ReadonlyMap<string, readonly string[]>;
  readonly nodes: readonly Node[];
}
/** one run on two samples: shapes are checked, and what there is to tell about the model is told */
function tryOut({ inputs, shapes }: Source, build: Model['build']): DryRun {
  const graph = new Graph();
  const leaf = (key: string, { shape, dtype = 'float32' }: InputSpec): Node =>
    graph.input(
      `data/${key}`,
      shape.map((d) => d ?? 2),
      dtype,
    );
  const parameters = new Map(
    [...shapes].map(([key, shape]) => [key, graph.input(`parameter/${key}`, shape, 'float32') as Node]),
  );
  const values = build({
    graph,
    dtype: 'float32',
    inputs: new Map([...inputs].map(([key, spec]) => [key, leaf(key, spec)])),
    parameters,
  });
  const nodes = reachable(values.values());
  const operators = new Map<string, number>();
  const consumers = new Map<string, string[]>();
  const names = new Map([...parameters].map(([key, node]) => [node, key]));
  for (const node of nodes) {
    if (node.inputs.length > 0) operators.set(node.op, (operators.get(node.op) ?? 0) + 1);
    for (const x of new Set(node.inputs)) {
      const key = names.get(x);
      if (key !== undefined) consumers.set(key, [...(consumers.get(key) ?? []), node.op]);
    }
  }
  return { outputs: [...values.keys()], operators, consumers, nodes };
}

/** of what is computed (where shapes are known) and of the parameters' values */
function digest(
  nodes: readonly Node[] | undefined,
  values: ReadonlyMap<string, Float64Array>,
  { recipe, inputs, mode }: Source,
): string {
  const hash = createHash('sha256').update(JSON.stringify([mode, ...inputs]));
  if (!nodes) hash.update(String(recipe));
  const position = new Map((nodes ?? []).map((n, i) => [n, i]));
  for (const n of nodes ?? []) {
    const data = isOp(n, 'constant') ? Array.from(n.attributes.data) : n.attributes;
    hash.update(JSON.stringify([n.op, n.dtype, n.shape, n.inputs.map((x) => position.get(x)), data]));
  }
  for (const [key, v] of values) hash.update(key).update(new Uint8Array(v.buffer, v.byteOffset, v.byteLength));
  return hash.digest('hex');
}
