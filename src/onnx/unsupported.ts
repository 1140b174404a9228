/** Everything in a file that this version cannot import, found before any work. */
import { HessiaError, InputError } from '../base/errors.js';
import { quoted } from '../base/quote.js';
import type { Mode } from '../model/model.js';
import { allNodes } from './flatten.js';
import { AttributeView } from './op.js';
import type { OnnxModel, OnnxNode } from './proto/index.js';
import { refusedOperators } from './refused.js';
import { qualifiedName, ruleOf } from './table.js';

const oldestOpset = 1;

/** one entry per operator and reason, with how many nodes it concerns */
export function unsupportedIn(model: OnnxModel, nodes: readonly OnnxNode[], mode: Mode): string[] {
  const found = new Map<string, number>();
  const opset = model.opsetImports.get('') ?? 0;
  if (opset < oldestOpset && nodes.some((n) => n.domain === ''))
    found.set(`opset ${opset} (${oldestOpset} or later is needed; export the model again)`, 0);
  for (const node of allNodes(nodes)) {
    const reason = reasonAgainst(node, (node.opsets ?? model.opsetImports).get(node.domain) ?? 0, mode);
    if (reason !== undefined) found.set(reason, (found.get(reason) ?? 0) + 1);
  }
  return [...found].map(([reason, count]) => (count > 1 ? `${reason} (${count} times)` : reason));
}

/** names from files come without control characters, and not at any length */
const plain = (name: string): string => quoted(name).slice(1, -1);

function reasonAgainst(node: OnnxNode, opset: number, mode: Mode): string | undefined {
  const name = plain(qualifiedName(node)),
    rule = ruleOf(node);
  if (!rule) {
    const why = refusedOperators[qualifiedName(node)];
    return why === undefined ? `operator ${name}` : `operator ${name} (${why})`;
  }
  try {
    const reason = rule.refuse?.(new AttributeView(node, opset), mode);
    return reason === undefined ? undefined : `operator ${name} ${reason}`;
  } catch (error) {
    if (error instanceof HessiaError)
      throw new InputError(`operator ${name} (node ${quoted(node.name)}, opset ${opset}): ${error.message}`, {
        cause: error,
      });
    throw error;
  }
}
