/** Files written by hand in tests, as decoded. */
import { type ImportedModel, modelFromOnnx } from '../../src/onnx/index.js';
import type {
  OnnxAttribute,
  OnnxDataType,
  OnnxDim,
  OnnxGraph,
  OnnxModel,
  OnnxNode,
  OnnxTensor,
  OnnxValueInfo,
} from '../../src/onnx/proto/index.js';

const bytesOf = { float32: Float32Array, int64: BigInt64Array, bool: Uint8Array } as const;
type Stored = keyof typeof bytesOf;

export function tensor(
  name: string,
  dims: number[],
  values: number[] | number = 0.5,
  dataType: Stored = 'float32',
): OnnxTensor {
  const count = dims.reduce((n, d) => n * d, 1);
  const list = typeof values === 'number' ? new Array<number>(count).fill(values) : values;
  const array = dataType === 'int64' ? BigInt64Array.from(list, BigInt) : bytesOf[dataType].from(list as never);
  const bytes = new Uint8Array((array as Float32Array).buffer);
  return { name, docString: '', dataType, dims, payload: { kind: 'raw', bytes }, metadata: new Map() };
}

type Plain = number | string | number[] | OnnxTensor | OnnxGraph;
function attribute(name: string, value: Plain): OnnxAttribute {
  if (typeof value === 'number') return { name, type: Number.isInteger(value) ? 'int' : 'float', value };
  if (typeof value === 'string') return { name, type: 'string', value };
  if (Array.isArray(value)) return { name, type: 'ints', value };
  return 'dims' in value ? { name, type: 'tensor', value } : { name, type: 'graph', value };
}

export function node(
  opType: string,
  inputs: string[],
  outputs: string[],
  attributes: Record<string, Plain> = {},
  domain = '',
): OnnxNode {
  const map = new Map(Object.entries(attributes).map(([name, value]) => [name, attribute(name, value)]));
  return {
    name: `the ${opType}`,
    opType,
    domain,
    overload: '',
    docString: '',
    inputs,
    outputs,
    attributes: map,
    metadata: new Map(),
  };
}

export function info(name: string, shape: OnnxDim[], elementType: OnnxDataType = 'float32'): OnnxValueInfo {
  return { name, docString: '', type: { kind: 'tensor', elementType, shape } };
}

export function graph(
  nodes: OnnxNode[],
  initializers: OnnxTensor[],
  inputs: OnnxValueInfo[],
  outputs: string[] = ['y'],
): OnnxGraph {
  return {
    name: 'small',
    docString: '',
    nodes,
    initializers,
    sparseInitializers: [],
    inputs,
    outputs: outputs.map((name) => info(name, [])),
    valueInfos: [],
  };
}

export function modelOf(small: OnnxGraph, opset = 18): OnnxModel {
  return {
    irVersion: 8,
    producerName: '',
    producerVersion: '',
    domain: '',
    modelVersion: 0,
    docString: '',
    opsetImports: new Map([['', opset]]),
    graph: small,
    functions: [],
    metadata: new Map(),
  };
}

/** with input x [batch, 4] unless stated otherwise */
export function imported(
  nodes: OnnxNode[],
  initializers: OnnxTensor[],
  inputs: OnnxValueInfo[] = [info('x', ['batch', 4])],
  outputs: string[] = ['y'],
  opset = 18,
): ImportedModel {
  const model = modelOf(graph(nodes, initializers, inputs, outputs), opset);
  return modelFromOnnx({ path: 'small.onnx', bytes: new Uint8Array(), model });
}
