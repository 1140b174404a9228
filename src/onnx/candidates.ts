/** The tensors of a file that may be parameters, in file order. Which of them are is found by discover.ts. */
import { allInitializers, allNodes } from './flatten.js';
import type { OnnxModel, OnnxNode, OnnxTensor } from './proto/index.js';
import { isFloatType } from './values.js';

export interface Candidate {
  readonly name: string;
  readonly tensor: OnnxTensor;
  /**
   * An alias is an Identity of an initializer: exporters that store equal tensors once write it, and the model it
   * came from had two parameters.
   */
  readonly origin: 'initializer' | 'alias' | 'constant';
}

const mayBeParameter = (tensor: OnnxTensor): boolean => isFloatType(tensor.dataType) && tensor.dims.length >= 1;

export function candidatesOf(model: OnnxModel, nodes: readonly OnnxNode[]): Candidate[] {
  const found = new Map<string, Candidate>();
  const initializers = allInitializers(model.graph);
  const count = countOf(initializers.map((t) => t.name));
  for (const tensor of initializers) {
    // branches may each have a tensor of one name, and then it names none of them
    if (mayBeParameter(tensor) && count.get(tensor.name) === 1)
      found.set(tensor.name, { name: tensor.name, tensor, origin: 'initializer' });
  }
  const own = new Set(nodes),
    all = allNodes(nodes);
  const written = countOf(all.map((n) => n.outputs[0] ?? ''));
  for (const node of all) {
    const name = node.outputs[0] ?? '';
    if (node.domain !== '' || name === '' || (written.get(name) ?? 0) > 1) continue;
    if (node.opType === 'Identity' && own.has(node)) {
      const source = found.get(node.inputs[0] ?? '');
      if (source && source.origin !== 'constant') found.set(name, { name, tensor: source.tensor, origin: 'alias' });
    } else if (node.opType === 'Constant') {
      const value = node.attributes.get('value');
      if (value?.type === 'tensor' && mayBeParameter(value.value))
        found.set(name, { name, tensor: { ...value.value, name }, origin: 'constant' });
    }
  }
  return [...found.values()];
}

function countOf(names: readonly string[]): Map<string, number> {
  const count = new Map<string, number>();
  for (const name of names) count.set(name, (count.get(name) ?? 0) + 1);
  return count;
}

/** how an operator of the file is called where it reads a parameter: "OpType name" */
export const consumerName = (node: OnnxNode): string => `${node.opType} ${node.name}`.trimEnd();

/** the nodes that read each value, by consumerName */
export function consumersOf(nodes: readonly OnnxNode[]): Map<string, string[]> {
  const out = new Map<string, string[]>();
  for (const node of allNodes(nodes)) {
    for (const name of new Set(node.inputs)) {
      const list = out.get(name);
      const consumer = consumerName(node);
      if (list) list.push(consumer);
      else out.set(name, [consumer]);
    }
  }
  return out;
}

/** the means and variances that BatchNormalization reads, also through Identity */
export function runningStatistics(nodes: readonly OnnxNode[]): ReadonlySet<string> {
  const all = allNodes(nodes);
  const sources = new Map(all.filter((n) => n.opType === 'Identity').map((n) => [n.outputs[0], n.inputs[0]]));
  const found = new Set<string>();
  for (const node of all) {
    if (node.opType !== 'BatchNormalization') continue;
    for (const input of node.inputs.slice(3))
      for (let name: string | undefined = input; name !== undefined && !found.has(name); name = sources.get(name))
        found.add(name);
  }
  return found;
}

/** Why a tensor that the model reads is no parameter, in words. */
export function whyNone(tensor: OnnxTensor, statistics: ReadonlySet<string>): string {
  if (statistics.has(tensor.name)) return 'running statistics';
  if (tensor.dataType === 'bool') return 'truth values';
  if (!isFloatType(tensor.dataType)) return 'whole numbers';
  if (tensor.dims.length === 0) return 'a single number';
  return 'no differentiable path to an output';
}
