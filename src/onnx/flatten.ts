/** A file as one list of nodes: calls of the file's own functions replaced by their bodies, dead nodes left out. */
import { InputError } from '../base/errors.js';
import type { OnnxAttribute, OnnxFunction, OnnxGraph, OnnxModel, OnnxNode, OnnxTensor } from './proto/index.js';
import { ruleOf } from './table.js';

/** a file of a few bytes may not grow without bound */
const nodeLimit = 2_000_000;
const depthLimit = 64;

/** every graph inside a node's attributes */
export function subgraphs(node: OnnxNode): OnnxGraph[] {
  return [...node.attributes.values()].flatMap((a) =>
    a.type === 'graph' ? [a.value] : a.type === 'graphs' ? a.value : [],
  );
}
/** the nodes with those of their subgraphs */
export function allNodes(nodes: readonly OnnxNode[]): OnnxNode[] {
  return nodes.flatMap((n) => [n, ...subgraphs(n).flatMap((g) => allNodes(g.nodes))]);
}

/** the graph's own tensors, then those of its subgraphs in the order of the nodes */
export function allInitializers(graph: OnnxGraph): OnnxTensor[] {
  return [...graph.initializers, ...graph.nodes.flatMap((n) => subgraphs(n).flatMap(allInitializers))];
}

export function flatten(model: OnnxModel): OnnxNode[] {
  const byName = new Map(model.functions.map((f) => [functionKey(f.domain, f.name, f.overload), f]));
  let calls = 0,
    count = 0;
  const expanded = (nodes: readonly OnnxNode[], place: Place): OnnxNode[] => {
    if (place.depth > depthLimit)
      throw new InputError(`the model's functions and subgraphs are nested more than ${depthLimit} deep`);
    const out: OnnxNode[] = [];
    const inner = (graph: OnnxGraph): OnnxGraph => ({
      ...graph,
      nodes: expanded(graph.nodes, { ...place, depth: place.depth + 1 }),
      inputs: graph.inputs.map((i) => ({ ...i, name: place.rename(i.name) })),
      initializers: graph.initializers.map((t) => ({ ...t, name: place.rename(t.name) })),
      outputs: graph.outputs.map((o) => ({ ...o, name: place.rename(o.name) })),
    });
    for (const node of nodes) {
      if (++count > nodeLimit) throw new InputError(`the model has more than ${nodeLimit} nodes`);
      const own = placed(node, place, inner);
      // where we have a rule it is the better one: function bodies of standard operators are for others
      const body = ruleOf(node) ? undefined : byName.get(functionKey(node.domain, node.opType, node.overload));
      if (!body) {
        out.push(own);
        continue;
      }
      const within: Place = {
        rename: calling(body, own, ++calls),
        given: parameters(body, own),
        opsets: body.opsetImports,
        depth: place.depth + 1,
      };
      for (const each of expanded(body.nodes, within)) out.push(each);
    }
    return out;
  };
  const top: Place = { rename: (name) => name, given: new Map(), opsets: undefined, depth: 0 };
  return live(
    expanded(model.graph.nodes, top),
    model.graph.outputs.map((o) => o.name),
  );
}

/** where nodes stand: in the main graph, or in the body of a function that is called */
interface Place {
  readonly rename: (name: string) => string;
  readonly given: ReadonlyMap<string, OnnxAttribute>;
  /** of the function; undefined for the model's */
  readonly opsets: ReadonlyMap<string, number> | undefined;
  readonly depth: number;
}

const functionKey = (domain: string, name: string, overload: string): string => `${domain}\n${name}\n${overload}`;

/** names inside a function's body: its formal inputs and outputs stand for the caller's, the rest are its own */
function calling(body: OnnxFunction, node: OnnxNode, call: number): (name: string) => string {
  const names = new Map([
    ...body.inputs.map((name, i) => [name, node.inputs[i] ?? ''] as const),
    ...body.outputs.map((name, i) => [name, node.outputs[i] || `${name}#${call}`] as const),
  ]);
  return (name) => (name === '' ? '' : (names.get(name) ?? `${name}#${call}`));
}
function parameters(body: OnnxFunction, node: OnnxNode): ReadonlyMap<string, OnnxAttribute> {
  return new Map([...body.attributeDefaults, ...node.attributes]);
}

/** a node with its names replaced and attribute references filled in, subgraphs included */
function placed(node: OnnxNode, { rename, given, opsets }: Place, inner: (graph: OnnxGraph) => OnnxGraph): OnnxNode {
  const attributes = new Map<string, OnnxAttribute>();
  for (const [name, a] of node.attributes) {
    if (a.type === 'reference') {
      const value = given.get(a.to);
      if (value) attributes.set(name, { ...value, name });
    } else if (a.type === 'graph') attributes.set(name, { ...a, value: inner(a.value) });
    else if (a.type === 'graphs') attributes.set(name, { ...a, value: a.value.map(inner) });
    else attributes.set(name, a);
  }
  const names = { inputs: node.inputs.map(rename), outputs: node.outputs.map(rename) };
  return { ...node, attributes, ...names, ...(opsets ? { opsets } : {}) };
}

/** those nodes on which an output depends */
function live(nodes: readonly OnnxNode[], outputs: readonly string[]): OnnxNode[] {
  const needed = new Set(outputs);
  const kept: OnnxNode[] = [];
  for (let i = nodes.length - 1; i >= 0; i--) {
    const node = nodes[i] as OnnxNode;
    if (!node.outputs.some((name) => name !== '' && needed.has(name))) continue;
    kept.push(node);
    for (const name of node.inputs) needed.add(name);
    for (const inner of subgraphs(node)) for (const name of reads(inner)) needed.add(name);
  }
  return kept.reverse();
}
function reads(graph: OnnxGraph): string[] {
  return [
    ...graph.outputs.map((o) => o.name),
    ...graph.nodes.flatMap((n) => [...n.inputs, ...subgraphs(n).flatMap(reads)]),
  ];
}
