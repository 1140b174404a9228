/** A file as one list of nodes: calls of the file's own functions replaced by their bodies, dead nodes left out. */
import { InputError } from '../base/errors.js';
import type { OnnxAttribute, OnnxFunction, OnnxGraph, OnnxModel, OnnxNode } from './proto/index.js';
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

export function flatten(model: OnnxModel): OnnxNode[] {
  const byName = new Map(model.functions.map((f) => [functionKey(f.domain, f.name, f.overload), f]));
  const out: OnnxNode[] = [];
  let calls = 0;
  const visit = (
    nodes: readonly OnnxNode[],
    rename: (name: string) => string,
    given: ReadonlyMap<string, OnnxAttribute>,
    depth: number,
  ): void => {
    if (depth > depthLimit) throw new InputError(`the model's functions call one another more than ${depthLimit} deep`);
    for (const node of nodes) {
      const own = renamed(node, rename, given);
      // where we have a rule it is the better one: function bodies of standard operators are for others
      const body = ruleOf(node) ? undefined : byName.get(functionKey(node.domain, node.opType, node.overload));
      if (body) visit(body.nodes, calling(body, own, ++calls), parameters(body, own), depth + 1);
      else out.push(own);
      if (out.length > nodeLimit || calls > nodeLimit)
        throw new InputError(`the model has more than ${nodeLimit} nodes`);
    }
  };
  visit(model.graph.nodes, (name) => name, new Map(), 0);
  return live(
    out,
    model.graph.outputs.map((o) => o.name),
  );
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
function renamed(
  node: OnnxNode,
  rename: (name: string) => string,
  given: ReadonlyMap<string, OnnxAttribute>,
): OnnxNode {
  const attributes = new Map<string, OnnxAttribute>();
  for (const [name, a] of node.attributes) {
    if (a.type === 'reference') {
      const value = given.get(a.to);
      if (value) attributes.set(name, { ...value, name });
    } else if (a.type === 'graph') attributes.set(name, { ...a, value: renamedGraph(a.value, rename, given) });
    else if (a.type === 'graphs')
      attributes.set(name, { ...a, value: a.value.map((g) => renamedGraph(g, rename, given)) });
    else attributes.set(name, a);
  }
  return { ...node, attributes, inputs: node.inputs.map(rename), outputs: node.outputs.map(rename) };
}
function renamedGraph(
  graph: OnnxGraph,
  rename: (name: string) => string,
  given: ReadonlyMap<string, OnnxAttribute>,
): OnnxGraph {
  return {
    ...graph,
    nodes: graph.nodes.map((n) => renamed(n, rename, given)),
    initializers: graph.initializers.map((t) => ({ ...t, name: rename(t.name) })),
    outputs: graph.outputs.map((o) => ({ ...o, name: rename(o.name) })),
  };
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
