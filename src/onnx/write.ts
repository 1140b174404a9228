/** A file, prepared for being written into graphs, and the writing. */
import { InputError } from '../base/errors.js';
import { quoted } from '../base/quote.js';
import { type FloatDType, type Graph, type Node, sizeOf } from '../graph/index.js';
import type { Mode } from '../model/model.js';
import type { Candidate } from './candidates.js';
import { Interpreter } from './interpreter.js';
import type { BatchChange } from './op.js';
import type { OnnxModel, OnnxNode, OnnxType } from './proto/index.js';
import {
  checkShape,
  computed,
  constantTensor,
  dtypeOf,
  fileTensor,
  Known,
  parameterTensor,
  sparseTensor,
  type Tensor,
  type Value,
} from './values.js';

export interface Prepared {
  readonly model: OnnxModel;
  /** see flatten.ts */
  readonly nodes: readonly OnnxNode[];
  readonly candidates: readonly Candidate[];
  /** inputs of the file that have one value everywhere, by name */
  readonly fixed: ReadonlyMap<string, number>;
  readonly mode: Mode;
}

export interface Writing {
  readonly graph: Graph;
  readonly float: FloatDType;
  readonly inputs: ReadonlyMap<string, Node>;
  /** by name of a candidate; the others become constants */
  readonly parameters: ReadonlyMap<string, Node>;
}

/** Writes the model; the values of any names can then be asked for. */
export function write(prepared: Prepared, { graph, float, inputs, parameters }: Writing): (name: string) => Node {
  if (prepared.mode === 'train') graph.train();
  const replaced = new Map<string, Value>();
  for (const { name, tensor, origin } of prepared.candidates) {
    const node = parameters.get(name);
    if (node) replaced.set(name, parameterTensor(tensor, node));
    else if (origin === 'alias') replaced.set(name, fileTensor(tensor, graph, float));
  }
  const { graph: file, opsetImports } = prepared.model;
  const interpreter = new Interpreter({
    graph,
    float,
    opsets: opsetImports,
    replaced,
    batch: batchChange(prepared, inputs),
  });
  for (const tensor of file.initializers)
    interpreter.define(tensor.name, replaced.get(tensor.name) ?? fileTensor(tensor, graph, float));
  for (const sparse of file.sparseInitializers)
    interpreter.define(sparse.values.name, sparseTensor(sparse, graph, float));
  for (const { name, type } of prepared.model.graph.inputs) {
    const value = prepared.fixed.get(name);
    if (value !== undefined) interpreter.define(name, fixedTensor(name, value, type, inputs, graph, float));
  }
  for (const { name } of dataInputs(prepared)) {
    const node = inputs.get(name);
    if (!node) throw new InputError(`no value is given for the model's input ${quoted(name)}`);
    interpreter.define(name, computed(node));
  }
  interpreter.run(prepared.nodes);
  return (name) => {
    const value = interpreter.get(name);
    if (value?.kind !== 'tensor') throw new InputError(`the model has no tensor named ${quoted(name)}`);
    return value.node();
  };
}

/** The batch size of the first input with axes, where the file states another. */
function batchChange(prepared: Prepared, inputs: ReadonlyMap<string, Node>): BatchChange | undefined {
  for (const { name, type } of dataInputs(prepared)) {
    const stated = type?.kind === 'tensor' ? type.shape?.[0] : undefined,
      actual = inputs.get(name)?.shape[0];
    if (stated === undefined || actual === undefined) continue;
    return typeof stated === 'number' && stated !== actual ? { stated, actual } : undefined;
  }
  return undefined;
}

/** An input filled with one number; the extents that the file leaves open are the batch. */
function fixedTensor(
  name: string,
  value: number,
  type: OnnxType | undefined,
  inputs: ReadonlyMap<string, Node>,
  graph: Graph,
  float: FloatDType,
): Tensor {
  const dims = type?.kind === 'tensor' ? type.shape : undefined;
  if (type?.kind !== 'tensor' || dims === undefined)
    throw new InputError(`input ${quoted(name)} is no tensor of known rank, and cannot be given one value`);
  const [batch] = [...inputs.values()].find((x) => x.shape.length > 0)?.shape ?? [1];
  const shape = dims.map((d) => (typeof d === 'number' ? d : (batch as number)));
  const dtype = dtypeOf(type.elementType, type.elementType === 'float64' ? 'float64' : 'float32');
  checkShape(shape, `input ${quoted(name)}`);
  const known = new Known(shape, dtype, new Float64Array(sizeOf(shape)).fill(value));
  return constantTensor(known, graph, float, `input ${quoted(name)}`);
}

/** What data are given for. Files of old exporters list initializers among the inputs, too. */
export function dataInputs({ model, fixed }: Pick<Prepared, 'model' | 'fixed'>): OnnxModel['graph']['inputs'] {
  const stored = new Set(
    [...model.graph.initializers, ...model.graph.sparseInitializers.map((s) => s.values)].map((t) => t.name),
  );
  return model.graph.inputs.filter((i) => !stored.has(i.name) && !fixed.has(i.name));
}
