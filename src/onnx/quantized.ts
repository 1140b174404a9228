/**
 * Weights in few bits, written so that any runtime reads them: for each tensor
 *
 *   codes (int8 or uint8) → DequantizeLinear → Reshape, Slice, Transpose where needed → the tensor's name
 *
 * Integers of fewer than 8 bits are stored in 8. Scales are per row of the matrix that the tensor is, or per group of a
 * row's columns; then the codes lie as rows·groups × group, the last group of a row filled up with zeros. Needs opset 13,
 * where a scale per row began. Everything else in the model stays; data kept beside the file are taken into it.
 */
import { writeFileAtomic } from '../base/atomic-write.js';
import { InputError, UnsupportedError } from '../base/errors.js';
import type { NdArray } from '../base/ndarray.js';
import { quoted } from '../base/quote.js';
import { sizeOf } from '../graph/index.js';
import {
  encodeModel,
  makeTensor,
  type OnnxAttribute,
  type OnnxNode,
  type OnnxTensor,
  readOnnxFile,
  tensorArray,
} from './proto/index.js';

/** W[row, column] = scale·(code − zero) is element indices[row·columns + column] of the tensor. */
export interface WeightsInFewBits {
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
  readonly indices: Int32Array;
  readonly codes: Int32Array;
  /** zeros are 0 and codes signed */
  readonly symmetric: boolean;
  /** columns of a group, and groups of a row; scales (float32 numbers) and zeros are rows × groups */
  readonly group: number;
  readonly groups: number;
  readonly scales: Float64Array;
  readonly zeros: Float64Array;
}

const firstOpset = 13;

/** Throws InputError for a name that is no float32 tensor of the main graph, UnsupportedError for an older opset. */
export async function writeQuantizedOnnx(
  source: string,
  weights: readonly WeightsInFewBits[],
  path: string,
): Promise<void> {
  const { model } = await readOnnxFile(source);
  const opset = model.opsetImports.get('') ?? 0;
  if (opset < firstOpset)
    throw new UnsupportedError(
      `${source} has opset ${opset}, and a scale per row needs ${firstOpset}; export the model with opset ${firstOpset} or later`,
    );
  const { graph } = model;
  const tensors = new Map(graph.initializers.map((t) => [t.name, t]));
  const taken = new Set([
    ...tensors.keys(),
    ...graph.inputs.map((i) => i.name),
    ...graph.nodes.flatMap((n) => [...n.outputs, n.name]),
  ]);
  const gone = new Set<string>();
  const nodes: OnnxNode[] = [];
  const added: OnnxTensor[] = [];
  const replaced = new Set<OnnxNode>();
  for (const w of weights) {
    const { tensor, node } = stored(w.name);
    if (!tensor) throw new InputError(`${source} stores no tensor named ${quoted(w.name)} in its main graph`);
    if (tensor.dataType !== 'float32')
      throw new UnsupportedError(
        `${quoted(w.name)} is stored as ${tensor.dataType}; only float32 weights are quantised`,
      );
    if (node) replaced.add(node);
    else gone.add(w.name);
    const own = chain(w, tensor.dims, (name) => fresh(name, taken));
    nodes.push(...own.nodes);
    added.push(...own.tensors);
  }
  const kept = graph.initializers.filter((t) => !gone.has(t.name)).map(inFile);
  const bytes = encodeModel({
    ...model,
    graph: {
      ...graph,
      nodes: [...nodes, ...graph.nodes.filter((n) => !replaced.has(n))],
      initializers: [...kept, ...added],
      inputs: graph.inputs.filter((i) => !gone.has(i.name)),
    },
  });
  await writeFileAtomic(path, bytes);

  /** an initializer, or what a node of constant value gives */
  function stored(name: string): { tensor?: OnnxTensor | undefined; node?: OnnxNode } {
    const tensor = tensors.get(name);
    if (tensor) return { tensor };
    const node = graph.nodes.find((n) => n.outputs[0] === name && n.domain === '');
    if (node?.opType === 'Identity') return { tensor: stored(node.inputs[0] ?? '').tensor, node };
    const value = node?.opType === 'Constant' ? node.attributes.get('value') : undefined;
    return node && value?.type === 'tensor' ? { tensor: value.value, node } : {};
  }
}

const inFile = (t: OnnxTensor): OnnxTensor =>
  t.payload.kind === 'external'
    ? { ...makeTensor(t.name, tensorArray(t)), docString: t.docString, metadata: t.metadata }
    : t;

function fresh(name: string, taken: Set<string>): string {
  let own = name;
  while (taken.has(own)) own += '_';
  taken.add(own);
  return own;
}

/** From codes to the tensor of these dims. */
function chain(
  w: WeightsInFewBits,
  dims: readonly number[],
  name: (wanted: string) => string,
): { nodes: OnnxNode[]; tensors: OnnxTensor[] } {
  const { rows, columns, group, groups, indices, symmetric } = w;
  const nodes: OnnxNode[] = [];
  const tensors: OnnxTensor[] = [];
  const constant = (suffix: string, array: NdArray): string => {
    const own = name(`${w.name}${suffix}`);
    tensors.push(makeTensor(own, array));
    return own;
  };
  const int64 = (suffix: string, values: readonly number[]): string =>
    constant(suffix, { dtype: 'int64', shape: [values.length], data: BigInt64Array.from(values, BigInt) });
  const integers = (shape: readonly number[], data: ArrayLike<number>): NdArray =>
    symmetric
      ? { dtype: 'int8', shape, data: Int8Array.from(data) }
      : { dtype: 'uint8', shape, data: Uint8Array.from(data) };
  const scales = Float32Array.from(w.scales);

  const axis = groups === 1 ? dims.findIndex((_, d) => isRowAxis(w, dims, d)) : -1;
  const direct = axis >= 0;
  const width = group * groups;
  const laid = new Int32Array(direct ? rows * columns : rows * width);
  for (let r = 0; r < rows; r++)
    for (let j = 0; j < columns; j++) {
      const at = r * columns + j;
      laid[direct ? (indices[at] as number) : r * width + j] = w.codes[at] as number;
    }
  const count = rows * groups;
  const inputs = [
    constant('.codes', integers(direct ? dims : [count, group], laid)),
    constant('.scale', { dtype: 'float32', shape: [count], data: scales }),
    constant('.zero', integers([count], w.zeros)),
  ];
  const steps: { opType: string; inputs: string[]; attributes: OnnxAttribute[] }[] = [
    { opType: 'DequantizeLinear', inputs, attributes: [{ name: 'axis', type: 'int', value: Math.max(axis, 0) }] },
  ];
  if (!direct) {
    if (groups > 1) {
      steps.push({ opType: 'Reshape', inputs: [int64('.rows', [rows, width])], attributes: [] });
      if (width > columns)
        steps.push({
          opType: 'Slice',
          inputs: [int64('.start', [0]), int64('.end', [columns]), int64('.axis', [1])],
          attributes: [],
        });
    }
    const turned = isTransposed(w);
    if (turned)
      steps.push({ opType: 'Transpose', inputs: [], attributes: [{ name: 'perm', type: 'ints', value: [1, 0] }] });
    else if (!inOrder(w))
      throw new UnsupportedError(
        `${quoted(w.name)} lies in the file neither by rows nor by columns; quantise it without --group`,
      );
    const flat = turned ? [columns, rows] : [rows, columns];
    if (flat.join() !== dims.join()) steps.push({ opType: 'Reshape', inputs: [int64('.shape', dims)], attributes: [] });
  }
  let value = '';
  steps.forEach(({ opType, inputs: more, attributes }, i) => {
    const last = i === steps.length - 1;
    const output = last ? w.name : name(`${w.name}.${opType.toLowerCase()}`);
    nodes.push({
      ...{ name: name(`${w.name}.${opType}`), opType, domain: '', overload: '', docString: '', metadata: new Map() },
      inputs: i === 0 ? more : [value, ...more],
      outputs: [output],
      attributes: new Map(attributes.map((a) => [a.name, a])),
    });
    value = output;
  });
  return { nodes, tensors };
}

/** whether row r of the matrix is index r of an axis of the tensor */
function isRowAxis({ rows, columns, indices }: WeightsInFewBits, dims: readonly number[], axis: number): boolean {
  if (dims[axis] !== rows) return false;
  const stride = sizeOf(dims.slice(axis + 1));
  return indices.every((element, at) => Math.floor(element / stride) % rows === Math.floor(at / columns));
}
const inOrder = ({ indices }: WeightsInFewBits): boolean => indices.every((element, at) => element === at);
const isTransposed = ({ rows, columns, indices }: WeightsInFewBits): boolean =>
  indices.every((element, at) => element === (at % columns) * rows + Math.floor(at / columns));
